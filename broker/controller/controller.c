#include "broker/controller/controller.h"

#include "broker/controller/commit_news.h"
#include "broker/controller/liveness.h"
#include "broker/metadata/image_delta.h"
#include "broker/metadata/image_snapshot.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define CONTROLLER_MAGIC 0xc0117a01U
#define CONTROLLER_ARENA_BYTES_MAX (16U << 20)
#define CONTROLLER_ATTEMPTS_MAX 8U
#define CONTROLLER_COMMAND_BYTES_MAX (QUORUM_PROPOSAL_BYTES_MAX - 64U) /* Room to frame it. */
#define CONTROLLER_BALANCE_CHANGES_MAX 1000U
#define CONTROLLER_BALANCE_MS_DEFAULT 300000
#define CONTROLLER_TICK_NS_MIN (10 * CLOCK_NS_PER_MS)
#define CONTROLLER_RETRY_NS (100 * CLOCK_NS_PER_MS)

/* One decision on its way. One without records has no proposal: it is answered when all before it
 * are done, since it was decided as if they were. */
struct controller_flight {
    struct list link;
    struct controller *controller;
    struct controller_request *request; /* NULL: nobody waits any more. */
    struct quorum_proposal proposal;
    uint8_t *bytes; /* Owned; NULL: no records. */
    uint8_t token[IMAGE_TOKEN_BYTES];
    int64_t term;
    uint64_t generation; /* Of the speculation it was decided against. */
    bool is_done;
    bool is_refused;
    bool is_seen;         /* Applied here, or in a snapshot that was. */
    bool is_out_of_sight; /* A snapshot has passed over more than it remembers. */
    bool is_registration; /* The epoch in the speculation was a guess. */
    enum status status;
    uint64_t index;
};

struct controller {
    uint32_t magic;
    struct controller_options options;
    struct quorum_fsm fsm;
    struct quorum *quorum;     /* Borrowed; NULL before controller_attach(). */
    struct image *newest;      /* Owned reference: what is agreed. */
    struct image *speculative; /* Owned reference: with all flights applied. */
    uint64_t generation;       /* Rises when a flight did not become what was assumed. */
    bool is_draining;          /* Nothing is decided until the flights are done. */
    bool is_turning;
    bool is_ready;
    bool is_dead; /* A command could not be read. */
    int64_t term;
    struct list waiting;
    uint32_t waiting_count;
    struct list flights; /* In order of their proposals. */
    uint32_t flight_count;
    struct list unknown; /* Flights whose leadership was lost. */
    struct liveness liveness;
    struct timer tick; /* When the next session ends. */
    struct timer kick; /* Upkeep in a turn of its own. */
    int64_t balance_at_ns;
    struct controller_request upkeep;
    bool is_upkeep_busy;
    bool needs_repairs;
    bool is_balance_due;
    struct commit_news news;
};

static void turn(struct controller *self);
static void want_upkeep(struct controller *self);
static void upkeep_answered(struct controller *self, enum status status);

static void set_image(struct image **place, struct image *image)
{
    struct image *old = *place;
    *place = image_ref(image);
    image_unref(old);
}

/* ---- Answers. ---- */

static void answer_deliver(struct mail *mail)
{
    struct controller_request *request = container_of(mail, struct controller_request, mail);
    request->on_done(request, request->status);
}

static void answer(struct controller_request *request, enum status status)
{
    struct controller *self = request->controller;
    timer_done(&request->timer);
    request->status = status;
    if (request->kind == CONTROLLER_UPKEEP) {
        upkeep_answered(self, status);
        return;
    }
    request->mail.deliver = answer_deliver;
    mailbox_post(request->reply_loop == NULL ? &self->options.loop->mailbox
                                             : &request->reply_loop->mailbox,
                 &request->mail);
}

static void answer_waiting(struct controller *self, struct controller_request *request,
                           enum status status)
{
    list_remove(&request->link);
    self->waiting_count -= 1;
    answer(request, status);
}

