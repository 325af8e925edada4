#include "client/txn_core.h"

#include "client/txn_offsets.h"
#include "client/txn_partitions.h"
#include "proto/kafka/add_offsets_to_txn.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/end_txn.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/init_producer_id.h"
#include "proto/sys/check.h"

#define CORE_MAGIC 0x7c0de001U
#define ATTEMPT_TIMEOUT_MS 5000
#define IDENTITY_VERSION_MAX 5
#define IDENTITY_VERSION_RENEWAL 3 /* From here on it names who asks (KIP-360). */
#define JOIN_VERSION_MAX 4
#define END_VERSION_IMPLICIT 5
#define IMPLICIT_LEVEL 2 /* Of transaction.version. */

/* ---- what has happened ---- */

/* No later operation can make this good: what the broker said is about us, not the transaction.
 * INVALID_PRODUCER_EPOCH may be about either: the epoch also rises when the coordinator aborts what
 * has taken too long. Whose the id is then, the abort finds out. */
static bool is_fatal_code(int16_t code)
{
    return code == ERROR_CODE_PRODUCER_FENCED ||
           code == ERROR_CODE_TRANSACTIONAL_ID_AUTHORIZATION_FAILED ||
           code == ERROR_CODE_CLUSTER_AUTHORIZATION_FAILED ||
           code == ERROR_CODE_INVALID_PRODUCER_ID_MAPPING ||
           code == ERROR_CODE_INVALID_TRANSACTION_TIMEOUT || code == ERROR_CODE_UNSUPPORTED_VERSION;
}

static enum status status_of_code(int16_t code)
{
    bool is_fenced =
        code == ERROR_CODE_INVALID_PRODUCER_EPOCH || code == ERROR_CODE_PRODUCER_FENCED;
    return is_fenced ? STATUS_FENCED : STATUS_INVALID;
}

static struct txn_core_outcome outcome_of(enum status status, int16_t code)
{
    if (status == STATUS_OK && code != ERROR_CODE_NONE) {
        status = status_of_code(code);
    }
    return (struct txn_core_outcome){.status = status, .error_code = code};
}

static void done_deliver(struct mail *mail)
{
    struct txn_core *self = container_of(mail, struct txn_core, done_mail);
    check(self->magic == CORE_MAGIC);
    check(self->on_done != NULL);
    txn_core_on_done *on_done = self->on_done;
    struct txn_core_outcome outcome = self->outcome;
    self->is_done_posted = false;
    self->has_outcome = false;
    self->on_done = NULL;
    on_done(self->on_done_context, &outcome);
}

/* Ends what the owner waits for; if nobody waits, the outcome stays for whoever asks next. */
static void finish(struct txn_core *self, struct txn_core_outcome outcome)
{
    if (self->is_closing) {
        return; /* producer_on_closed() tells whoever waits. */
    }
    timer_stop(&self->deadline);
    self->outcome = outcome;
    self->has_outcome = true;
    if (self->on_done != NULL && !self->is_done_posted) {
        self->is_done_posted = true;
        self->done_mail = (struct mail){.deliver = done_deliver};
        loop_defer(self->producer.options.loop, &self->done_mail);
    }
}

/* Records that have not left by now never will. */
static void shut(struct txn_core *self)
{
    self->gate.is_shut = true;
    producer_core_pump(&self->producer);
    txn_core_step(self);
}

static void die(struct txn_core *self, struct txn_core_outcome outcome)
{
    if (self->state == TXN_CORE_DEAD) {
        return;
    }
    outcome.is_fatal = true;
    if (outcome.error_code == ERROR_CODE_INVALID_PRODUCER_EPOCH) {
        outcome.error_code = ERROR_CODE_PRODUCER_FENCED; /* Old coordinators have no such code. */
    }
    self->state = TXN_CORE_DEAD;
    self->fault = outcome;
    if (self->on_done != NULL && !self->has_outcome) {
        finish(self, outcome);
    }
    shut(self);
}

