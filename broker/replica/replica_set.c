#include "broker/replica/replica_set.h"

#include "proto/sys/check.h"

#include <stddef.h>

#define REPLICA_SET_MAGIC 0x4e91ca5eU

static struct replica *find(struct replica_set *self, int32_t broker_id)
{
    for (uint8_t i = 0; i < self->replica_count; i++) {
        if (self->replicas[i].broker_id == broker_id) {
            return &self->replicas[i];
        }
    }
    return NULL;
}

static bool contains(const int32_t *ids, uint8_t count, int32_t id)
{
    for (uint8_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static void term_check(const struct replica_set_term *term)
{
    check(term->replica_count > 0);
    check(term->replica_count <= REPLICA_SET_MAX);
    check(term->min_isr > 0);
    check(contains(term->replicas, term->replica_count, term->local_id));
    for (uint8_t i = 0; i < term->isr_count; i++) {
        check(contains(term->replicas, term->replica_count, term->isr[i]));
    }
}

/* The lowest flushed end of the maximal ISR; -1 while a member has not told its own. */
static int64_t lowest_flushed_end(const struct replica_set *self)
{
    int64_t lowest = INT64_MAX;
    for (uint8_t i = 0; i < self->replica_count; i++) {
        const struct replica *replica = &self->replicas[i];
        if (!replica->is_in_isr && !replica->is_joining) {
            continue;
        }
        lowest = replica->flushed_end < lowest ? replica->flushed_end : lowest;
    }
    return lowest == INT64_MAX ? -1 : lowest;
}

static bool advance(struct replica_set *self)
{
    if (!replica_set_has_min_isr(self)) {
        return false;
    }
    int64_t lowest = lowest_flushed_end(self);
    if (lowest <= self->high_watermark) {
        return false;
    }
    self->high_watermark = lowest;
    return true;
}

void replica_set_lead(struct replica_set *self, const struct replica_set_term *term)
{
    term_check(term);
    check(term->flushed_end <= term->log_end);
    check(term->high_watermark <= term->log_end);

    *self = (struct replica_set){
        .magic = REPLICA_SET_MAGIC,
        .local_id = term->local_id,
        .leader_epoch = term->leader_epoch,
        .partition_epoch = term->partition_epoch,
        .replica_count = term->replica_count,
        .min_isr = term->min_isr,
        .high_watermark = term->high_watermark,
        .epoch_start = term->log_end,
    };
    for (uint8_t i = 0; i < term->replica_count; i++) {
        bool is_local = term->replicas[i] == term->local_id;
        self->replicas[i] = (struct replica){
            .broker_id = term->replicas[i],
            .is_in_isr = contains(term->isr, term->isr_count, term->replicas[i]),
            .broker_epoch = -1,
            .end = is_local ? term->log_end : -1,
            .flushed_end = is_local ? term->flushed_end : -1,
            .leader_end_at_last_fetch = INT64_MAX,
            .caught_up_ns = term->now_ns,
        };
    }
    (void)advance(self);
}

bool replica_set_update(struct replica_set *self, const struct replica_set_term *term)
{
    check(self->magic == REPLICA_SET_MAGIC);
    check(term->leader_epoch == self->leader_epoch);
    term_check(term);
    if (term->partition_epoch <= self->partition_epoch) {
        return false;
    }

    struct replica_set before = *self;
    self->partition_epoch = term->partition_epoch;
    self->replica_count = term->replica_count;
    self->min_isr = term->min_isr;
    self->is_proposal_pending = false;
    for (uint8_t i = 0; i < term->replica_count; i++) {
        const struct replica *known = find(&before, term->replicas[i]);
        struct replica *replica = &self->replicas[i];
        *replica = known != NULL ? *known
                                 : (struct replica){.broker_id = term->replicas[i],
                                                    .broker_epoch = -1,
                                                    .end = -1,
                                                    .flushed_end = -1,
                                                    .leader_end_at_last_fetch = INT64_MAX,
                                                    .caught_up_ns = term->now_ns};
        replica->is_joining = false;
        replica->is_in_isr = contains(term->isr, term->isr_count, term->replicas[i]);
    }
    (void)advance(self);
    return true;
}

void replica_set_set_min_isr(struct replica_set *self, uint8_t min_isr)
{
    check(self->magic == REPLICA_SET_MAGIC);
    check(min_isr > 0);
    self->min_isr = min_isr;
    (void)advance(self);
}

bool replica_set_appended(struct replica_set *self, int64_t end, int64_t now_ns)
{
    struct replica *local = find(self, self->local_id);
    check(self->magic == REPLICA_SET_MAGIC);
    check(end >= local->end);
    local->end = end;
    local->caught_up_ns = now_ns;
    return false; /* Only a flush can move the high watermark. */
}

bool replica_set_flushed(struct replica_set *self, int64_t flushed_end)
{
    struct replica *local = find(self, self->local_id);
    check(self->magic == REPLICA_SET_MAGIC);
    check(flushed_end <= local->end);
    if (flushed_end <= local->flushed_end) {
        return false;
    }
    local->flushed_end = flushed_end;
    return advance(self);
}

enum status replica_set_fetched(struct replica_set *self, const struct replica_set_fetch *fetch,
                                bool *out_high_watermark_moved)
{
    check(self->magic == REPLICA_SET_MAGIC);
    struct replica *replica = find(self, fetch->broker_id);
    if (replica == NULL || fetch->broker_id == self->local_id) {
        return STATUS_NOT_FOUND;
    }
    if (fetch->broker_epoch < replica->broker_epoch) {
        return STATUS_FENCED;
    }

    const struct replica *local = find(self, self->local_id);
    if (fetch->end >= local->end) {
        replica->caught_up_ns = fetch->now_ns;
    } else if (fetch->end >= replica->leader_end_at_last_fetch) {
        replica->caught_up_ns = replica->last_fetch_ns;
    }
    replica->broker_epoch = fetch->broker_epoch;
    replica->end = fetch->end;
    /* A follower cannot have flushed more than it has, whatever it says. */
    replica->flushed_end = fetch->flushed_end <= fetch->end ? fetch->flushed_end : fetch->end;
    replica->last_fetch_ns = fetch->now_ns;
    replica->leader_end_at_last_fetch = local->end;
    *out_high_watermark_moved = advance(self);
    return STATUS_OK;
}

uint8_t replica_set_isr_count(const struct replica_set *self)
{
    uint8_t count = 0;
    for (uint8_t i = 0; i < self->replica_count; i++) {
        count = (uint8_t)(count + (self->replicas[i].is_in_isr ? 1 : 0));
    }
    return count;
}

bool replica_set_has_min_isr(const struct replica_set *self)
{
    /* More than there are replicas cannot be asked for: a topic of one replica stays writable. */
    uint8_t wanted = self->min_isr < self->replica_count ? self->min_isr : self->replica_count;
    return replica_set_isr_count(self) >= wanted;
}

/* Up to the start of our term anything may have been committed by a former leader, though our high
 * watermark is below: a member must not lose that with its power. */
static bool may_join(const struct replica_set *self, const struct replica *replica)
{
    return replica->broker_epoch >= 0 && replica->flushed_end >= self->high_watermark &&
           replica->flushed_end >= self->epoch_start;
}

bool replica_set_propose(struct replica_set *self, int64_t now_ns, int64_t lag_ns,
                         struct replica_set_proposal *out_proposal)
{
    check(self->magic == REPLICA_SET_MAGIC);
    check(lag_ns > 0);
    if (self->is_proposal_pending) {
        return false;
    }

    struct replica_set_proposal proposal = {0};
    bool joins[REPLICA_SET_MAX] = {false};
    bool is_changed = false;
    for (uint8_t i = 0; i < self->replica_count; i++) {
        const struct replica *replica = &self->replicas[i];
        bool is_local = replica->broker_id == self->local_id;
        bool is_behind = !is_local && now_ns - replica->caught_up_ns > lag_ns;
        joins[i] = !replica->is_in_isr && !is_behind && may_join(self, replica);
        bool leaves = replica->is_in_isr && is_behind;
        is_changed = is_changed || joins[i] || leaves;
        if ((replica->is_in_isr && !leaves) || joins[i]) {
            proposal.broker_ids[proposal.count] = replica->broker_id;
            proposal.broker_epochs[proposal.count] = replica->broker_epoch;
            proposal.count += 1;
        }
    }
    if (!is_changed) {
        return false;
    }
    for (uint8_t i = 0; i < self->replica_count; i++) {
        self->replicas[i].is_joining = self->replicas[i].is_joining || joins[i];
    }
    self->is_proposal_pending = true;
    *out_proposal = proposal;
    return true;
}

void replica_set_proposal_ended(struct replica_set *self, bool is_fate_known)
{
    check(self->magic == REPLICA_SET_MAGIC);
    self->is_proposal_pending = false;
    if (!is_fate_known) {
        return;
    }
    for (uint8_t i = 0; i < self->replica_count; i++) {
        self->replicas[i].is_joining = false;
    }
    (void)advance(self);
}