static void request_on_deadline(struct timer *timer)
{
    struct controller_request *request = container_of(timer, struct controller_request, timer);
    struct controller_flight *flight = request->flight;
    if (flight == NULL) {
        answer_waiting(request->controller, request, STATUS_TIMEOUT);
        return;
    }
    flight->request = NULL;
    answer(request, flight->bytes == NULL ? STATUS_TIMEOUT : STATUS_UNKNOWN);
}

/* ---- Flights. ---- */

static void free_flight(struct controller_flight *flight)
{
    list_remove(&flight->link);
    free(flight->bytes);
    free(flight);
}

/* Decided once more from the newest state, before whoever came later. */
static void decide_again(struct controller *self, struct controller_request *request)
{
    request->flight = NULL;
    request->attempt_count += 1;
    if (request->kind == CONTROLLER_UPKEEP) {
        self->needs_repairs = true;
    }
    if (!self->is_ready || request->attempt_count >= CONTROLLER_ATTEMPTS_MAX) {
        answer(request, self->is_ready ? STATUS_BUSY : STATUS_NOT_LEADER);
        return;
    }
    list_insert_before(self->waiting.next, &request->link);
    self->waiting_count += 1;
}

static bool is_partial(const struct controller_request *request)
{
    return request->kind == CONTROLLER_REGISTER_BROKER &&
           request->command.register_broker->is_partial;
}

/* What the controller itself takes from a decision that is agreed now. */
static void settle_done(struct controller *self, const struct controller_request *request)
{
    int64_t now_ns = loop_now_ns(self->options.loop);
    if (request->kind == CONTROLLER_REGISTER_BROKER &&
        request->command.register_broker->error.reason == DECISION_NONE) {
        struct broker_decisions_register *command = request->command.register_broker;
        if (command->epoch == 0) {
            command->epoch = (int64_t)request->index;
        }
        liveness_touch(&self->liveness, command->broker_id, command->epoch, 0, now_ns);
    }
    bool is_partial_heartbeat =
        request->kind == CONTROLLER_HEARTBEAT && request->command.heartbeat->is_partial;
    /* A topic may allow now what brings a leader to its partitions. */
    if (is_partial_heartbeat || request->kind == CONTROLLER_ALTER_CONFIGS) {
        self->needs_repairs = true;
        want_upkeep(self);
    }
}

static void finish_flight(struct controller *self, struct controller_flight *flight)
{
    struct controller_request *request = flight->request;
    enum status status = flight->status;
    bool is_stale = flight->bytes == NULL ? flight->generation != self->generation
                                          : status == STATUS_OK && flight->is_refused;
    if (request == NULL) {
        return;
    }
    request->index = flight->bytes == NULL ? image_index(self->newest) : flight->index;
    if (status == STATUS_OK && (is_stale || is_partial(request))) {
        decide_again(self, request);
        return;
    }
    request->flight = NULL;
    if (status == STATUS_OK) {
        settle_done(self, request);
    }
    answer(request, status);
}

/* Answers in order, from the oldest flight on, up to one that is still under way. */
static void reap(struct controller *self)
{
    while (!list_is_empty(&self->flights)) {
        struct controller_flight *flight =
            container_of(self->flights.next, struct controller_flight, link);
        if (flight->bytes != NULL && !flight->is_done) {
            return;
        }
        self->flight_count -= 1;
        if (flight->bytes != NULL && flight->status == STATUS_UNKNOWN && flight->request != NULL) {
            list_remove(&flight->link);
            list_append(&self->unknown, &flight->link);
            continue;
        }
        finish_flight(self, flight);
        free_flight(flight);
    }
    self->is_draining = false;
    set_image(&self->speculative, self->newest);
}

static void break_speculation(struct controller *self)
{
    self->generation += 1;
    self->is_draining = true;
}

