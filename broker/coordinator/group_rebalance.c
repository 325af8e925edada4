#include "broker/coordinator/group_rebalance.h"

#include "broker/coordinator/group_book.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <string.h>

/* How long a suspected member has for another word before it is out. A connection may break without
 * its owner (a reset on the way), and such a member must keep its place: a processor's next
 * heartbeat comes within 200 ms, and connecting anew takes it some tens of ms; the rest is for a
 * loaded machine. Longer would only keep a dead processor's tasks waiting. */
#define SUSPECT_MS 500

static const struct wire_text no_text = {NULL, -1};

/* ---- answers ---- */

static struct wire_text copy_text(struct group_call *call, struct wire_text text)
{
    if (text.byte_count < 0) {
        return wire_text_of("");
    }
    const char *bytes = arena_copy_text(&call->arena, text.bytes, (size_t)text.byte_count);
    return bytes == NULL ? wire_text_of("") : (struct wire_text){bytes, text.byte_count};
}

static bool copy_bytes(struct group_call *call, struct wire_bytes bytes, struct wire_bytes *out)
{
    uint8_t *made = arena_take(&call->arena, (size_t)bytes.byte_count);
    if (made == NULL) {
        return false;
    }
    if (bytes.byte_count > 0) {
        memcpy(made, bytes.bytes, (size_t)bytes.byte_count);
    }
    *out = (struct wire_bytes){made, bytes.byte_count};
    return true;
}

/* The present decision answers its own call by its verdict. */
static void hand_back(struct group_call *call)
{
    call->is_answered = true;
    if (!call->is_deciding) {
        ledger_answer(&call->op);
    }
}

void group_rebalance_refuse_join(struct group_call *call, int16_t code, struct wire_text member_id)
{
    struct kafka_join_group_response *out = call->out.join;
    kafka_join_group_response_defaults(out);
    out->error_code = code;
    out->protocol_type = no_text;
    out->protocol_name = call->version >= 7 ? no_text : wire_text_of("");
    out->leader = wire_text_of("");
    out->member_id = copy_text(call, member_id);
    hand_back(call);
}

static bool list_members(struct group_call *call, const struct group *group)
{
    struct kafka_join_group_response *out = call->out.join;
    out->members =
        arena_take_array(&call->arena, group_state_member_count(group), sizeof *out->members);
    if (out->members == NULL) {
        return false;
    }
    list_for_each(link, &group->in_order)
    {
        const struct group_member *member = container_of(link, struct group_member, link);
        struct kafka_join_group_response_join_group_response_member *row =
            &out->members[out->members_count];
        row->member_id = copy_text(call, member->entry.name);
        row->group_instance_id =
            member->is_static ? copy_text(call, member->instance.name) : no_text;
        if (!copy_bytes(call, group_state_metadata(member), &row->metadata)) {
            return false;
        }
        out->members_count += 1;
    }
    return true;
}

void group_rebalance_answer_join(struct group_call *call, const struct group_member *member,
                                 bool with_members)
{
    const struct group *group = member->group;
    struct kafka_join_group_response *out = call->out.join;
    kafka_join_group_response_defaults(out);
    out->generation_id = group->generation;
    out->protocol_type = copy_text(call, group->protocol_type);
    out->protocol_name = copy_text(call, group->protocol);
    out->leader = copy_text(call, group->leader);
    out->member_id = copy_text(call, member->entry.name);
    if (with_members && !list_members(call, group)) {
        group_rebalance_refuse_join(call, ERROR_CODE_UNKNOWN_SERVER_ERROR, member->entry.name);
        return;
    }
    hand_back(call);
}

void group_rebalance_refuse_sync(struct group_call *call, int16_t code)
{
    struct kafka_sync_group_response *out = call->out.sync;
    kafka_sync_group_response_defaults(out);
    out->error_code = code;
    out->protocol_type = no_text;
    out->protocol_name = no_text;
    out->assignment = (struct wire_bytes){NULL, 0};
    hand_back(call);
}

static void answer_sync(struct group_call *call, const struct group_member *member)
{
    struct kafka_sync_group_response *out = call->out.sync;
    kafka_sync_group_response_defaults(out);
    out->protocol_type = copy_text(call, member->group->protocol_type);
    out->protocol_name = copy_text(call, member->group->protocol);
    if (!copy_bytes(call, member->assignment, &out->assignment)) {
        group_rebalance_refuse_sync(call, ERROR_CODE_UNKNOWN_SERVER_ERROR);
        return;
    }
    hand_back(call);
}

