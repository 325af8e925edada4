/* JoinGroup, Heartbeat, LeaveGroup: who comes, who stays, who goes. */
#include "broker/coordinator/group_book.h"
#include "broker/coordinator/group_rebalance.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdio.h>

#define PROTOCOLS_MAX 256
#define METADATA_BYTES_MAX (4 << 20) /* Of one member, all its protocols together. */
#define ID_PREFIX_BYTES_MAX 255
#define VERSION_WITH_CANDIDATES 4
#define VERSION_WITH_SKIPPED_ASSIGNMENT 9

/* A join on its way through its checks. */
struct joining {
    struct group_book *book;
    struct group_call *call;
    const struct kafka_join_group_request *in;
    struct group *group;
    struct group_protocol *protocols;
    uint32_t protocol_count;
};

static int16_t check_limits(const struct joining *self)
{
    const struct kafka_join_group_request *in = self->in;
    const struct group_limits *limits = self->book->limits;
    bool is_millrace = wire_text_equals(in->protocol_type, GROUP_TYPE_MILLRACE);
    int32_t session_ms_min = is_millrace ? 1 : limits->session_ms_min;
    if (in->group_id.byte_count <= 0) {
        return ERROR_CODE_INVALID_GROUP_ID;
    }
    if (in->session_timeout_ms < session_ms_min ||
        in->session_timeout_ms > limits->session_ms_max) {
        return ERROR_CODE_INVALID_SESSION_TIMEOUT;
    }
    if (in->protocol_type.byte_count <= 0 || in->protocols_count <= 0) {
        return ERROR_CODE_INCONSISTENT_GROUP_PROTOCOL;
    }
    int64_t byte_count = 0;
    for (int32_t i = 0; i < in->protocols_count; i++) {
        byte_count += in->protocols[i].name.byte_count + in->protocols[i].metadata.byte_count;
    }
    return in->protocols_count > PROTOCOLS_MAX || byte_count > METADATA_BYTES_MAX
               ? ERROR_CODE_MESSAGE_TOO_LARGE
               : ERROR_CODE_NONE;
}

static bool take_protocols(struct joining *self)
{
    self->protocol_count = (uint32_t)self->in->protocols_count;
    self->protocols =
        arena_take_array(&self->call->arena, self->protocol_count, sizeof *self->protocols);
    if (self->protocols == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < self->protocol_count; i++) {
        self->protocols[i].name = self->in->protocols[i].name;
        self->protocols[i].metadata = self->in->protocols[i].metadata;
    }
    return true;
}

/* The client's name, or that of the instance, and 128 random bits. */
static struct wire_text make_id(struct joining *self)
{
    struct wire_text prefix = self->in->group_instance_id.byte_count > 0
                                  ? self->in->group_instance_id
                                  : self->call->client_id;
    int prefix_bytes = prefix.byte_count < 0                     ? 0
                       : prefix.byte_count > ID_PREFIX_BYTES_MAX ? ID_PREFIX_BYTES_MAX
                                                                 : prefix.byte_count;
    uint64_t random[2];
    prng_fill(&ledger_loop(self->book->ledger)->prng, random, sizeof random);
    char text[ID_PREFIX_BYTES_MAX + 40];
    int length =
        snprintf(text, sizeof text, "%.*s-%08x-%04x-%04x-%04x-%012llx", prefix_bytes,
                 prefix.bytes == NULL ? "" : prefix.bytes, (uint32_t)(random[0] >> 32),
                 (uint32_t)(random[0] >> 16) & 0xffffU, ((uint32_t)random[0] & 0x0fffU) | 0x4000U,
                 ((uint32_t)(random[1] >> 48) & 0x3fffU) | 0x8000U,
                 (unsigned long long)(random[1] & 0xffffffffffffULL));
    check(length > 0 && (size_t)length < sizeof text);
    const char *bytes = arena_copy_text(&self->call->arena, text, (size_t)length);
    return bytes == NULL ? (struct wire_text){NULL, -1} : (struct wire_text){bytes, length};
}