static void proposal_on_done(struct quorum_proposal *proposal, enum status status)
{
    struct controller_flight *flight = container_of(proposal, struct controller_flight, proposal);
    struct controller *self = flight->controller;
    check(self->magic == CONTROLLER_MAGIC);
    check(status != STATUS_OK || flight->is_seen || self->is_dead);
    flight->is_done = true;
    if (flight->is_seen) {
        flight->status = STATUS_OK; /* Whatever was feared. */
    } else if (status == STATUS_OK) {
        flight->status = STATUS_UNKNOWN;
    } else {
        flight->status = status == STATUS_FULL ? STATUS_BUSY : status;
    }
    if (flight->status != STATUS_OK || flight->is_refused || flight->is_registration) {
        break_speculation(self);
    }
    if (status == STATUS_OK) {
        commit_news_spread(&self->news, self->quorum, self->newest);
    }
    turn(self);
}

/* ---- Deciding. ---- */

static void decide_register(struct controller *self, struct decision *decision,
                            struct broker_decisions_register *command)
{
    int64_t now_ns = loop_now_ns(self->options.loop);
    command->is_session_live = liveness_is_live(&self->liveness, command->broker_id, now_ns);
    command->is_session_heard = liveness_is_heard(&self->liveness, command->broker_id, now_ns);
    broker_decisions_register(decision, command);
}

static void decide_heartbeat(struct controller *self, struct decision *decision,
                             struct broker_decisions_heartbeat *command)
{
    const struct image_broker *broker = image_broker_by_id(self->newest, command->broker_id);
    if (broker != NULL && broker->epoch == command->broker_epoch) {
        liveness_touch(&self->liveness, command->broker_id, command->broker_epoch,
                       command->applied_index, loop_now_ns(self->options.loop));
        if (broker->is_shutting_down) {
            liveness_set_shutdown(&self->liveness, broker->id, image_index(self->newest));
        }
    }
    command->is_shutdown_known =
        liveness_knows_shutdown(&self->liveness, self->newest, command->broker_id);
    broker_decisions_heartbeat(decision, command);
}

/* One step of what is to be done: the first of these that has something to do. */
static void decide_upkeep(struct controller *self, struct decision *decision)
{
    int64_t now_ns = loop_now_ns(self->options.loop);
    if (wire_uuid_is_zero(image_cluster_id(decision->image))) {
        struct quorum_status status = quorum_status_of(self->quorum);
        struct wire_uuid cluster_id;
        memcpy(cluster_id.bytes, status.cluster_id, sizeof cluster_id.bytes);
        cluster_writer_cluster(decision->writer, &cluster_id);
        return;
    }
    const struct image_broker *gone =
        liveness_next_expired(&self->liveness, decision->image, now_ns);
    if (gone != NULL) {
        trace_line(self->options.loop->trace, TRACE_WARN, "controller", "broker fenced",
                   "broker=%d epoch=%lld next=\"its partitions get other leaders\"", gone->id,
                   (long long)gone->epoch);
        if (!broker_decisions_fence(decision, gone->id, gone->epoch)) {
            self->needs_repairs = true;
        }
        return;
    }
    if (self->needs_repairs) {
        self->needs_repairs = !leader_election_decide_repairs(decision);
    }
    if (decision->writer->record_count == 0 && self->is_balance_due) {
        self->is_balance_due = false;
        (void)leader_election_decide_preferred(decision, CONTROLLER_BALANCE_CHANGES_MAX);
    }
}

static void view_quorum(const struct controller *self, struct controller_quorum_view *view)
{
    struct quorum_status status = quorum_status_of(self->quorum);
    view->leader_id = self->options.node_id;
    view->term = (int32_t)self->term;
    view->applied_end = (int64_t)status.applied_index + 1;
    view->log_end = (int64_t)status.last_index + 1;
    for (uint32_t i = 0; i < view->follower_count; i++) {
        struct controller_quorum_follower *follower = &view->followers[i];
        uint64_t applied = liveness_applied_index(&self->liveness, follower->broker_id);
        follower->applied_end = applied == 0 ? -1 : (int64_t)applied + 1;
    }
}