/* ---- members ---- */

int16_t group_rebalance_find_member(const struct group *group, struct wire_text id,
                                    struct wire_text instance, struct group_member **out_member)
{
    struct group_member *member = instance.byte_count >= 0 ? group_state_instance(group, instance)
                                                           : group_state_member(group, id);
    if (member == NULL) {
        return ERROR_CODE_UNKNOWN_MEMBER_ID;
    }
    if (!wire_text_same(member->entry.name, id)) {
        return ERROR_CODE_FENCED_INSTANCE_ID;
    }
    *out_member = member;
    return ERROR_CODE_NONE;
}

void group_rebalance_heard(struct group_member *member)
{
    member->is_expired = false;
    timer_start_after(&member->session, member->session_ms * CLOCK_NS_PER_MS);
}

/* Sessions of Kafka's own types end as Kafka's do. A static member may be away: that is what its
 * instance id is for. */
static bool can_be_suspected(const struct group_member *member)
{
    return !member->is_static &&
           wire_text_equals(member->group->protocol_type, GROUP_TYPE_MILLRACE);
}

void group_rebalance_note_speaker(struct group_member *member, struct group_call *call)
{
    member->connection_number = call->connection_number;
    call->is_watched = can_be_suspected(member);
}

enum ledger_verdict group_rebalance_suspect(struct ledger_op *op, void *machine)
{
    const struct group_suspicion *suspicion = container_of(op, struct group_suspicion, op);
    const struct group *group = group_book_find(machine, suspicion->group_id);
    struct group_member *member =
        group == NULL ? NULL : group_state_member(group, suspicion->member_id);
    if (member == NULL || member->connection_number != suspicion->connection_number ||
        !can_be_suspected(member)) {
        return LEDGER_ANSWER_AT_ONCE;
    }
    int64_t deadline_ns =
        loop_now_ns(ledger_loop(group->book->ledger)) + SUSPECT_MS * CLOCK_NS_PER_MS;
    /* While it waits in JoinGroup or SyncGroup no session runs; when that is answered into the void
     * the suspicion comes again. */
    if (member->session.is_armed && member->session.deadline_ns > deadline_ns) {
        timer_start_at(&member->session, deadline_ns);
    }
    return LEDGER_ANSWER_AT_ONCE;
}

static int32_t longest_rebalance_ms(const struct group *group)
{
    int32_t longest_ms = 0;
    list_for_each(link, &group->in_order)
    {
        const struct group_member *member = container_of(link, struct group_member, link);
        longest_ms = member->rebalance_ms > longest_ms ? member->rebalance_ms : longest_ms;
    }
    return longest_ms;
}

void group_rebalance_remove_member(struct group *group, struct group_member *member,
                                   struct ledger_op *op)
{
    if (member->joining != NULL) {
        struct group_call *call = member->joining;
        member->joining = NULL;
        group_rebalance_refuse_join(call, ERROR_CODE_UNKNOWN_MEMBER_ID, member->entry.name);
    }
    if (member->syncing != NULL) {
        struct group_call *call = member->syncing;
        member->syncing = NULL;
        group_rebalance_refuse_sync(call, ERROR_CODE_UNKNOWN_MEMBER_ID);
    }
    group_state_remove(group, member);
    if (group->phase == GROUP_STABLE || group->phase == GROUP_COMPLETING) {
        group_rebalance_prepare(group, op);
    } else {
        group_rebalance_complete_if_joined(group, op);
    }
}

/* ---- from one generation to the next ---- */

static void refuse_syncing(struct group *group, int16_t code)
{
    list_for_each(link, &group->in_order)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        if (member->syncing != NULL) {
            struct group_call *call = member->syncing;
            member->syncing = NULL;
            group_rebalance_refuse_sync(call, code);
            group_rebalance_heard(member);
        }
    }
}

void group_rebalance_prepare(struct group *group, struct ledger_op *op)
{
    int64_t wait_ms = longest_rebalance_ms(group);
    group->is_delayed = false;
    if (group->phase == GROUP_COMPLETING) {
        refuse_syncing(group, ERROR_CODE_REBALANCE_IN_PROGRESS);
    }
    if (group->phase == GROUP_EMPTY && group->book->limits->initial_delay_ms > 0) {
        int64_t delay_ms = group->book->limits->initial_delay_ms;
        group->is_delayed = true;
        group->delay_left_ms = wait_ms > delay_ms ? wait_ms - delay_ms : 0;
        wait_ms = wait_ms < delay_ms ? wait_ms : delay_ms;
    }
    group_state_enter(group, GROUP_PREPARING);
    group->is_due = false;
    timer_start_after(&group->deadline, wait_ms * CLOCK_NS_PER_MS);
    group_rebalance_complete_if_joined(group, op);
}