static void update_member(struct joining *self, struct group_member *member)
{
    const struct kafka_join_group_request *in = self->in;
    group_state_set_protocols(member, self->protocols, self->protocol_count);
    text_table_drop(&member->client_id);
    text_table_drop(&member->client_host);
    member->client_id = text_table_copy(self->call->client_id);
    member->client_host = text_table_copy(self->call->client_host);
    member->session_ms = in->session_timeout_ms;
    member->rebalance_ms = self->call->version == 0 || in->rebalance_timeout_ms < 0
                               ? in->session_timeout_ms
                               : in->rebalance_timeout_ms;
}

/* The member waits for the next generation, and everybody else is asked to join it. */
static void await_generation(struct joining *self, struct group_member *member)
{
    struct group *group = self->group;
    if (member->joining != NULL) {
        struct group_call *former = member->joining;
        member->joining = NULL;
        group_rebalance_refuse_join(former, ERROR_CODE_REBALANCE_IN_PROGRESS, member->entry.name);
    }
    member->joining = self->call;
    member->is_expired = false;
    group_rebalance_note_speaker(member, self->call);
    timer_stop(&member->session); /* Who waits here is alive. */
    if (group->phase == GROUP_PREPARING) {
        group_rebalance_complete_if_joined(group, &self->call->op);
    } else {
        group_rebalance_prepare(group, &self->call->op);
    }
}

static void add_member(struct joining *self, struct wire_text id)
{
    struct group *group = self->group;
    if (group_state_member_count(group) == 0) {
        text_table_drop(&group->protocol_type);
        group->protocol_type = text_table_copy(self->in->protocol_type);
    }
    struct group_member *member = group_state_add(group, id, self->in->group_instance_id);
    update_member(self, member);
    await_generation(self, member);
}

/* ---- a member without an id ---- */

static bool keeps_metadata(const struct joining *self, const struct group_member *member)
{
    struct wire_bytes former = group_state_metadata(member);
    for (uint32_t i = 0; i < self->protocol_count; i++) {
        if (wire_text_same(self->protocols[i].name, self->group->protocol)) {
            return text_table_same_bytes(self->protocols[i].metadata, former);
        }
    }
    return false;
}

/* The same instance after a restart: it takes its former self's place. When nothing else changed,
 * the others need not hear of it. */
static void replace_static(struct joining *self, struct group_member *member, struct wire_text id)
{
    struct group *group = self->group;
    bool was_leader = group_state_is_leader(member);
    bool is_unchanged = group->phase == GROUP_STABLE && keeps_metadata(self, member);
    struct wire_text former_id = text_table_copy(member->entry.name);
    if (member->joining != NULL) {
        struct group_call *former = member->joining;
        member->joining = NULL;
        group_rebalance_refuse_join(former, ERROR_CODE_FENCED_INSTANCE_ID, former_id);
    }
    if (member->syncing != NULL) {
        struct group_call *former = member->syncing;
        member->syncing = NULL;
        group_rebalance_refuse_sync(former, ERROR_CODE_FENCED_INSTANCE_ID);
    }
    group_state_rename(member, id);
    update_member(self, member);
    if (!is_unchanged) {
        await_generation(self, member);
    } else {
        group_rebalance_note_speaker(member, self->call);
        group_state_store(group, &self->call->op);
        bool can_skip = self->call->version >= VERSION_WITH_SKIPPED_ASSIGNMENT;
        group_rebalance_answer_join(self->call, member, was_leader && can_skip);
        struct kafka_join_group_response *out = self->call->out.join;
        out->skip_assignment = was_leader && can_skip;
        if (was_leader && !can_skip) {
            /* An old client that saw itself lead would assign anew: it is told its former name. */
            out->leader.bytes =
                arena_copy_text(&self->call->arena, former_id.bytes, (size_t)former_id.byte_count);
            out->leader.byte_count = out->leader.bytes == NULL ? 0 : former_id.byte_count;
        }
        group_rebalance_heard(member);
    }
    text_table_drop(&former_id);
}