static void decide(struct controller *self, struct controller_request *request,
                   struct decision *decision)
{
    switch (request->kind) {
    case CONTROLLER_CREATE_TOPICS:
        topic_decisions_create_topics(decision, request->command.create_topics);
        return;
    case CONTROLLER_DELETE_TOPICS:
        topic_decisions_delete_topics(decision, request->command.delete_topics);
        return;
    case CONTROLLER_CREATE_PARTITIONS:
        topic_decisions_create_partitions(decision, request->command.create_partitions);
        return;
    case CONTROLLER_ALTER_CONFIGS:
        config_decisions_alter(decision, request->command.alter_configs);
        return;
    case CONTROLLER_REGISTER_BROKER:
        decide_register(self, decision, request->command.register_broker);
        return;
    case CONTROLLER_HEARTBEAT:
        decide_heartbeat(self, decision, request->command.heartbeat);
        return;
    case CONTROLLER_ALTER_PARTITIONS:
        isr_decisions_alter(decision, request->command.alter_partitions);
        return;
    case CONTROLLER_ALLOCATE_PRODUCER_IDS:
        producer_id_decisions_allocate(decision, request->command.producer_ids);
        return;
    case CONTROLLER_ELECT_LEADERS:
        leader_election_decide_asked(decision, request->command.elect_leaders);
        return;
    case CONTROLLER_DESCRIBE_QUORUM:
        view_quorum(self, request->command.quorum);
        return;
    case CONTROLLER_UPKEEP:
        decide_upkeep(self, decision);
        return;
    default:
        check_unreachable("a kind of request");
    }
}

/* Puts the flight on its way; the speculation goes on from what it will be. */
static enum status launch(struct controller *self, struct controller_flight *flight,
                          const struct cluster_writer *writer)
{
    struct image_delta delta;
    struct loop *loop = self->options.loop;
    size_t byte_count = 0;
    prng_fill(&loop->prng, flight->token, sizeof flight->token);
    flight->bytes =
        cluster_writer_command(writer, flight->token, clock_wall_ms(loop->clock), &byte_count);
    if (byte_count > CONTROLLER_COMMAND_BYTES_MAX) {
        return STATUS_FULL;
    }
    TRY(image_delta_apply(self->speculative, image_index(self->speculative) + 1, flight->bytes,
                          byte_count, &delta));
    if (delta.is_refused) {
        /* A decision that does not fit the image it was made from is our bug; the cluster is kept
         * out of it. */
        trace_line(loop->trace, TRACE_ERROR, "controller", "decision contradicts its image",
                   "why=\"%s\" next=\"nothing was changed\"", delta.refusal);
        image_unref(delta.image);
        return STATUS_INVALID;
    }
    set_image(&self->speculative, delta.image);
    image_unref(delta.image);
    flight->proposal = (struct quorum_proposal){
        .bytes = flight->bytes, .byte_count = byte_count, .on_done = proposal_on_done};
    quorum_propose(self->quorum, &flight->proposal);
    return STATUS_OK;
}

static void decide_next(struct controller *self, struct controller_request *request)
{
    struct arena arena;
    struct cluster_writer writer;
    arena_init(&arena, CONTROLLER_ARENA_BYTES_MAX);
    cluster_writer_init_command(&writer);
    struct decision decision = {.image = self->speculative,
                                .writer = &writer,
                                .arena = &arena,
                                .prng = &self->options.loop->prng,
                                .defaults = self->options.defaults};
    decide(self, request, &decision);
    struct controller_flight *flight = calloc(1, sizeof *flight);
    enum status status = flight == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (flight != NULL) {
        flight->controller = self;
        flight->request = request;
        flight->term = self->term;
        flight->generation = self->generation;
        flight->is_registration = request->kind == CONTROLLER_REGISTER_BROKER;
        list_append(&self->flights, &flight->link);
        request->flight = flight;
        status = writer.record_count == 0 ? STATUS_OK : launch(self, flight, &writer);
        if (status != STATUS_OK) {
            request->flight = NULL;
            free_flight(flight);
        }
    }
    cluster_writer_done(&writer);
    arena_done(&arena);
    if (status == STATUS_OK) {
        self->flight_count += 1;
    } else {
        answer(request, status == STATUS_NO_MEMORY ? STATUS_BUSY : status);
    }
}