/* Who did not come back is out; a static member only when its session ends. */
static void drop_absent(struct group *group)
{
    list_for_each_removable(link, &group->in_order)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        if (member->joining == NULL && !member->is_static) {
            group_state_remove(group, member);
        }
    }
}

/* The leader must be somebody who will hear of it. */
static bool has_present_leader(struct group *group)
{
    const struct group_member *leader = group_state_member(group, group->leader);
    if (leader != NULL && leader->joining != NULL) {
        return true;
    }
    list_for_each(link, &group->in_order)
    {
        const struct group_member *member = container_of(link, struct group_member, link);
        if (member->joining != NULL) {
            text_table_drop(&group->leader);
            group->leader = text_table_copy(member->entry.name);
            return true;
        }
    }
    return false;
}

static void begin_generation(struct group *group)
{
    text_table_drop(&group->protocol);
    group->protocol = text_table_copy(group_state_choose_protocol(group));
    group_state_enter(group, GROUP_COMPLETING);
    timer_start_after(&group->deadline, longest_rebalance_ms(group) * CLOCK_NS_PER_MS);
    list_for_each(link, &group->in_order)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        member->has_synced = false;
        if (member->joining != NULL) {
            struct group_call *call = member->joining;
            member->joining = NULL;
            group_rebalance_answer_join(call, member, group_state_is_leader(member));
            group_rebalance_heard(member);
        }
    }
}

static void complete(struct group *group, struct ledger_op *op)
{
    timer_stop(&group->deadline);
    group->is_due = false;
    group->is_delayed = false;
    drop_absent(group);
    if (group_state_member_count(group) == 0) {
        group->generation += 1;
        text_table_drop(&group->protocol);
        group_state_enter(group, GROUP_EMPTY);
        group_state_store(group, op);
        return;
    }
    if (!has_present_leader(group)) {
        /* Only static members, none of which is here: their sessions or their return will tell. */
        timer_start_after(&group->deadline, longest_rebalance_ms(group) * CLOCK_NS_PER_MS);
        return;
    }
    group->generation += 1;
    begin_generation(group);
}

void group_rebalance_complete_if_joined(struct group *group, struct ledger_op *op)
{
    if (group->phase != GROUP_PREPARING || group->is_delayed || group->candidates.entry_count > 0) {
        return;
    }
    list_for_each(link, &group->in_order)
    {
        if (container_of(link, struct group_member, link)->joining == NULL) {
            return;
        }
    }
    complete(group, op);
}

/* ---- time ---- */

static bool is_due_now(struct group *group)
{
    bool is_due = group->is_due;
    group->is_due = false;
    return is_due;
}

static void expire_unsynced(struct group *group, struct ledger_op *op)
{
    list_for_each_removable(link, &group->in_order)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        if (!member->has_synced) {
            group_state_remove(group, member);
        }
    }
    group_rebalance_prepare(group, op);
}

static void meet_deadline(struct group *group, struct ledger_op *op)
{
    if (group->phase == GROUP_COMPLETING) {
        expire_unsynced(group, op);
    } else if (group->phase == GROUP_PREPARING && group->is_delayed && group->delay_left_ms > 0 &&
               group->candidates.entry_count > 0) {
        /* Somebody is on the way: the first generation waits once more. */
        int64_t delay_ms = group->book->limits->initial_delay_ms;
        int64_t wait_ms = group->delay_left_ms < delay_ms ? group->delay_left_ms : delay_ms;
        group->delay_left_ms -= wait_ms;
        timer_start_after(&group->deadline, wait_ms * CLOCK_NS_PER_MS);
    } else if (group->phase == GROUP_PREPARING) {
        complete(group, op);
    }
}

static void expire_members(struct group *group, struct ledger_op *op)
{
    for (;;) {
        struct group_member *expired = NULL;
        list_for_each(link, &group->in_order)
        {
            struct group_member *member = container_of(link, struct group_member, link);
            if (member->is_expired && member->joining == NULL && member->syncing == NULL) {
                expired = member;
                break;
            }
        }
        if (expired == NULL) {
            return;
        }
        group_rebalance_remove_member(group, expired, op);
    }
}