static int16_t join_new(struct joining *self)
{
    struct group *group = self->group;
    struct wire_text instance = self->in->group_instance_id;
    struct group_member *former = group_state_instance(group, instance);
    uint32_t count = group_state_member_count(group) + group->candidates.entry_count;
    if (former == NULL && count >= self->book->limits->member_count_max) {
        return ERROR_CODE_GROUP_MAX_SIZE_REACHED;
    }
    struct wire_text id = make_id(self);
    if (id.byte_count < 0) {
        return ERROR_CODE_UNKNOWN_SERVER_ERROR;
    }
    if (former != NULL) {
        replace_static(self, former, id);
    } else if (instance.byte_count < 0 && self->call->version >= VERSION_WITH_CANDIDATES) {
        /* It comes back with this id, so that an answer that is lost leaves no ghost member. */
        group_state_add_candidate(group, id, self->in->session_timeout_ms);
        group_rebalance_refuse_join(self->call, ERROR_CODE_MEMBER_ID_REQUIRED, id);
    } else {
        add_member(self, id);
    }
    return ERROR_CODE_NONE;
}

/* ---- a member with an id ---- */

static int16_t rejoin(struct joining *self)
{
    struct group *group = self->group;
    struct group_member *member = NULL;
    struct group_candidate *candidate = group_state_candidate(group, self->in->member_id);
    if (candidate != NULL && self->in->group_instance_id.byte_count < 0) {
        group_state_remove_candidate(group, candidate);
        add_member(self, self->in->member_id);
        return ERROR_CODE_NONE;
    }
    int16_t code = group_rebalance_find_member(group, self->in->member_id,
                                               self->in->group_instance_id, &member);
    if (code != ERROR_CODE_NONE) {
        return code;
    }
    bool is_same = group_state_has_protocols(member, self->protocols, self->protocol_count);
    bool is_leader = group_state_is_leader(member);
    if (group->phase == GROUP_COMPLETING && is_same) {
        group_rebalance_note_speaker(member, self->call);
        group_rebalance_answer_join(self->call, member, is_leader); /* Its answer was lost. */
        group_rebalance_heard(member);
    } else if (group->phase == GROUP_STABLE && is_same && !is_leader) {
        group_rebalance_note_speaker(member, self->call);
        group_rebalance_answer_join(self->call, member, false);
        group_rebalance_heard(member);
    } else {
        update_member(self, member);
        await_generation(self, member);
    }
    return ERROR_CODE_NONE;
}

static int16_t join(struct joining *self)
{
    int16_t code = check_limits(self);
    if (code != ERROR_CODE_NONE) {
        return code;
    }
    if (!take_protocols(self)) {
        return ERROR_CODE_UNKNOWN_SERVER_ERROR;
    }
    bool has_id = self->in->member_id.byte_count > 0;
    self->group = group_book_find(self->book, self->in->group_id);
    if (self->group == NULL && has_id) {
        return ERROR_CODE_UNKNOWN_MEMBER_ID;
    }
    if (self->group == NULL) {
        self->group = group_book_make(self->book, self->in->group_id);
    }
    if (self->group == NULL) {
        return ERROR_CODE_GROUP_MAX_SIZE_REACHED;
    }
    if (!group_state_accepts(self->group, self->in->protocol_type, self->protocols,
                             self->protocol_count)) {
        return ERROR_CODE_INCONSISTENT_GROUP_PROTOCOL;
    }
    return has_id ? rejoin(self) : join_new(self);
}

enum ledger_verdict group_join(struct ledger_op *op, void *machine)
{
    struct group_call *call = container_of(op, struct group_call, op);
    struct joining joining = {.book = machine, .call = call, .in = call->in.join};
    call->is_deciding = true;
    call->is_answered = false;
    int16_t code = join(&joining);
    if (code != ERROR_CODE_NONE) {
        group_rebalance_refuse_join(call, code, call->in.join->member_id);
    }
    call->is_deciding = false;
    return call->is_answered ? LEDGER_ANSWER : LEDGER_KEEP;
}