/* From here on nothing of the transaction is sent any more, unless it is to be committed. */
static bool is_sending(const struct txn_core *self)
{
    return self->state == TXN_CORE_OPEN ||
           (self->state == TXN_CORE_ENDING && self->is_commit && !self->is_ending);
}

void txn_core_break(struct txn_core *self, enum status status, int16_t error_code)
{
    struct txn_core_outcome outcome = outcome_of(status, error_code);
    if (self->is_closing) {
        return; /* What was under way ends because of that. */
    }
    if (is_fatal_code(error_code) || status == STATUS_UNSUPPORTED) {
        die(self, outcome);
        return;
    }
    self->has_writes |= error_code == ERROR_CODE_INVALID_PRODUCER_EPOCH; /* The abort must ask. */
    if (!is_sending(self)) {
        return;
    }
    bool is_committing = self->state == TXN_CORE_ENDING;
    outcome.must_abort = true;
    self->state = TXN_CORE_BROKEN;
    self->fault = outcome;
    if (is_committing) {
        finish(self, outcome);
    }
    shut(self);
}

/* ---- records ---- */

static struct txn_core *core_of_gate(struct producer_gate *gate)
{
    return container_of(gate, struct txn_core, gate);
}

static bool gate_may_send(struct producer_gate *gate, struct producer_topic *topic,
                          int32_t partition)
{
    struct txn_core *self = core_of_gate(gate);
    check(self->magic == CORE_MAGIC);
    if (!is_sending(self)) {
        return false;
    }
    if (gate->is_implicit) {
        self->has_writes = true;
        return true;
    }
    return txn_partitions_admit(self, topic, partition);
}

static void producer_on_delivery(void *context, const struct producer_delivery *delivery)
{
    struct txn_core *self = context;
    check(self->magic == CORE_MAGIC);
    check(self->unreported_count > 0);
    self->unreported_count -= 1;
    if (delivery->status != STATUS_OK && !self->is_closing) {
        txn_core_break(self, delivery->status, delivery->error_code);
    }
    if (self->unreported_count == 0) {
        txn_core_step(self);
    }
    self->outer.on_delivery(self->outer.context, delivery);
}

/* ---- InitProducerId ---- */

static void identify_encode(struct coordinator_op *op, struct wire_writer *writer)
{
    struct txn_core *self = container_of(op, struct txn_core, identify);
    struct kafka_init_producer_id_request request;
    kafka_init_producer_id_request_defaults(&request);
    request.transactional_id = wire_text_of(self->outer.transactional_id);
    request.transaction_timeout_ms = (int32_t)self->outer.transaction_timeout_ms;
    if (op->ask.version >= IDENTITY_VERSION_RENEWAL && self->producer.producer_id >= 0) {
        /* A renewal must not take the id back from whoever took it over. */
        request.producer_id = self->producer.producer_id;
        request.producer_epoch = self->producer.producer_epoch;
    }
    kafka_init_producer_id_request_encode(&request, op->ask.version, writer);
}

static enum status identify_take(struct coordinator_op *op)
{
    struct txn_core *self = container_of(op, struct txn_core, identify);
    struct kafka_init_producer_id_response answer;
    TRY(kafka_init_producer_id_response_decode(&op->ask.call.reader, op->ask.version,
                                               &op->ask.arena, &answer));
    op->error_code = answer.error_code;
    if (answer.error_code != ERROR_CODE_NONE) {
        return STATUS_OK;
    }
    if (answer.producer_id < 0 || answer.producer_epoch < 0) {
        return STATUS_MALFORMED;
    }
    if (self->state == TXN_CORE_NEW) {
        self->gate.is_implicit = op->ask.txn_level >= IMPLICIT_LEVEL;
    }
    producer_core_identify(&self->producer, answer.producer_id, answer.producer_epoch);
    return STATUS_OK;
}