/* Answers what is done and decides what waits, as far as there is room for it to be under way. */
static void turn(struct controller *self)
{
    if (self->is_turning) {
        return; /* From inside; the outer one goes on. */
    }
    self->is_turning = true;
    reap(self);
    while (self->is_ready && !self->is_draining && !list_is_empty(&self->waiting) &&
           self->flight_count < CONTROLLER_FLIGHTS_MAX) {
        struct controller_request *request =
            container_of(list_take_first(&self->waiting), struct controller_request, link);
        self->waiting_count -= 1;
        decide_next(self, request);
        reap(self); /* One without records may be done at once. */
    }
    self->is_turning = false;
}

void controller_submit(struct controller *self, struct controller_request *request)
{
    check(self->magic == CONTROLLER_MAGIC);
    request->controller = self;
    request->flight = NULL;
    request->attempt_count = 0;
    request->index = 0;
    timer_init(&request->timer, &self->options.loop->timers, request_on_deadline);
    if (!self->is_ready || self->quorum == NULL) {
        answer(request, STATUS_NOT_LEADER);
        return;
    }
    if (self->waiting_count >= CONTROLLER_WAITING_MAX) {
        answer(request, STATUS_BUSY);
        return;
    }
    if (request->deadline_ns < INT64_MAX) {
        timer_start_at(&request->timer, request->deadline_ns);
    }
    list_append(&self->waiting, &request->link);
    self->waiting_count += 1;
    turn(self);
}

static void post_deliver(struct mail *mail)
{
    struct controller_request *request = container_of(mail, struct controller_request, mail);
    controller_submit(request->controller, request);
}

void controller_post(struct controller *self, struct controller_request *request,
                     struct loop *reply_loop)
{
    request->controller = self;
    request->reply_loop = reply_loop;
    request->mail.deliver = post_deliver;
    mailbox_post(&self->options.loop->mailbox, &request->mail);
}

/* ---- The state machine. ---- */

static bool mark_seen(struct list *flights, const struct image_delta *delta, uint64_t index)
{
    list_for_each(link, flights)
    {
        struct controller_flight *flight = container_of(link, struct controller_flight, link);
        if (flight->bytes != NULL && memcmp(flight->token, delta->token, IMAGE_TOKEN_BYTES) == 0) {
            flight->is_seen = true;
            flight->is_refused = delta->is_refused;
            flight->index = index;
            return true;
        }
    }
    return false;
}

/* A snapshot took the place of commands: their tokens are in it, but for those of refused ones. */
static void find_in_snapshot(struct list *flights, const struct image *image, uint64_t passed_count)
{
    list_for_each(link, flights)
    {
        struct controller_flight *flight = container_of(link, struct controller_flight, link);
        if (flight->bytes != NULL && !flight->is_seen) {
            flight->is_seen = image_knows_token(image, flight->token, &flight->index);
            flight->is_out_of_sight = flight->is_out_of_sight ||
                                      (!flight->is_seen && passed_count > IMAGE_TOKENS_REMEMBERED);
        }
    }
}

/* Entries of `term` follow all of earlier terms: what was not seen until now is lost. */
static void resolve_unknown(struct controller *self, int64_t term)
{
    list_for_each_removable(link, &self->unknown)
    {
        struct controller_flight *flight = container_of(link, struct controller_flight, link);
        if (!flight->is_seen && !flight->is_out_of_sight && flight->term >= term) {
            continue;
        }
        if (flight->is_seen) {
            flight->status = flight->is_refused ? STATUS_NOT_LEADER : STATUS_OK;
        } else {
            flight->status = flight->is_out_of_sight ? STATUS_UNKNOWN : STATUS_NOT_LEADER;
        }
        finish_flight(self, flight);
        free_flight(flight);
    }
}

static void die(struct controller *self, enum status why)
{
    self->is_dead = true;
    self->options.on_fatal(self->options.context, why);
}

