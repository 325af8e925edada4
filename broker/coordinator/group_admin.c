/* ListGroups, DescribeGroups, DeleteGroups: what operators ask. */
#include "broker/coordinator/group_book.h"
#include "broker/coordinator/group_commit.h"
#include "proto/kafka/error_code.h"

#include <string.h>

#define GROUP_CLASS "classic" /* As opposed to the groups of KIP-848. */
#define VERSION_WITH_NOT_FOUND 6

static bool copy_text(struct group_call *call, struct wire_text text, struct wire_text *out)
{
    if (text.byte_count < 0) {
        *out = wire_text_of("");
        return true;
    }
    out->bytes = arena_copy_text(&call->arena, text.bytes, (size_t)text.byte_count);
    out->byte_count = text.byte_count;
    return out->bytes != NULL;
}

static bool copy_bytes(struct group_call *call, struct wire_bytes bytes, struct wire_bytes *out)
{
    int32_t byte_count = bytes.byte_count < 0 ? 0 : bytes.byte_count;
    uint8_t *made = arena_take(&call->arena, (size_t)byte_count);
    if (made != NULL && byte_count > 0) {
        memcpy(made, bytes.bytes, (size_t)byte_count);
    }
    *out = (struct wire_bytes){made, byte_count};
    return made != NULL;
}

/* ---- ListGroups ---- */

static char lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

static bool is_spelled(struct wire_text text, const char *name)
{
    size_t length = strlen(name);
    if (text.byte_count < 0 || (size_t)text.byte_count != length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (lower(text.bytes[i]) != lower(name[i])) {
            return false;
        }
    }
    return true;
}

/* No filter lets everything pass. */
static bool passes(const struct wire_text *filter, int32_t count, const char *name)
{
    for (int32_t i = 0; i < count; i++) {
        if (is_spelled(filter[i], name)) {
            return true;
        }
    }
    return count <= 0;
}

enum ledger_verdict group_admin_list(struct ledger_op *op, void *machine)
{
    struct group_book *book = machine;
    struct group_call *call = container_of(op, struct group_call, op);
    const struct kafka_list_groups_request *in = call->in.list;
    struct kafka_list_groups_response *out = call->out.list;
    kafka_list_groups_response_defaults(out);
    if (!passes(in->types_filter, in->types_filter_count, GROUP_CLASS)) {
        return LEDGER_ANSWER;
    }
    out->groups = arena_take_array(&call->arena, book->groups.entry_count, sizeof *out->groups);
    if (out->groups == NULL) {
        out->error_code = ERROR_CODE_UNKNOWN_SERVER_ERROR;
        return LEDGER_ANSWER;
    }
    text_table_for_each(entry, &book->groups)
    {
        const struct group *group = container_of(entry, struct group, entry);
        const char *state = group_state_name(group);
        if (!passes(in->states_filter, in->states_filter_count, state)) {
            continue;
        }
        struct kafka_list_groups_response_listed_group *row = &out->groups[out->groups_count];
        row->group_state = wire_text_of(state);
        row->group_type = wire_text_of(GROUP_CLASS);
        if (!copy_text(call, entry->name, &row->group_id) ||
            !copy_text(call, group->protocol_type, &row->protocol_type)) {
            out->error_code = ERROR_CODE_UNKNOWN_SERVER_ERROR;
            break;
        }
        out->groups_count += 1;
    }
    return LEDGER_ANSWER;
}

/* ---- DescribeGroups ---- */

static bool describe_member(struct group_call *call, const struct group_member *member,
                            struct kafka_describe_groups_response_described_group_member *out)
{
    bool is_stable = member->group->phase == GROUP_STABLE;
    struct wire_bytes nothing = {(const uint8_t *)"", 0};
    out->group_instance_id = (struct wire_text){NULL, -1};
    return copy_text(call, member->entry.name, &out->member_id) &&
           (!member->is_static ||
            copy_text(call, member->instance.name, &out->group_instance_id)) &&
           copy_text(call, member->client_id, &out->client_id) &&
           copy_text(call, member->client_host, &out->client_host) &&
           copy_bytes(call, is_stable ? group_state_metadata(member) : nothing,
                      &out->member_metadata) &&
           copy_bytes(call, is_stable ? member->assignment : nothing, &out->member_assignment);
}

static bool describe_members(struct group_call *call, const struct group *group)
{
    struct kafka_describe_groups_response_described_group *out = call->out.describe;
    out->members =
        arena_take_array(&call->arena, group_state_member_count(group), sizeof *out->members);
    if (out->members == NULL) {
        return false;
    }
    list_for_each(link, &group->in_order)
    {
        if (!describe_member(call, container_of(link, struct group_member, link),
                             &out->members[out->members_count])) {
            return false;
        }
        out->members_count += 1;
    }
    return true;
}

enum ledger_verdict group_admin_describe(struct ledger_op *op, void *machine)
{
    struct group_call *call = container_of(op, struct group_call, op);
    struct kafka_describe_groups_response_described_group *out = call->out.describe;
    const struct group *group = group_book_find(machine, call->in.group_id);
    kafka_describe_groups_response_described_group_defaults(out);
    out->group_id = call->in.group_id;
    out->error_message = (struct wire_text){NULL, -1};
    out->group_state = wire_text_of("Dead");
    out->protocol_type = wire_text_of("");
    out->protocol_data = wire_text_of("");
    if (group == NULL) {
        if (call->version >= VERSION_WITH_NOT_FOUND) {
            out->error_code = ERROR_CODE_GROUP_ID_NOT_FOUND;
            out->error_message = wire_text_of("there is no group of this id");
        }
        return LEDGER_ANSWER;
    }
    out->group_state = wire_text_of(group_state_name(group));
    bool is_stable = group->phase == GROUP_STABLE;
    if (!copy_text(call, group->protocol_type, &out->protocol_type) ||
        !copy_text(call, is_stable ? group->protocol : wire_text_of(""), &out->protocol_data) ||
        !describe_members(call, group)) {
        out->error_code = ERROR_CODE_UNKNOWN_SERVER_ERROR;
        out->members_count = 0;
    }
    return LEDGER_ANSWER;
}

/* ---- DeleteGroups ---- */

enum ledger_verdict group_admin_delete(struct ledger_op *op, void *machine)
{
    struct group_call *call = container_of(op, struct group_call, op);
    struct kafka_delete_groups_response_deletable_group_result *out = call->out.delete_group;
    struct group *group = group_book_find(machine, call->in.group_id);
    out->group_id = call->in.group_id;
    out->error_message = (struct wire_text){NULL, -1};
    out->error_code = ERROR_CODE_NONE;
    if (call->in.group_id.byte_count <= 0) {
        out->error_code = ERROR_CODE_INVALID_GROUP_ID;
    } else if (group == NULL) {
        out->error_code = ERROR_CODE_GROUP_ID_NOT_FOUND;
    } else if (group->phase != GROUP_EMPTY || !list_is_empty(&group->offsets.pending)) {
        out->error_code = ERROR_CODE_NON_EMPTY_GROUP;
    } else {
        group_commit_erase(group, op);
    }
    return LEDGER_ANSWER;
}
