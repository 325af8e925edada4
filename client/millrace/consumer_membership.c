#include "client/millrace/consumer_membership.h"

#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"
#include "proto/sys/host/host_clock.h"

#include <stdlib.h>
#include <string.h>

static const struct consumer_handle_place nowhere = {.generation = -1};

static void give_up(struct millrace_consumer *self);

/* ---- what the group does: on the loop ---- */

static void group_on_revoke(void *context)
{
    struct millrace_consumer *self = context;
    host_gate_enter(&self->gate);
    self->is_revoke_due = true;
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
}

static void group_on_assigned(void *context)
{
    struct millrace_consumer *self = context;
    host_gate_enter(&self->gate);
    self->is_assigned_due = true;
    self->assigned.generation = self->group.member.generation;
    memcpy(self->assigned.member_id, self->group.member.member_id, sizeof self->assigned.member_id);
    self->polled_count = 0;
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
}

static void group_on_lost(void *context)
{
    struct millrace_consumer *self = context;
    consumer_handle_purge(self, NULL);
    host_gate_enter(&self->gate);
    self->is_revoke_due = false;
    self->is_assigned_due = false;
    self->is_lost_due = true;
    self->polled_count = 0;
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
}

static void group_on_failed(void *context, enum status status, int16_t error_code)
{
    struct consumer_fault fault = {
        .topic = {"", 0}, .partition = -1, .status = status, .error_code = error_code};
    consumer_handle_on_fault(context, &fault);
}

static void group_on_closed(void *context)
{
    struct millrace_consumer *self = context;
    consumer_handle_purge(self, NULL);
    consumer_core_close(&self->core);
}

void consumer_membership_open(struct millrace_consumer *self,
                              const struct consumer_core_options *core)
{
    if (self->group_id[0] == '\0') {
        return;
    }
    struct consumer_group_options options = {
        .core = &self->core,
        .loop = core->loop,
        .bootstrap = core->bootstrap,
        .bootstrap_count = core->bootstrap_count,
        .client_id = core->client_id,
        .group = self->group_id,
        .instance_id = self->instance_id[0] == '\0' ? NULL : self->instance_id,
        .request_timeout_ms = core->request_timeout_ms,
        .session_timeout_ms = self->session_timeout_ms,
        .rebalance_timeout_ms = self->rebalance_timeout_ms,
        .start = self->group_start,
        .on_revoke = group_on_revoke,
        .on_assigned = group_on_assigned,
        .on_lost = group_on_lost,
        .on_failed = group_on_failed,
        .on_closed = group_on_closed,
        .context = self};
    consumer_group_init(&self->group, &options);
}

void consumer_membership_close(struct millrace_consumer *self, int64_t until_ns)
{
    consumer_core_unassign(&self->core);
    if (self->group.magic == 0) {
        group_on_closed(self);
        return;
    }
    int64_t left_ms = (until_ns - clock_monotonic_ns(host_clock())) / CLOCK_NS_PER_MS;
    consumer_group_close(&self->group, true, left_ms);
}

/* ---- committing by itself: on the loop ---- */

/* The rows of a commit: all that was polled, or what was worked on and would change anything. Only
 * partitions that are ours: a batch that was on its way to the application when its partition went
 * may have left its mark. NULL: no memory. */
static struct offset_call_row *rows_due(struct millrace_consumer *self, bool is_all,
                                        uint32_t *out_count)
{
    uint32_t count = 0;
    host_gate_enter(&self->gate);
    struct offset_call_row *rows = calloc(self->polled_count + 1, sizeof *rows);
    for (size_t i = 0; rows != NULL && i < self->polled_count; i++) {
        const struct consumer_handle_polled *polled = &self->polled[i];
        bool is_due = is_all || (polled->processed >= 0 && polled->processed != polled->committed);
        if (is_due && polled->partition->state != CONSUMER_IDLE) {
            const struct cluster_topic *topic = polled->partition->topic;
            rows[count++] =
                (struct offset_call_row){.topic = {topic->name, topic->name_bytes},
                                         .partition = polled->index,
                                         .offset = is_all ? polled->polled : polled->processed,
                                         .leader_epoch = -1};
        }
    }
    host_gate_leave(&self->gate);
    *out_count = count;
    return rows;
}

/* What was committed need not be committed again. */
static void note_committed(struct millrace_consumer *self, const struct offset_call *call)
{
    host_gate_enter(&self->gate);
    for (uint32_t i = 0; i < call->row_count; i++) {
        for (size_t j = 0; j < self->polled_count; j++) {
            struct consumer_handle_polled *polled = &self->polled[j];
            if (polled->index == call->rows[i].partition &&
                wire_text_equals(call->rows[i].topic, polled->topic)) {
                polled->committed = call->rows[i].offset;
            }
        }
    }
    host_gate_leave(&self->gate);
}