static void fsm_apply(struct quorum_fsm *fsm, uint64_t index, int64_t term, const void *bytes,
                      size_t byte_count)
{
    struct controller *self = container_of(fsm, struct controller, fsm);
    struct image_delta delta;
    if (self->is_dead) {
        return;
    }
    enum status status = image_delta_apply(self->newest, index, bytes, byte_count, &delta);
    if (status != STATUS_OK) {
        die(self, status);
        return;
    }
    set_image(&self->newest, delta.image);
    image_unref(delta.image);
    if (!mark_seen(&self->flights, &delta, index)) {
        mark_seen(&self->unknown, &delta, index);
    }
    if (list_is_empty(&self->flights)) {
        set_image(&self->speculative, self->newest);
    }
    self->options.on_image(self->options.context, self->newest);
    resolve_unknown(self, term);
}

static enum status fsm_snapshot(struct quorum_fsm *fsm, void **out_bytes, size_t *out_byte_count)
{
    struct controller *self = container_of(fsm, struct controller, fsm);
    *out_bytes = image_snapshot_write(self->newest, out_byte_count);
    return STATUS_OK;
}

static enum status fsm_restore(struct quorum_fsm *fsm, uint64_t index, const void *bytes,
                               size_t byte_count)
{
    struct controller *self = container_of(fsm, struct controller, fsm);
    struct image *image = NULL;
    TRY(image_snapshot_read(bytes, byte_count, &image));
    if (image_index(image) > index) {
        image_unref(image);
        return STATUS_CORRUPT;
    }
    uint64_t before = image_index(self->newest);
    uint64_t passed_count = image_index(image) > before ? image_index(image) - before : 0;
    set_image(&self->newest, image);
    image_unref(image);
    find_in_snapshot(&self->flights, self->newest, passed_count);
    find_in_snapshot(&self->unknown, self->newest, passed_count);
    if (list_is_empty(&self->flights)) {
        set_image(&self->speculative, self->newest);
    }
    self->options.on_image(self->options.context, self->newest);
    resolve_unknown(self, INT64_MIN); /* Only what is certain now. */
    return STATUS_OK;
}

static const struct quorum_fsm_ops fsm_ops = {
    .apply = fsm_apply,
    .snapshot = fsm_snapshot,
    .restore = fsm_restore,
};

/* ---- Leadership and upkeep. ---- */

static void arm_tick(struct controller *self)
{
    int64_t now_ns = loop_now_ns(self->options.loop);
    int64_t soonest = now_ns + CONTROLLER_TICK_NS_MIN;
    int64_t latest = now_ns + self->liveness.session_ns;
    int64_t deadline = liveness_next_deadline(&self->liveness, self->newest);
    deadline = deadline < latest ? deadline : latest;
    timer_start_at(&self->tick, deadline > soonest ? deadline : soonest);
}

static bool has_upkeep(const struct controller *self)
{
    return self->needs_repairs || self->is_balance_due ||
           wire_uuid_is_zero(image_cluster_id(self->newest)) ||
           liveness_next_expired(&self->liveness, self->newest, loop_now_ns(self->options.loop)) !=
               NULL;
}

static void tick_on_fire(struct timer *timer)
{
    struct controller *self = container_of(timer, struct controller, tick);
    int64_t now_ns = loop_now_ns(self->options.loop);
    if (self->options.balance_interval_ms > 0 && now_ns >= self->balance_at_ns) {
        self->balance_at_ns = now_ns + self->options.balance_interval_ms * CLOCK_NS_PER_MS;
        self->is_balance_due = true;
    }
    if (has_upkeep(self)) {
        want_upkeep(self);
    }
    arm_tick(self);
}

static void want_upkeep(struct controller *self)
{
    if (!self->is_ready || self->quorum == NULL || self->is_upkeep_busy) {
        return; /* The one under way looks again when it is done. */
    }
    self->is_upkeep_busy = true;
    self->upkeep = (struct controller_request){.kind = CONTROLLER_UPKEEP, .deadline_ns = INT64_MAX};
    controller_submit(self, &self->upkeep);
}

static void upkeep_answered(struct controller *self, enum status status)
{
    self->is_upkeep_busy = false;
    if (self->is_ready && (status != STATUS_OK || has_upkeep(self))) {
        timer_start_after(&self->kick, status == STATUS_OK ? 0 : CONTROLLER_RETRY_NS);
    }
}