static void identify_on_done(struct coordinator_op *op, enum status status)
{
    struct txn_core *self = container_of(op, struct txn_core, identify);
    check(self->magic == CORE_MAGIC);
    self->is_identifying = false;
    if (self->is_closing || self->state == TXN_CORE_DEAD) {
        return;
    }
    if (status != STATUS_OK || op->error_code != ERROR_CODE_NONE) {
        die(self, outcome_of(status, op->error_code));
        return;
    }
    self->needs_identity = false;
    self->is_contested = false;
    self->state = TXN_CORE_READY;
    finish(self, (struct txn_core_outcome){.status = STATUS_OK});
}

static void identify_begin(struct txn_core *self)
{
    self->identify =
        (struct coordinator_op){.api_key = API_KEY_INIT_PRODUCER_ID,
                                .version_min = self->is_contested ? IDENTITY_VERSION_RENEWAL : 0,
                                .version_max = IDENTITY_VERSION_MAX,
                                .lane = CLUSTER_LANE_SHORT,
                                .deadline_ns = INT64_MAX,
                                .encode = identify_encode,
                                .take = identify_take,
                                .on_done = identify_on_done};
    self->is_identifying = true;
    coordinator_core_run(&self->coordinator, &self->identify);
}

/* ---- offsets ---- */

static void sending_end(struct txn_core *self, enum status status, int16_t error_code)
{
    self->sending = NULL;
    bool is_well = status == STATUS_OK && error_code == ERROR_CODE_NONE;
    if (!is_well) {
        txn_core_break(self, status, error_code);
    }
    struct txn_core_outcome outcome = is_well ? (struct txn_core_outcome){0} : self->fault;
    if (self->on_done != NULL && !self->has_outcome) {
        finish(self, outcome);
    }
    txn_core_step(self);
}

static void offsets_on_done(void *context, enum status status, int16_t error_code)
{
    struct txn_core *self = context;
    check(self->magic == CORE_MAGIC);
    sending_end(self, status, error_code);
}

static void sending_commit(struct txn_core *self)
{
    struct txn_offsets_identity identity = {.transactional_id = self->outer.transactional_id,
                                            .producer_id = self->producer.producer_id,
                                            .producer_epoch = self->producer.producer_epoch,
                                            .is_implicit = self->gate.is_implicit};
    self->sending->on_done = offsets_on_done;
    self->sending->context = self;
    txn_offsets_run(self->sending, &identity, self->sending_deadline_ns);
}

static void join_encode(struct coordinator_op *op, struct wire_writer *writer)
{
    struct txn_core *self = container_of(op, struct txn_core, join);
    struct kafka_add_offsets_to_txn_request request;
    kafka_add_offsets_to_txn_request_defaults(&request);
    request.transactional_id = wire_text_of(self->outer.transactional_id);
    request.producer_id = self->producer.producer_id;
    request.producer_epoch = self->producer.producer_epoch;
    request.group_id = wire_text_of(self->sending->group);
    kafka_add_offsets_to_txn_request_encode(&request, op->ask.version, writer);
}

static enum status join_take(struct coordinator_op *op)
{
    struct txn_core *self = container_of(op, struct txn_core, join);
    struct kafka_add_offsets_to_txn_response answer;
    TRY(kafka_add_offsets_to_txn_response_decode(&op->ask.call.reader, op->ask.version,
                                                 &op->ask.arena, &answer));
    op->error_code = answer.error_code;
    self->has_writes |= answer.error_code == ERROR_CODE_NONE;
    return STATUS_OK;
}

static void join_on_done(struct coordinator_op *op, enum status status)
{
    struct txn_core *self = container_of(op, struct txn_core, join);
    check(self->magic == CORE_MAGIC);
    bool is_well = status == STATUS_OK && op->error_code == ERROR_CODE_NONE;
    self->has_writes |= op->is_doubtful;
    if (is_well && self->state == TXN_CORE_OPEN && !self->is_closing) {
        sending_commit(self);
        return;
    }
    sending_end(self, is_well ? STATUS_CANCELED : status, op->error_code);
}