static void expire_candidates(struct group *group, struct ledger_op *op)
{
    bool has_expired = false;
    text_table_for_each(entry, &group->candidates)
    {
        struct group_candidate *candidate = container_of(entry, struct group_candidate, entry);
        if (candidate->is_expired) {
            group_state_remove_candidate(group, candidate);
            has_expired = true;
        }
    }
    if (has_expired) {
        group_rebalance_complete_if_joined(group, op);
    }
}

static enum ledger_verdict tick_decide(struct ledger_op *op, void *machine)
{
    struct group *group = container_of(op, struct group, tick);
    (void)machine;
    if (!group->is_gone) {
        group->is_stirred = false;
        expire_members(group, op);
        expire_candidates(group, op);
        if (is_due_now(group)) {
            meet_deadline(group, op);
        }
    }
    return ledger_op_record_count(op) > 0 || op->is_too_large ? LEDGER_ANSWER
                                                              : LEDGER_ANSWER_AT_ONCE;
}

static void tick_on_done(struct ledger_op *op, enum ledger_fault fault);

static void stir(struct group *group)
{
    group->is_stirred = true;
    if (group->is_ticking || group->is_gone) {
        return;
    }
    group->is_ticking = true;
    group->tick.decide = tick_decide;
    group->tick.on_done = tick_on_done;
    ledger_submit(group->book->ledger, &group->tick);
}

static void tick_on_done(struct ledger_op *op, enum ledger_fault fault)
{
    struct group *group = container_of(op, struct group, tick);
    group->is_ticking = false;
    if (group->is_gone) {
        group_state_free(group);
    } else if (group->is_stirred && fault == LEDGER_FAULT_NONE) {
        stir(group);
    } else {
        group_book_forget_if_bare(group);
    }
}

void group_rebalance_on_deadline(struct timer *timer)
{
    struct group *group = container_of(timer, struct group, deadline);
    group->is_due = true;
    stir(group);
}

void group_rebalance_on_session(struct timer *timer)
{
    struct group_member *member = container_of(timer, struct group_member, session);
    member->is_expired = true;
    stir(member->group);
}

void group_rebalance_on_candidate(struct timer *timer)
{
    struct group_candidate *candidate = container_of(timer, struct group_candidate, session);
    candidate->is_expired = true;
    stir(candidate->group);
}

/* ---- the record ---- */

static void apply_member(struct group *group,
                         const struct kafka_group_metadata_value_member_metadata *value)
{
    struct group_member *member = group_state_member(group, value->member_id);
    if (member == NULL) {
        struct group_member *former = group_state_instance(group, value->group_instance_id);
        if (former != NULL) {
            group_state_remove(group, former);
        }
        member = group_state_add(group, value->member_id, value->group_instance_id);
        struct group_protocol protocol = {.name = group->protocol, .metadata = value->subscription};
        group_state_set_protocols(member, &protocol, 1);
        member->client_id = text_table_copy(value->client_id);
        member->client_host = text_table_copy(value->client_host);
        member->session_ms = value->session_timeout;
        member->rebalance_ms =
            value->rebalance_timeout < 0 ? value->session_timeout : value->rebalance_timeout;
    }
    if (value->assignment.bytes != member->assignment.bytes) {
        if (member->assignment.bytes != NULL) {
            text_table_drop_bytes(&member->assignment);
        }
        member->assignment = text_table_copy_bytes(value->assignment);
    }
    member->is_stored = true;
}

static void answer_syncing(struct group *group)
{
    list_for_each(link, &group->in_order)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        if (member->syncing != NULL) {
            struct group_call *call = member->syncing;
            member->syncing = NULL;
            answer_sync(call, member);
            group_rebalance_heard(member);
        }
    }
}

void group_rebalance_apply(struct group *group, const struct kafka_group_metadata_value *value)
{
    list_for_each(link, &group->in_order)
    {
        container_of(link, struct group_member, link)->is_stored = false;
    }
    group->generation = value->generation;
    text_table_drop(&group->protocol_type);
    text_table_drop(&group->protocol);
    group->protocol_type = text_table_copy(value->protocol_type);
    group->protocol = text_table_copy(value->protocol);
    for (int32_t i = 0; i < value->members_count; i++) {
        apply_member(group, &value->members[i]);
    }
    list_for_each_removable(link, &group->in_order)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        if (!member->is_stored && !group->book->is_live) {
            group_state_remove(group, member);
        }
    }
    text_table_drop(&group->leader);
    group->leader = text_table_copy(value->leader);
    group->phase = group_state_member_count(group) == 0 ? GROUP_EMPTY : GROUP_STABLE;
    group->phase_since_ms = value->current_state_timestamp;
    timer_stop(&group->deadline);
    group->is_due = false;
    answer_syncing(group);
}

