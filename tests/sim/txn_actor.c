#include "tests/sim/txn_actor.h"

#include "proto/sys/check.h"

#include <stdio.h>
#include <string.h>

#define PATIENCE_NS (6 * SIM_S)
#define FENCED_NS_MAX (3 * SIM_S)
#define TIMEOUT_MS_MIN 2000
#define TIMEOUT_MS_MAX 8000
#define RECORD_BYTES 32U

/* Chances, in percent. */
#define ABORTS 25U
#define DIES_OPEN 4U
#define DIES_ENDING 4U
#define FORGETS 2U
#define RENAMES 30U /* Of those who die with an open transaction. */

static bool chance(struct txn_actor *self, uint64_t percent)
{
    return prng_below(&self->options.loop->prng, 100) < percent;
}

static void act_later(struct txn_actor *self, int64_t delay_ns_max)
{
    timer_start_after(&self->timer, sim_world_between(&self->options.loop->prng, 1, delay_ns_max));
}

static int64_t deadline_ns(const struct txn_actor *self)
{
    return loop_now_ns(self->options.loop) + PATIENCE_NS;
}

/* Whether it was committed is not known when that was asked for. */
static void leave_txn(struct txn_actor *self, enum txn_history_fate fate)
{
    if (self->txn != 0) {
        txn_history_end(self->options.history, self->txn, fate);
        self->txn = 0;
    }
}

static void die(struct txn_actor *self)
{
    self->death_count += 1;
    timer_stop(&self->timer);
    txn_core_close(&self->core);
}

/* --- Ends ------------------------------------------------------------------------------------- */

static void end(struct txn_actor *self);

static void end_on_done(void *context, const struct txn_core_outcome *outcome)
{
    struct txn_actor *self = context;
    if (outcome->status == STATUS_CANCELED && !outcome->must_abort) {
        return; /* It was closed: life_on_closed() goes on. */
    }
    if (outcome->status == STATUS_OK) {
        leave_txn(self, self->is_commit ? TXN_HISTORY_COMMITTED : TXN_HISTORY_ABORTED);
        self->ended_count += 1;
        act_later(self, self->options.pace_ns_max);
    } else if (outcome->status == STATUS_TIMEOUT && !outcome->must_abort && !outcome->is_fatal) {
        end(self); /* The same end once more, until it is known. */
    } else if (outcome->must_abort) {
        self->is_commit = false;
        end(self);
    } else {
        sim_world_note(self->options.world, "producer %u: %s %d", self->options.producer,
                       status_text(outcome->status), outcome->error_code);
        die(self);
    }
}

static void end(struct txn_actor *self)
{
    enum status status = self->is_commit
                             ? txn_core_commit(&self->core, deadline_ns(self), end_on_done, self)
                             : txn_core_abort(&self->core, deadline_ns(self), end_on_done, self);
    if (status != STATUS_OK) {
        sim_world_fail(self->options.world, "producer %u: an end is refused: %s",
                       self->options.producer, status_text(status));
    }
}

static void end_begin(struct txn_actor *self)
{
    self->is_commit = !chance(self, ABORTS);
    /* From here on a death leaves it open whether it was committed. */
    txn_history_end(self->options.history, self->txn,
                    self->is_commit ? TXN_HISTORY_UNKNOWN : TXN_HISTORY_ABORTED);
    end(self);
    if (chance(self, DIES_ENDING)) {
        act_later(self, 20 * SIM_MS); /* May also find it ended. */
    }
}

/* --- Records ---------------------------------------------------------------------------------- */

static void send_one(struct txn_actor *self)
{
    struct txn_history *history = self->options.history;
    int32_t partition =
        (int32_t)prng_below(&self->options.loop->prng, (uint64_t)self->options.partition_count);
    uint64_t value = txn_history_add(history, self->txn, partition);
    uint8_t bytes[RECORD_BYTES] = {0};
    memcpy(bytes, &value, sizeof value);
    struct producer_record record = {
        .topic = wire_text_of(TXN_ACTOR_TOPIC),
        .partition = partition,
        .record = {.timestamp_ms = 1000000000000,
                   .key = {.byte_count = -1},
                   .value = {.bytes = bytes, .byte_count = (int32_t)sizeof bytes}},
        .number = value,
        .is_urgent = chance(self, 50)};
    if (txn_core_send(&self->core, &record) != STATUS_OK) {
        txn_history_take_back(history, value); /* Broken meanwhile: its end will tell. */
        self->left = 0;
    }
}