static void sending_begin(struct txn_core *self)
{
    if (self->gate.is_implicit) {
        self->has_writes = true;
        sending_commit(self);
        return;
    }
    self->join = (struct coordinator_op){.api_key = API_KEY_ADD_OFFSETS_TO_TXN,
                                         .version_max = JOIN_VERSION_MAX,
                                         .lane = CLUSTER_LANE_SHORT,
                                         .deadline_ns = self->sending_deadline_ns,
                                         .encode = join_encode,
                                         .take = join_take,
                                         .on_done = join_on_done};
    coordinator_core_run(&self->coordinator, &self->join);
}

/* ---- EndTxn ---- */

static void end_encode(struct coordinator_op *op, struct wire_writer *writer)
{
    struct txn_core *self = container_of(op, struct txn_core, end);
    struct kafka_end_txn_request request;
    kafka_end_txn_request_defaults(&request);
    request.transactional_id = wire_text_of(self->outer.transactional_id);
    request.producer_id = self->producer.producer_id;
    request.producer_epoch = self->producer.producer_epoch;
    request.committed = self->is_commit;
    kafka_end_txn_request_encode(&request, op->ask.version, writer);
}

static enum status end_take(struct coordinator_op *op)
{
    struct txn_core *self = container_of(op, struct txn_core, end);
    struct kafka_end_txn_response answer;
    TRY(kafka_end_txn_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                      &answer));
    op->error_code = answer.error_code;
    self->ended_producer_id = -1;
    if (answer.error_code == ERROR_CODE_NONE && op->ask.version >= END_VERSION_IMPLICIT) {
        self->ended_producer_id = answer.producer_id;
        self->ended_producer_epoch = answer.producer_epoch;
    }
    return STATUS_OK;
}

/* The transaction is over. */
static void ended(struct txn_core *self)
{
    if (self->ended_producer_id >= 0) {
        producer_core_identify(&self->producer, self->ended_producer_id,
                               self->ended_producer_epoch);
        self->needs_identity = false;
    }
    if (self->needs_identity) {
        identify_begin(self);
        return;
    }
    self->state = TXN_CORE_READY;
    finish(self, (struct txn_core_outcome){.status = STATUS_OK});
}

/* The transaction was not committed and never will be. INVALID_TXN_STATE: its time was over, and
 * the coordinator has aborted it. INVALID_PRODUCER_EPOCH may also be another producer that came
 * behind our commit, when the first answer to it was lost. */
static bool is_uncommitted(const struct coordinator_op *op)
{
    return op->error_code == ERROR_CODE_TRANSACTION_ABORTABLE ||
           op->error_code == ERROR_CODE_INVALID_TXN_STATE ||
           (op->error_code == ERROR_CODE_INVALID_PRODUCER_EPOCH && !op->is_doubtful);
}

/* Answers to an abort behind which InitProducerId says whether the id is still ours (KIP-360). */
static bool is_judged_by_claim(int16_t code)
{
    return code == ERROR_CODE_INVALID_TXN_STATE || code == ERROR_CODE_PRODUCER_FENCED ||
           code == ERROR_CODE_INVALID_PRODUCER_EPOCH;
}

static void end_on_done(struct coordinator_op *op, enum status status)
{
    struct txn_core *self = container_of(op, struct txn_core, end);
    check(self->magic == CORE_MAGIC);
    self->is_ending = false;
    if (self->is_closing || self->state == TXN_CORE_DEAD) {
        return;
    }
    if (status == STATUS_OK && op->error_code == ERROR_CODE_NONE) {
        ended(self);
        return;
    }
    if (self->is_commit && is_uncommitted(op)) {
        txn_core_break(self, status, op->error_code);
        return;
    }
    if (!self->is_commit && self->needs_identity && is_judged_by_claim(op->error_code)) {
        /* Either there was nothing to abort: what should have begun it never arrived. Or the
         * coordinator has done it, with an epoch that was not ours, or another one has the id. */
        self->is_contested = op->error_code != ERROR_CODE_INVALID_TXN_STATE;
        ended(self);
        return;
    }
    die(self, outcome_of(status, op->error_code));
}