void group_rebalance_on_loaded(struct group *group)
{
    list_for_each(link, &group->in_order)
    {
        group_rebalance_heard(container_of(link, struct group_member, link));
    }
}

void group_rebalance_lose(struct group *group)
{
    list_for_each(link, &group->in_order)
    {
        struct group_member *member = container_of(link, struct group_member, link);
        if (member->joining != NULL) {
            ledger_refuse(&member->joining->op, LEDGER_FAULT_NOT_HERE);
            member->joining = NULL;
        }
        if (member->syncing != NULL) {
            ledger_refuse(&member->syncing->op, LEDGER_FAULT_NOT_HERE);
            member->syncing = NULL;
        }
    }
}

/* ---- SyncGroup ---- */

static bool is_same_or_untold(struct wire_text told, struct wire_text known)
{
    return told.byte_count < 0 || wire_text_same(told, known);
}

static int16_t check_sync(const struct group *group, const struct kafka_sync_group_request *in,
                          struct group_member **out_member)
{
    if (in->group_id.byte_count <= 0) {
        return ERROR_CODE_INVALID_GROUP_ID;
    }
    if (group == NULL || group->phase == GROUP_EMPTY) {
        return ERROR_CODE_UNKNOWN_MEMBER_ID;
    }
    int16_t code =
        group_rebalance_find_member(group, in->member_id, in->group_instance_id, out_member);
    if (code != ERROR_CODE_NONE) {
        return code;
    }
    if (in->generation_id != group->generation) {
        return ERROR_CODE_ILLEGAL_GENERATION;
    }
    if (!is_same_or_untold(in->protocol_type, group->protocol_type) ||
        !is_same_or_untold(in->protocol_name, group->protocol)) {
        return ERROR_CODE_INCONSISTENT_GROUP_PROTOCOL;
    }
    return group->phase == GROUP_PREPARING ? ERROR_CODE_REBALANCE_IN_PROGRESS : ERROR_CODE_NONE;
}

static void set_assignment(struct group_member *member, struct wire_bytes assignment)
{
    if (member->assignment.bytes != NULL) {
        text_table_drop_bytes(&member->assignment);
    }
    member->assignment = text_table_copy_bytes(assignment);
}

/* What the leader decided; ids that are no members' are ignored, who is not named gets nothing. */
static void take_assignments(struct group *group, const struct kafka_sync_group_request *in)
{
    list_for_each(link, &group->in_order)
    {
        set_assignment(container_of(link, struct group_member, link),
                       (struct wire_bytes){(const uint8_t *)"", 0});
    }
    for (int32_t i = 0; i < in->assignments_count; i++) {
        struct group_member *member = group_state_member(group, in->assignments[i].member_id);
        if (member != NULL) {
            set_assignment(member, in->assignments[i].assignment);
        }
    }
}

static void sync_member(struct group *group, struct group_member *member, struct group_call *call)
{
    member->has_synced = true;
    group_rebalance_note_speaker(member, call);
    if (group->phase == GROUP_STABLE) {
        answer_sync(call, member);
        group_rebalance_heard(member);
        return;
    }
    if (group_state_is_leader(member)) {
        take_assignments(group, call->in.sync);
        group_state_store(group, &call->op); /* Applied, it makes the group stable. */
        answer_sync(call, member);
        group_rebalance_heard(member);
        return;
    }
    if (member->syncing != NULL) {
        struct group_call *former = member->syncing;
        member->syncing = NULL;
        group_rebalance_refuse_sync(former, ERROR_CODE_REBALANCE_IN_PROGRESS);
    }
    member->syncing = call;
    timer_stop(&member->session); /* Who waits here is alive. */
}

enum ledger_verdict group_rebalance_sync(struct ledger_op *op, void *machine)
{
    struct group_call *call = container_of(op, struct group_call, op);
    struct group *group = group_book_find(machine, call->in.sync->group_id);
    struct group_member *member = NULL;
    call->is_deciding = true;
    call->is_answered = false;
    int16_t code = check_sync(group, call->in.sync, &member);
    if (code != ERROR_CODE_NONE) {
        group_rebalance_refuse_sync(call, code);
    } else {
        sync_member(group, member, call);
    }
    call->is_deciding = false;
    return call->is_answered ? LEDGER_ANSWER : LEDGER_KEEP;
}