static void auto_commit_on_done(struct offset_call *call, enum status status, int16_t error_code)
{
    struct millrace_consumer *self = container_of(call, struct millrace_consumer, auto_commit);
    self->is_auto_committing = false;
    bool is_well = status == STATUS_OK && error_code == ERROR_CODE_NONE;
    if (is_well) {
        note_committed(self, call);
    }
    offset_call_done(call);
    if (self->gives_up_next && !self->group.member.is_closing) {
        self->gives_up_next = is_well; /* A commit that failed is not tried again here. */
        give_up(self);
    }
}

/* False: there is nothing to commit, or it cannot be. */
static bool auto_commit(struct millrace_consumer *self)
{
    uint32_t count = 0;
    struct offset_call_row *rows = rows_due(self, false, &count);
    enum status status = STATUS_NOT_FOUND;
    if (count > 0) {
        int64_t until_ns =
            clock_monotonic_ns(host_clock()) + self->rebalance_timeout_ms / 2 * CLOCK_NS_PER_MS;
        self->auto_commit.on_done = auto_commit_on_done;
        status = consumer_group_commit(&self->group, &self->auto_commit, rows, count, until_ns);
    }
    free(rows);
    self->is_auto_committing = status == STATUS_OK;
    return self->is_auto_committing;
}

/* Commits first, where that is wanted; then the group goes on. */
static void give_up(struct millrace_consumer *self)
{
    if (self->is_auto_committing) {
        self->gives_up_next = true;
        return;
    }
    bool may_commit = self->auto_commit_ms > 0 && self->group.is_revoking;
    if (may_commit && auto_commit(self)) {
        self->gives_up_next = true;
        return;
    }
    self->gives_up_next = false;
    consumer_handle_purge(self, NULL);
    host_gate_enter(&self->gate);
    self->polled_count = 0;
    host_gate_leave(&self->gate);
    consumer_group_give_up(&self->group);
}

/* ---- calls: on the loop ---- */

static void offsets_on_done(struct offset_call *offsets, enum status status, int16_t error_code)
{
    struct consumer_handle_call *mine = container_of(offsets, struct consumer_handle_call, offsets);
    mine->status = status;
    mine->error_code = error_code;
    if (status == STATUS_OK && error_code == ERROR_CODE_NONE) {
        if (offsets->is_commit) {
            note_committed(mine->consumer, offsets);
        }
        for (uint32_t i = 0; i < offsets->row_count && !offsets->is_commit; i++) {
            mine->rows[i].offset = offsets->rows[i].offset;
        }
    }
    offset_call_done(offsets);
    session_end(&mine->call);
}

/* Has the group gone on without us, so that what was polled may be others' work? We may be in
 * again, and the coordinator would take it. */
static bool is_outrun(struct millrace_consumer *self, bool is_all)
{
    int32_t generation = self->group.member.generation;
    host_gate_enter(&self->gate);
    bool is_untold = !is_all && generation >= 0 && generation != self->told_generation;
    bool is_news = self->is_subscribed && (self->is_lost_due || is_untold);
    host_gate_leave(&self->gate);
    return is_news;
}

static enum status commit(struct consumer_handle_call *mine)
{
    struct millrace_consumer *self = mine->consumer;
    if (is_outrun(self, mine->rows == NULL)) {
        return STATUS_INVALID;
    }
    if (mine->rows != NULL) {
        return consumer_group_commit(&self->group, &mine->offsets, mine->rows, mine->row_count,
                                     mine->until_ns);
    }
    uint32_t count = 0;
    struct offset_call_row *rows = rows_due(self, true, &count);
    enum status status = rows == NULL ? STATUS_NO_MEMORY : STATUS_NOT_FOUND;
    if (count > 0) {
        status = consumer_group_commit(&self->group, &mine->offsets, rows, count, mine->until_ns);
    }
    free(rows);
    return status;
}

static void serve_offsets(struct consumer_handle_call *mine)
{
    mine->offsets.on_done = offsets_on_done;
    if (mine->verb == CONSUMER_COMMITTED) {
        mine->status = consumer_group_fetch(&mine->consumer->group, &mine->offsets, mine->rows,
                                            mine->row_count, mine->until_ns);
    } else {
        mine->status = commit(mine);
    }
    if (mine->status != STATUS_OK) {
        mine->status = mine->status == STATUS_NOT_FOUND ? STATUS_OK : mine->status; /* Nothing. */
        session_end(&mine->call);
    }
}