static void end_begin(struct txn_core *self)
{
    bool is_implicit = self->gate.is_implicit;
    self->end = (struct coordinator_op){.api_key = API_KEY_END_TXN,
                                        .version_min = is_implicit ? END_VERSION_IMPLICIT : 0,
                                        .version_max = is_implicit ? END_VERSION_IMPLICIT
                                                                   : END_VERSION_IMPLICIT - 1,
                                        .lane = CLUSTER_LANE_SHORT,
                                        .deadline_ns = INT64_MAX,
                                        .encode = end_encode,
                                        .take = end_take,
                                        .on_done = end_on_done};
    self->is_ending = true;
    /* Without the coordinator's own new epoch, gaps in the sequences need one that we ask for. */
    self->needs_identity = !is_implicit && !self->is_commit;
    self->ended_producer_id = -1;
    coordinator_core_run(&self->coordinator, &self->end);
}

/* ---- the next step ---- */

static void step_end(struct txn_core *self)
{
    bool is_quiet = self->unreported_count == 0 && !self->is_adding && self->sending == NULL;
    if (!is_quiet || self->is_ending || self->is_identifying) {
        return;
    }
    if (self->has_writes) {
        end_begin(self);
        return;
    }
    self->state = TXN_CORE_READY;
    finish(self, (struct txn_core_outcome){.status = STATUS_OK});
}

static void step(struct txn_core *self)
{
    bool is_aborting = self->state == TXN_CORE_ENDING && !self->is_commit;
    if (is_aborting && self->is_adding) {
        txn_partitions_halt(self);
    }
    if (self->state == TXN_CORE_ENDING) {
        step_end(self);
    }
    if (is_sending(self) && !self->gate.is_implicit) {
        txn_partitions_step(self);
    }
}

static void step_deliver(struct mail *mail)
{
    struct txn_core *self = container_of(mail, struct txn_core, step_mail);
    check(self->magic == CORE_MAGIC);
    self->is_step_posted = false;
    if (!self->is_closing) {
        step(self);
    }
}

void txn_core_step(struct txn_core *self)
{
    if (!self->is_step_posted && !self->is_closing) {
        self->is_step_posted = true;
        self->step_mail = (struct mail){.deliver = step_deliver};
        loop_defer(self->producer.options.loop, &self->step_mail);
    }
}

static void deadline_on_fire(struct timer *timer)
{
    struct txn_core *self = container_of(timer, struct txn_core, deadline);
    check(self->magic == CORE_MAGIC);
    if (self->on_done == NULL || self->has_outcome) {
        return;
    }
    if (self->sending != NULL) {
        return; /* Its own deadline ends it; this one is no sooner. */
    }
    if (self->state == TXN_CORE_ENDING && self->is_commit && !self->is_ending) {
        self->state = TXN_CORE_OPEN; /* Nothing was asked yet. */
    }
    finish(self, (struct txn_core_outcome){.status = STATUS_TIMEOUT});
}

/* ---- the outside ---- */

/* Whoever waits from now on. */
static void wait_for(struct txn_core *self, int64_t deadline_ns, txn_core_on_done *on_done,
                     void *context)
{
    check(on_done != NULL);
    self->on_done = on_done;
    self->on_done_context = context;
    if (deadline_ns != INT64_MAX) {
        timer_start_at(&self->deadline, deadline_ns);
    }
}

/* A reason there is already. */
static void finish_with(struct txn_core *self, struct txn_core_outcome outcome)
{
    self->has_outcome = false;
    finish(self, outcome);
}