static void act_open(struct txn_actor *self)
{
    if (chance(self, DIES_OPEN)) {
        die(self);
        return;
    }
    if (self->left > 0) {
        self->left -= 1;
        send_one(self);
        act_later(self, self->options.pace_ns_max);
    } else if (!self->is_resting && chance(self, FORGETS)) {
        act_later(self, 2 * TIMEOUT_MS_MAX * SIM_MS);
    } else {
        end_begin(self);
    }
}

static void act_ready(struct txn_actor *self)
{
    if (self->is_resting) {
        self->is_idle = true;
        return;
    }
    enum status status = txn_core_begin(&self->core);
    if (status != STATUS_OK) {
        die(self);
        return;
    }
    self->is_commit = false;
    self->txn = txn_history_begin(self->options.history, self->options.producer);
    self->left = 1 + (uint32_t)prng_below(&self->options.loop->prng, TXN_ACTOR_RECORDS_MAX);
    act_later(self, self->options.pace_ns_max);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void open_core(struct txn_actor *self);

static void start_on_done(void *context, const struct txn_core_outcome *outcome)
{
    struct txn_actor *self = context;
    if (outcome->status == STATUS_OK) {
        act_later(self, self->options.pace_ns_max);
    } else if (outcome->status != STATUS_CANCELED) {
        die(self);
    }
}

static void act_on_timer(struct timer *timer)
{
    struct txn_actor *self = container_of(timer, struct txn_actor, timer);
    if (!self->is_open) {
        open_core(self);
        return;
    }
    switch (txn_core_state(&self->core)) {
    case TXN_CORE_READY:
        if (self->txn == 0) {
            act_ready(self);
        }
        return;
    case TXN_CORE_OPEN:
    case TXN_CORE_BROKEN:
        act_open(self);
        return;
    case TXN_CORE_ENDING:
    case TXN_CORE_DEAD:
    case TXN_CORE_NEW:
        die(self);
        return;
    }
}

/* What it left behind: a commit that was asked for may happen, all else will not. */
static void life_on_closed(void *context)
{
    struct txn_actor *self = context;
    self->is_open = false;
    if (self->txn != 0) {
        self->generation += chance(self, RENAMES);
        leave_txn(self, self->is_commit ? TXN_HISTORY_UNKNOWN : TXN_HISTORY_ABORTED);
    }
    act_later(self, FENCED_NS_MAX);
}

static void on_delivery(void *context, const struct producer_delivery *delivery)
{
    struct txn_actor *self = context;
    if (delivery->status == STATUS_OK) { /* Else the end of the transaction tells. */
        txn_history_acknowledge(self->options.history, delivery->number, delivery->offset);
    }
}

static void open_core(struct txn_actor *self)
{
    struct address bootstrap[CLUSTER_BOOTSTRAP_MAX] = {0};
    for (uint32_t i = 0; i < self->options.broker_count; i++) {
        bootstrap[i].port = 9092;
        snprintf(bootstrap[i].host, sizeof bootstrap[i].host, "node-%u", i + 1);
    }
    snprintf(self->transactional_id, sizeof self->transactional_id, "%s.%u",
             self->options.transactional_id, self->generation);
    struct txn_core_options options = {
        .producer = {.loop = self->options.loop,
                     .bootstrap = bootstrap,
                     .bootstrap_count = self->options.broker_count,
                     .client_id = self->transactional_id,
                     .codec = COMPRESSION_NONE,
                     .linger_ms = 5,
                     .batch_bytes_max = 2000,
                     .record_bytes_max = 100000,
                     .buffer_bytes_max = 1 << 20,
                     .request_timeout_ms = 3000,
                     .delivery_timeout_ms = 30000,
                     .transactional_id = self->transactional_id,
                     .transaction_timeout_ms = sim_world_between(&self->options.loop->prng,
                                                                 TIMEOUT_MS_MIN, TIMEOUT_MS_MAX),
                     .on_delivery = on_delivery,
                     .on_closed = life_on_closed,
                     .context = self}};
    txn_core_init(&self->core, &options);
    self->is_open = true;
    self->is_commit = false;
    if (txn_core_start(&self->core, deadline_ns(self), start_on_done, self) != STATUS_OK) {
        sim_world_fail(self->options.world, "producer %u cannot start", self->options.producer);
    }
}

void txn_actor_start(struct txn_actor *self, const struct txn_actor_options *options)
{
    *self = (struct txn_actor){.options = *options};
    timer_init(&self->timer, &options->loop->timers, act_on_timer);
    act_later(self, options->pace_ns_max);
}

void txn_actor_rest(struct txn_actor *self)
{
    self->is_resting = true;
}