static void serve_subscribe(struct consumer_handle_call *mine)
{
    struct millrace_consumer *self = mine->consumer;
    if (self->group.topic_count == 0) {
        consumer_core_unassign(&self->core); /* What was assigned by hand. */
        consumer_handle_purge(self, NULL);
    }
    mine->status = consumer_group_subscribe(&self->group, mine->topics, mine->topic_count);
    host_gate_enter(&self->gate);
    self->is_subscribed |= mine->status == STATUS_OK;
    host_gate_leave(&self->gate);
    session_end(&mine->call);
}

bool consumer_membership_serve(struct consumer_handle_call *mine)
{
    struct millrace_consumer *self = mine->consumer;
    if (mine->verb == CONSUMER_COMMIT || mine->verb == CONSUMER_COMMITTED) {
        serve_offsets(mine);
        return true;
    }
    if (mine->verb == CONSUMER_SUBSCRIBE) {
        serve_subscribe(mine);
        return true;
    }
    if (mine->verb == CONSUMER_GIVE_UP) {
        give_up(self);
        session_end(&mine->call);
        return true;
    }
    if (mine->verb == CONSUMER_AUTO_COMMIT) {
        if (!self->is_auto_committing) {
            (void)auto_commit(self);
        }
        session_end(&mine->call);
        return true;
    }
    return false;
}

/* ---- the polling thread ---- */

static bool has_uncommitted(const struct millrace_consumer *self)
{
    for (size_t i = 0; i < self->polled_count; i++) {
        const struct consumer_handle_polled *polled = &self->polled[i];
        if (polled->processed >= 0 && polled->processed != polled->committed) {
            return true;
        }
    }
    return false;
}

int64_t consumer_membership_wake_ns(const struct millrace_consumer *self, int64_t until_ns)
{
    bool is_waiting = self->is_subscribed && self->auto_commit_ms > 0 && has_uncommitted(self);
    return is_waiting && self->auto_commit_ns < until_ns ? self->auto_commit_ns : until_ns;
}

bool consumer_membership_is_due(const struct millrace_consumer *self)
{
    if (!self->is_subscribed) {
        return false;
    }
    bool is_commit_due = self->auto_commit_ms > 0 && has_uncommitted(self) &&
                         clock_monotonic_ns(host_clock()) >= self->auto_commit_ns;
    return self->is_revoke_due || self->is_assigned_due || self->is_lost_due || is_commit_due;
}

static void tell(struct millrace_consumer *self, enum millrace_partitions_event event)
{
    if (self->on_partitions != NULL) {
        self->on_partitions(self->context, event);
    }
}

static void ask(struct millrace_consumer *self, enum consumer_handle_verb verb)
{
    struct consumer_handle_call call = {.verb = verb};
    status_ignore(consumer_handle_run(self, &call), "a handle that is closed says so to the poll");
}

static void set_place(struct millrace_consumer *self, const struct consumer_handle_place *place)
{
    host_gate_enter(&self->gate);
    self->place = *place;
    self->told_generation = place->generation >= 0 ? place->generation : self->told_generation;
    host_gate_leave(&self->gate);
}

void consumer_membership_poll(struct millrace_consumer *self, bool is_first)
{
    host_gate_enter(&self->gate);
    for (size_t i = 0; is_first && i < self->polled_count; i++) {
        self->polled[i].processed = self->polled[i].polled;
    }
    bool is_due = consumer_membership_is_due(self) && !self->is_closed;
    bool is_lost = self->is_lost_due;
    bool is_revoked = self->is_revoke_due;
    bool is_assigned = self->is_assigned_due && !is_revoked;
    struct consumer_handle_place assigned = nowhere;
    if (is_due) {
        self->is_lost_due = false;
        self->is_revoke_due = false;
        self->is_assigned_due = false;
        assigned = self->assigned;
        self->auto_commit_ns =
            clock_monotonic_ns(host_clock()) + self->auto_commit_ms * CLOCK_NS_PER_MS;
    }
    host_gate_leave(&self->gate);
    if (!is_due) {
        return;
    }
    if (is_lost) {
        set_place(self, &nowhere);
        tell(self, MILLRACE_PARTITIONS_LOST);
    }
    if (is_revoked) {
        tell(self, MILLRACE_PARTITIONS_REVOKED);
        set_place(self, &nowhere);
        ask(self, CONSUMER_GIVE_UP);
    } else if (self->auto_commit_ms > 0) {
        ask(self, CONSUMER_AUTO_COMMIT);
    }
    if (is_assigned) {
        set_place(self, &assigned);
        tell(self, MILLRACE_PARTITIONS_ASSIGNED);
    }
}