enum status txn_core_start(struct txn_core *self, int64_t deadline_ns, txn_core_on_done *on_done,
                           void *context)
{
    check(self->magic == CORE_MAGIC);
    bool is_told_late = self->state == TXN_CORE_READY && self->has_outcome && self->number == 0;
    bool is_fit = self->state == TXN_CORE_NEW || self->state == TXN_CORE_DEAD || is_told_late;
    if (self->on_done != NULL || self->is_closing || !is_fit) {
        return STATUS_INVALID;
    }
    wait_for(self, deadline_ns, on_done, context);
    if (self->state == TXN_CORE_DEAD) {
        finish_with(self, self->fault);
    } else if (is_told_late) {
        finish_with(self, self->outcome);
    } else {
        self->has_outcome = false;
        if (!self->is_identifying) {
            identify_begin(self);
        }
    }
    return STATUS_OK;
}

enum status txn_core_begin(struct txn_core *self)
{
    check(self->magic == CORE_MAGIC);
    if (self->state == TXN_CORE_DEAD) {
        return self->fault.status;
    }
    if (self->state != TXN_CORE_READY || self->on_done != NULL || self->is_closing) {
        return STATUS_INVALID;
    }
    self->has_outcome = false;
    self->state = TXN_CORE_OPEN;
    self->number += 1;
    self->has_writes = false;
    self->gate.is_shut = false;
    return STATUS_OK;
}

enum status txn_core_send(struct txn_core *self, const struct producer_record *record)
{
    check(self->magic == CORE_MAGIC);
    if (self->state == TXN_CORE_DEAD || self->state == TXN_CORE_BROKEN) {
        return STATUS_CANCELED;
    }
    if (self->state != TXN_CORE_OPEN) {
        return STATUS_INVALID;
    }
    TRY(producer_core_send(&self->producer, record));
    self->unreported_count += 1;
    return STATUS_OK;
}

static struct txn_offsets *offsets_of(struct txn_core *self, struct wire_text group)
{
    uint32_t count = 0;
    list_for_each(link, &self->offsets)
    {
        struct txn_offsets *found = container_of(link, struct txn_offsets, in_core);
        if (wire_text_equals(group, found->group)) {
            return found;
        }
        count += 1;
    }
    if (count == TXN_CORE_GROUPS_MAX) {
        return NULL;
    }
    struct txn_offsets *made =
        txn_offsets_new(&self->producer.cluster, self->coordinator.options.timeout_ms, group);
    if (made != NULL) {
        list_append(&self->offsets, &made->in_core);
    }
    return made;
}

enum status txn_core_send_offsets(struct txn_core *self, const struct txn_core_group *group,
                                  const struct txn_core_offset *offsets, uint32_t offset_count,
                                  int64_t deadline_ns, txn_core_on_done *on_done, void *context)
{
    check(self->magic == CORE_MAGIC);
    bool is_fit = self->state == TXN_CORE_OPEN || self->state == TXN_CORE_BROKEN ||
                  self->state == TXN_CORE_DEAD;
    if (self->on_done != NULL || self->is_closing || !is_fit || group->group.byte_count <= 0) {
        return STATUS_INVALID;
    }
    if (offset_count > TXN_CORE_OFFSETS_MAX) {
        return STATUS_FULL;
    }
    if (self->state == TXN_CORE_OPEN && offset_count > 0) {
        struct txn_offsets *sending = offsets_of(self, group->group);
        if (sending == NULL) {
            return STATUS_FULL;
        }
        TRY(txn_offsets_set(sending, group, offsets, offset_count));
        self->sending = sending;
    }
    self->has_outcome = false;
    self->sending_deadline_ns = deadline_ns;
    wait_for(self, INT64_MAX, on_done, context);
    if (self->sending != NULL) {
        sending_begin(self);
    } else {
        finish_with(self,
                    self->state == TXN_CORE_OPEN ? (struct txn_core_outcome){0} : self->fault);
    }
    return STATUS_OK;
}