static void kick_on_fire(struct timer *timer)
{
    want_upkeep(container_of(timer, struct controller, kick));
}

void controller_set_leadership(struct controller *self, bool is_ready, int64_t term)
{
    int64_t now_ns = loop_now_ns(self->options.loop);
    self->is_ready = is_ready && !self->is_dead;
    if (!self->is_ready) {
        timer_stop(&self->tick);
        timer_stop(&self->kick);
        list_for_each_removable(link, &self->waiting)
        {
            answer_waiting(self, container_of(link, struct controller_request, link),
                           STATUS_NOT_LEADER);
        }
        return;
    }
    self->term = term;
    self->generation += 1;
    resolve_unknown(self, term); /* The barrier of this term is applied. */
    self->is_draining = !list_is_empty(&self->flights);
    set_image(&self->speculative, self->newest);
    liveness_begin(&self->liveness, self->newest, now_ns);
    self->needs_repairs = true;
    self->balance_at_ns = now_ns + self->options.balance_interval_ms * CLOCK_NS_PER_MS;
    arm_tick(self);
    want_upkeep(self);
}

void controller_broker_lost(struct controller *self, int32_t broker_id, int64_t broker_epoch)
{
    if (self->is_ready) {
        liveness_lose(&self->liveness, broker_id, broker_epoch);
        want_upkeep(self);
    }
}

void controller_peer_changed(struct controller *self, int32_t node_id, bool is_down)
{
    liveness_set_peer(&self->liveness, node_id, is_down);
}

/* ---- Life. ---- */

enum status controller_new(const struct controller_options *options, struct controller **out_self)
{
    struct controller *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = CONTROLLER_MAGIC;
    self->options = *options;
    if (self->options.session_timeout_ms == 0) {
        self->options.session_timeout_ms = CONTROLLER_SESSION_MS_DEFAULT;
    }
    if (self->options.balance_interval_ms == 0) {
        self->options.balance_interval_ms = CONTROLLER_BALANCE_MS_DEFAULT;
    }
    if (self->options.defaults.partition_count == 0) {
        self->options.defaults.partition_count = 1;
    }
    self->fsm.ops = &fsm_ops;
    self->newest = image_new();
    self->speculative = image_ref(self->newest);
    list_init(&self->waiting);
    list_init(&self->flights);
    list_init(&self->unknown);
    liveness_init(&self->liveness, self->options.session_timeout_ms * CLOCK_NS_PER_MS);
    timer_init(&self->tick, &self->options.loop->timers, tick_on_fire);
    timer_init(&self->kick, &self->options.loop->timers, kick_on_fire);
    *out_self = self;
    return STATUS_OK;
}

void controller_free(struct controller *self)
{
    if (self == NULL) {
        return;
    }
    check(self->magic == CONTROLLER_MAGIC);
    self->is_ready = false;
    /* The quorum answers all proposals when it closes. */
    check(list_is_empty(&self->flights) && !self->news.is_on_its_way);
    list_for_each_removable(waiting, &self->waiting)
    {
        answer_waiting(self, container_of(waiting, struct controller_request, link),
                       STATUS_CANCELED);
    }
    list_for_each_removable(link, &self->unknown)
    {
        struct controller_flight *flight = container_of(link, struct controller_flight, link);
        if (flight->request != NULL) {
            answer(flight->request, STATUS_UNKNOWN);
        }
        free_flight(flight);
    }
    timer_done(&self->tick);
    timer_done(&self->kick);
    image_unref(self->newest);
    image_unref(self->speculative);
    self->magic = 0;
    free(self);
}

struct quorum_fsm *controller_fsm(struct controller *self)
{
    return &self->fsm;
}

void controller_attach(struct controller *self, struct quorum *quorum)
{
    check(self->quorum == NULL);
    self->quorum = quorum;
    want_upkeep(self); /* Leadership may have come from inside quorum_open(). */
}

bool controller_is_active(const struct controller *self)
{
    return self->is_ready;
}

struct image *controller_image(const struct controller *self)
{
    return self->newest;
}
