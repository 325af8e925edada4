#include "raft/quorum_core.h"

#include "proto/sys/check.h"
#include "raft/quorum_apply.h"
#include "raft/quorum_io.h"
#include "raft/quorum_receive.h"
#include "raft/quorum_remedy.h"
#include "raft/quorum_send.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define QUORUM_CORE_MAGIC 0x0c04e5edU
#define FEW_ENTRIES 64U

/* --- Looking into libraft's log --------------------------------------------------------------- */

static size_t log_count(const struct raft_log *log)
{
    return log->front <= log->back ? log->back - log->front : log->size - log->front + log->back;
}

uint64_t quorum_core_last_index(const struct quorum_core *self)
{
    return self->raft.log.offset + log_count(&self->raft.log);
}

uint64_t quorum_core_term_at(const struct quorum_core *self, uint64_t index)
{
    const struct raft_log *log = &self->raft.log;
    if (index == 0) {
        return 0;
    }
    if (index == log->snapshot.last_index) {
        return log->snapshot.last_term;
    }
    if (index <= log->offset || index > quorum_core_last_index(self)) {
        return 0;
    }
    return log->entries[(log->front + (size_t)(index - 1 - log->offset)) % log->size].term;
}

bool quorum_core_is_busy(const struct quorum_core *self)
{
    return self->append_count > 0 || self->is_installing;
}

void quorum_core_set_configuration(struct quorum_core *self, uint64_t index)
{
    struct raft *raft = &self->raft;
    const struct quorum_configuration_entry *current =
        quorum_configuration_history_at(&self->history, index);
    if (current == NULL) {
        return;
    }
    const struct quorum_configuration_entry *committed =
        quorum_configuration_history_at(&self->history, raft->commit_index);
    struct raft_configuration configuration;
    enum status status =
        quorum_configuration_decode(current->bytes, current->byte_count, &configuration);
    check(status == STATUS_OK); /* It was checked on its way into the history. */
    raft_configuration_close(&raft->configuration);
    raft->configuration = configuration;
    raft->configuration_index =
        committed != NULL && committed->index < current->index ? committed->index : current->index;
    raft->configuration_uncommitted_index =
        current->index > raft->commit_index ? current->index : 0;
}

/* --- Settling --------------------------------------------------------------------------------- */

struct own_barrier {
    struct raft_barrier request;
    struct quorum_core *core;
    raft_term term;
};

static void barrier_on_applied(struct raft_barrier *request, int code)
{
    struct own_barrier *barrier = container_of(request, struct own_barrier, request);
    struct quorum_core *self = barrier->core;
    if (code == 0 && self->raft.state == RAFT_LEADER && self->raft.current_term == barrier->term) {
        self->is_ready = true;
    }
    raft_free(barrier);
}

static void settle_role(struct quorum_core *self)
{
    const struct raft *raft = &self->raft;
    if (raft->state == self->seen_state && raft->current_term == self->seen_term) {
        return;
    }
    trace_line(self->options.loop->trace, TRACE_DEBUG, "quorum", "role",
               "state=%d term=%llu last_index=%" PRIu64, raft->state, raft->current_term,
               quorum_core_last_index(self));
    self->seen_state = raft->state;
    self->seen_term = raft->current_term;
    self->barrier_index = 0;
    self->is_ready = false;
    memset(self->parked, 0, sizeof self->parked);
}

/* libraft commits entries of older terms by counting, which may lose them. Here the first entry of
 * a term is a barrier, and no acknowledgement counts before it is on this disk: then every commit
 * covers an entry of the own term. A transfer that is still pending refuses it: try again later. */
static bool settle_barrier(struct quorum_core *self)
{
    struct raft *raft = &self->raft;
    if (raft->state != RAFT_LEADER || self->barrier_index != 0 || raft->transfer != NULL) {
        return false;
    }
    if (!quorum_remedy_is_on(QUORUM_REMEDY_BARRIER)) {
        self->barrier_index = 1;
        self->is_ready = true;
        return false;
    }
    struct own_barrier *barrier = raft_malloc(sizeof *barrier);
    barrier->core = self;
    barrier->term = raft->current_term;
    self->barrier_index = quorum_core_last_index(self) + 1;
    int code = raft_barrier(raft, &barrier->request, barrier_on_applied);
    check(code == 0);
    return true;
}

static bool settle_parked(struct quorum_core *self)
{
    struct raft *raft = &self->raft;
    if (raft->state != RAFT_LEADER || self->barrier_index == 0 ||
        raft->last_stored < self->barrier_index) {
        return false;
    }
    for (uint32_t i = 0; i < QUORUM_CONFIGURATION_SERVERS_MAX; i++) {
        struct quorum_core_parked *parked = &self->parked[i];
        if (parked->raft_id != 0) {
            uint64_t raft_id = parked->raft_id;
            parked->raft_id = 0;
            quorum_receive_result(self, raft_id, &parked->result);
            return true;
        }
    }
    return false;
}