/* OPEN becomes ENDING; an end of the same kind that was given up is waited for again. */
static enum status end_wait(struct txn_core *self, bool is_commit, int64_t deadline_ns,
                            txn_core_on_done *on_done, void *context)
{
    bool is_told_late =
        self->state == TXN_CORE_READY && self->has_outcome && self->is_commit == is_commit;
    bool is_same_end = self->state == TXN_CORE_ENDING && self->is_commit == is_commit;
    bool is_fit = self->state == TXN_CORE_OPEN || self->state == TXN_CORE_BROKEN || is_same_end ||
                  is_told_late || self->state == TXN_CORE_DEAD;
    if (self->on_done != NULL || self->is_closing || !is_fit) {
        return STATUS_INVALID;
    }
    wait_for(self, deadline_ns, on_done, context);
    if (self->state == TXN_CORE_DEAD || (is_commit && self->state == TXN_CORE_BROKEN)) {
        finish_with(self, self->fault);
        return STATUS_OK;
    }
    if (is_told_late) {
        finish_with(self, self->outcome);
        return STATUS_OK;
    }
    self->has_outcome = false;
    self->is_commit = is_commit;
    self->state = TXN_CORE_ENDING;
    if (is_commit) {
        producer_core_hurry(&self->producer);
        txn_core_step(self);
    } else {
        shut(self);
    }
    return STATUS_OK;
}

enum status txn_core_commit(struct txn_core *self, int64_t deadline_ns, txn_core_on_done *on_done,
                            void *context)
{
    check(self->magic == CORE_MAGIC);
    return end_wait(self, true, deadline_ns, on_done, context);
}

enum status txn_core_abort(struct txn_core *self, int64_t deadline_ns, txn_core_on_done *on_done,
                           void *context)
{
    check(self->magic == CORE_MAGIC);
    return end_wait(self, false, deadline_ns, on_done, context);
}

enum txn_core_state txn_core_state(const struct txn_core *self)
{
    check(self->magic == CORE_MAGIC);
    return self->state;
}

/* ---- life ---- */

static void producer_on_closed(void *context)
{
    struct txn_core *self = context;
    check(self->magic == CORE_MAGIC);
    check(self->unreported_count == 0);
    struct list *link;
    while ((link = list_take_first(&self->offsets)) != NULL) {
        txn_offsets_free(container_of(link, struct txn_offsets, in_core));
    }
    self->magic = 0;
    if (self->on_done != NULL) {
        struct txn_core_outcome outcome = {.status = STATUS_CANCELED};
        self->on_done(self->on_done_context, &outcome);
    }
    self->outer.on_closed(self->outer.context);
}

void txn_core_init(struct txn_core *self, const struct txn_core_options *options)
{
    check(options->producer.transactional_id != NULL);
    check(options->producer.transaction_timeout_ms > 0);
    *self = (struct txn_core){.magic = CORE_MAGIC, .outer = options->producer};
    self->gate.may_send = gate_may_send;
    list_init(&self->offsets);
    struct producer_core_options producer = options->producer;
    producer.gate = &self->gate;
    producer.on_delivery = producer_on_delivery;
    producer.on_closed = producer_on_closed;
    producer.context = self;
    producer_core_init(&self->producer, &producer);
    int64_t timeout_ms = options->producer.request_timeout_ms;
    struct coordinator_core_options coordinator = {
        .cluster = &self->producer.cluster,
        .kind = COORDINATOR_CORE_TXN,
        .key = options->producer.transactional_id,
        .timeout_ms = timeout_ms < ATTEMPT_TIMEOUT_MS ? timeout_ms : ATTEMPT_TIMEOUT_MS};
    coordinator_core_init(&self->coordinator, &coordinator);
    timer_init(&self->deadline, &options->producer.loop->timers, deadline_on_fire);
}

void txn_core_close(struct txn_core *self)
{
    check(self->magic == CORE_MAGIC);
    if (self->is_closing) {
        return;
    }
    self->is_closing = true;
    timer_done(&self->deadline);
    coordinator_core_close(&self->coordinator);
    list_for_each(link, &self->offsets)
    {
        txn_offsets_close(container_of(link, struct txn_offsets, in_core));
    }
    producer_core_close(&self->producer);
}