/* ---- Heartbeat ---- */

static int16_t beat(const struct group *group, struct group_call *call)
{
    const struct kafka_heartbeat_request *in = call->in.heartbeat;
    if (in->group_id.byte_count <= 0) {
        return ERROR_CODE_INVALID_GROUP_ID;
    }
    if (group == NULL || group->phase == GROUP_EMPTY) {
        return ERROR_CODE_UNKNOWN_MEMBER_ID;
    }
    struct group_member *member = NULL;
    int16_t code =
        group_rebalance_find_member(group, in->member_id, in->group_instance_id, &member);
    if (code != ERROR_CODE_NONE) {
        return code;
    }
    if (in->generation_id != group->generation) {
        return ERROR_CODE_ILLEGAL_GENERATION;
    }
    group_rebalance_heard(member);
    group_rebalance_note_speaker(member, call);
    return group->phase == GROUP_PREPARING ? ERROR_CODE_REBALANCE_IN_PROGRESS : ERROR_CODE_NONE;
}

enum ledger_verdict group_join_heartbeat(struct ledger_op *op, void *machine)
{
    struct group_call *call = container_of(op, struct group_call, op);
    kafka_heartbeat_response_defaults(call->out.heartbeat);
    call->out.heartbeat->error_code =
        beat(group_book_find(machine, call->in.heartbeat->group_id), call);
    return LEDGER_ANSWER_AT_ONCE;
}

/* ---- LeaveGroup ---- */

static int16_t leave_one(struct group *group, struct wire_text id, struct wire_text instance,
                         struct ledger_op *op)
{
    struct group_candidate *candidate = group_state_candidate(group, id);
    if (candidate != NULL && instance.byte_count < 0) {
        group_state_remove_candidate(group, candidate);
        group_rebalance_complete_if_joined(group, op);
        return ERROR_CODE_NONE;
    }
    struct group_member *member = NULL;
    if (instance.byte_count >= 0 && id.byte_count <= 0) {
        member = group_state_instance(group, instance); /* A tool that knows only the instance. */
        if (member == NULL) {
            return ERROR_CODE_UNKNOWN_MEMBER_ID;
        }
    } else {
        int16_t code = group_rebalance_find_member(group, id, instance, &member);
        if (code != ERROR_CODE_NONE) {
            return code;
        }
    }
    group_rebalance_remove_member(group, member, op);
    return ERROR_CODE_NONE;
}

enum ledger_verdict group_join_leave(struct ledger_op *op, void *machine)
{
    struct group_call *call = container_of(op, struct group_call, op);
    const struct kafka_leave_group_request *in = call->in.leave;
    struct kafka_leave_group_response *out = call->out.leave;
    kafka_leave_group_response_defaults(out);
    struct group *group = group_book_find(machine, in->group_id);
    if (in->group_id.byte_count <= 0) {
        out->error_code = ERROR_CODE_INVALID_GROUP_ID;
        return LEDGER_ANSWER_AT_ONCE;
    }
    if (call->version < 3) {
        out->error_code = group == NULL
                              ? ERROR_CODE_UNKNOWN_MEMBER_ID
                              : leave_one(group, in->member_id, (struct wire_text){NULL, -1}, op);
        return LEDGER_ANSWER;
    }
    out->members = arena_take_array(&call->arena, (size_t)in->members_count, sizeof *out->members);
    if (out->members == NULL) {
        out->error_code = ERROR_CODE_UNKNOWN_SERVER_ERROR;
        return LEDGER_ANSWER;
    }
    out->members_count = in->members_count;
    for (int32_t i = 0; i < in->members_count; i++) {
        out->members[i].member_id = in->members[i].member_id;
        out->members[i].group_instance_id = in->members[i].group_instance_id;
        out->members[i].error_code =
            group == NULL
                ? ERROR_CODE_UNKNOWN_MEMBER_ID
                : leave_one(group, in->members[i].member_id, in->members[i].group_instance_id, op);
    }
    return LEDGER_ANSWER;
}