/* libraft counts entries and keeps them all in memory; large ones make it hold back less. */
static void settle_threshold(struct quorum_core *self)
{
    bool is_long = self->log.file_count > QUORUM_CORE_LOG_FILES;
    uint32_t threshold = self->options.snapshot_entries;
    uint32_t trailing = self->options.trailing_entries;
    if (is_long && threshold > FEW_ENTRIES) {
        threshold = FEW_ENTRIES;
    }
    if (is_long && trailing > FEW_ENTRIES) {
        trailing = FEW_ENTRIES;
    }
    raft_set_snapshot_threshold(&self->raft, threshold);
    raft_set_snapshot_trailing(&self->raft, trailing);
}

static void settle(struct quorum_core *self)
{
    bool goes_on = true;
    while (goes_on) {
        quorum_send_settle(self);
        settle_role(self);
        bool has_barrier = settle_barrier(self);
        goes_on = settle_parked(self) || has_barrier;
    }
    settle_threshold(self);
    quorum_send_fix_cuts(self);
    quorum_receive_settle(self);
}

void quorum_core_run(struct quorum_core *self,
                     void (*call)(struct quorum_core *self, void *argument), void *argument)
{
    check(self->magic == QUORUM_CORE_MAGIC);
    check(!self->is_inside);
    if (self->is_dead || self->is_closing) {
        return;
    }
    self->is_inside = true;
    struct quorum_heap *before = quorum_heap_enter(&self->heap);
    call(self, argument);
    if (!self->is_dead) {
        settle(self);
    }
    (void)quorum_heap_enter(before);
    self->is_inside = false;
    if (!self->is_dead && self->raft.state == RAFT_UNAVAILABLE) {
        /* libraft gives up where a committed entry would have to change. */
        quorum_core_die(self, STATUS_CORRUPT);
    }
    self->options.on_turn(self->options.context);
}

void quorum_core_die(struct quorum_core *self, enum status why)
{
    if (self->is_dead) {
        return;
    }
    trace_line(self->options.loop->trace, TRACE_ERROR, "quorum", "dead", "why=\"%s\" term=%llu",
               status_text(why), self->raft.current_term);
    self->is_dead = true;
    self->death = why;
    self->is_ready = false;
    timer_stop(&self->tick);
    timer_stop(&self->failover);
}

/* --- Time ------------------------------------------------------------------------------------- */

static void tick_inside(struct quorum_core *self, void *argument)
{
    (void)argument;
    struct raft *raft = &self->raft;
    if (raft->state != RAFT_LEADER && quorum_core_is_busy(self) &&
        quorum_remedy_is_on(QUORUM_REMEDY_NO_TICK)) {
        return;
    }
    raft_time silent_ms = self->io.time(&self->io) - raft->election_timer_start;
    if (raft->state == RAFT_CANDIDATE && raft->pre_vote && !raft->candidate_state.in_pre_vote &&
        silent_ms >= raft->candidate_state.randomized_election_timeout &&
        quorum_remedy_is_on(QUORUM_REMEDY_PRE_VOTE)) {
        raft->candidate_state.in_pre_vote = true;
        raft->candidate_state.disrupt_leader = false;
    }
    if (raft->state == RAFT_FOLLOWER &&
        silent_ms >= raft->follower_state.randomized_election_timeout &&
        quorum_remedy_is_on(QUORUM_REMEDY_NON_VOTER)) {
        /* Who is no voter starts no election, and would refuse votes for its dead leader's sake. */
        raft->follower_state.current_leader.id = 0;
    }
    self->on_tick(&self->io);
}

static void tick_on_fire(struct timer *timer)
{
    struct quorum_core *self = container_of(timer, struct quorum_core, tick);
    timer_start_after(timer, self->options.heartbeat_ms * CLOCK_NS_PER_MS);
    const struct raft *raft = &self->raft;
    if (raft->state == RAFT_FOLLOWER && raft->transfer == NULL &&
        self->io.time(&self->io) - raft->election_timer_start <
            raft->follower_state.randomized_election_timeout) {
        return; /* The core would do nothing. */
    }
    quorum_core_run(self, tick_inside, NULL);
}

static void failover_on_fire(struct timer *timer)
{
    quorum_core_run(container_of(timer, struct quorum_core, failover), tick_inside, NULL);
}

void quorum_core_peer_lost(struct quorum_core *self, int32_t node_id)
{
    struct raft *raft = &self->raft;
    if (self->is_dead || self->is_closing || raft->state != RAFT_FOLLOWER || !raft->pre_vote ||
        raft->follower_state.current_leader.id == 0 ||
        quorum_meta_node_id(raft->follower_state.current_leader.id) != node_id) {
        return;
    }
    /* Timers carry no safety, and pre-vote protects a leader whom the others still hear: so the
     * timer is set to run out after a short random wait, which keeps two followers apart. */
    uint32_t wait_ms = (uint32_t)prng_below(&self->options.loop->prng, self->options.heartbeat_ms);
    uint32_t timeout_ms = raft->follower_state.randomized_election_timeout;
    raft_time start = self->io.time(&self->io) + wait_ms - timeout_ms;
    raft->follower_state.current_leader.id = 0;
    if (wait_ms < timeout_ms && start < raft->election_timer_start) {
        raft->election_timer_start = start;
        timer_start_after(&self->failover, ((int64_t)wait_ms + 1) * CLOCK_NS_PER_MS);
    }
}

/* --- Life ------------------------------------------------------------------------------------- */

static void start_inside(struct quorum_core *self, enum status *out_status)
{
    const struct quorum_core_options *options = &self->options;
    struct raft *raft = &self->raft;
    *raft = (struct raft){0};
    int code = raft_init(raft, &self->io, &self->machine, self->raft_id, self->identity);
    check(code == 0);
    raft_set_election_timeout(raft, options->election_ms);
    raft_set_heartbeat_timeout(raft, options->heartbeat_ms);
    raft_set_install_snapshot_timeout(raft, QUORUM_CORE_INSTALL_MS);
    raft_set_snapshot_threshold(raft, options->snapshot_entries);
    raft_set_snapshot_trailing(raft, options->trailing_entries);
    raft_set_pre_vote(raft, true);
    self->load_status = STATUS_OK;
    code = raft_start(raft);
    if (code != 0) {
        *out_status = self->load_status != STATUS_OK ? self->load_status : STATUS_CORRUPT;
        return;
    }
    if (quorum_remedy_is_on(QUORUM_REMEDY_HISTORY) && raft->state != RAFT_LEADER) {
        /* libraft takes the last configuration of its log for committed. */
        quorum_core_set_configuration(self, quorum_core_last_index(self));
    }
    *out_status = STATUS_OK;
}

static enum status start(struct quorum_core *self)
{
    quorum_heap_init(&self->heap);
    self->seen_state = -1;
    self->seen_term = 0;
    self->barrier_index = 0;
    self->is_ready = false;
    self->verified_term = 0;
    self->verified_index = 0;
    self->deferred_count = 0;
    self->cut_count = 0;
    self->epoch += 1;
    self->is_inside = true;
    struct quorum_heap *before = quorum_heap_enter(&self->heap);
    enum status status = STATUS_OK;
    start_inside(self, &status);
    if (status == STATUS_OK && !self->is_dead) {
        settle(self);
    }
    (void)quorum_heap_enter(before);
    self->is_inside = false;
    return status != STATUS_OK ? status : self->is_dead ? self->death : STATUS_OK;
}

static enum status open_parts(struct quorum_core *self, const char **out_part)
{
    const struct quorum_core_options *options = &self->options;
    *out_part = "vote";
    TRY(quorum_vote_load(&self->vote, options->loop->disk, options->directory,
                         options->meta->directory_id));
    *out_part = "snapshots";
    TRY(quorum_snapshot_open(&self->snapshots, options->loop, options->directory));
    *out_part = "log";
    return start(self);
}

enum status quorum_core_open(struct quorum_core *self, const struct quorum_core_options *options)
{
    const struct quorum_meta *meta = options->meta;
    check(meta->is_born);
    check(options->heartbeat_ms > 0 && options->election_ms > options->heartbeat_ms);
    check(options->snapshot_entries > 0 && options->trailing_entries > 0);

    *self = (struct quorum_core){.magic = QUORUM_CORE_MAGIC, .options = *options};
    self->raft_id = quorum_meta_raft_id(meta->node_id, meta->directory_id);
    quorum_configuration_identity(meta->node_id, meta->directory_id, self->identity);
    list_init(&self->held);
    list_init(&self->appends);
    timer_init(&self->tick, &options->loop->timers, tick_on_fire);
    timer_init(&self->failover, &options->loop->timers, failover_on_fire);
    quorum_io_init(self);
    quorum_apply_init(self);
    const char *part = NULL;
    enum status status = open_parts(self, &part);
    if (status != STATUS_OK) {
        trace_line(options->loop->trace, TRACE_ERROR, "quorum", "not-opened",
                   "part=%s why=\"%s\" directory=\"%s\"", part, status_text(status),
                   options->directory);
        return status;
    }
    timer_start_after(&self->tick, (int64_t)prng_below(&options->loop->prng,
                                                       options->heartbeat_ms * CLOCK_NS_PER_MS));
    return STATUS_OK;
}

void quorum_core_restart(struct quorum_core *self)
{
    check(!self->is_inside);
    check(!quorum_core_is_busy(self) && !self->is_putting);
    check(quorum_log_is_idle(&self->log));
    quorum_log_close(&self->log);
    quorum_heap_drop(&self->heap);
    enum status status = start(self);
    if (status != STATUS_OK) {
        quorum_core_die(self, status);
    }
}

void quorum_core_close(struct quorum_core *self)
{
    if (self->magic != QUORUM_CORE_MAGIC) {
        return;
    }
    check(!self->is_inside);
    self->is_closing = true;
    timer_done(&self->tick);
    timer_done(&self->failover);
    /* What still runs on the lanes ends here; it finds the core closing and touches nothing. */
    quorum_snapshot_close(&self->snapshots);
    quorum_log_close(&self->log);
    quorum_vote_done(&self->vote);
    quorum_receive_drop_held(self);
    quorum_configuration_history_done(&self->history);
    quorum_heap_drop(&self->heap);
    quorum_io_done(self);
    free(self->deferred);
    self->deferred = NULL;
}
