/* The blocking side of transactions: each call asks the transaction core on the loop and waits.
 *
 * Sends and calls reach the loop by the same mailbox, so that a commit comes behind every record
 * that was sent before it. */
#include "client/millrace/producer_handle.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>

enum txn_verb { TXN_BEGIN, TXN_OFFSETS, TXN_COMMIT, TXN_ABORT };

struct txn_call {
    struct session_call call;
    struct millrace_producer *producer;
    enum txn_verb verb;
    int64_t until_ns;
    struct txn_core_group group;
    const struct txn_core_offset *offsets;
    uint32_t offset_count;
    enum status refused; /* Not OK: the core did not take the call. */
    struct txn_core_outcome outcome;
};

static const char *const whats[] = {[TXN_BEGIN] = "the transaction was not begun",
                                    [TXN_OFFSETS] = "the offsets were not sent",
                                    [TXN_COMMIT] = "the transaction was not committed",
                                    [TXN_ABORT] = "the transaction was not aborted"};

/* ---- on the loop ---- */

static void set_in_transaction(struct millrace_producer *self, bool is_in_transaction)
{
    host_gate_enter(&self->gate);
    self->is_in_transaction = is_in_transaction;
    host_gate_leave(&self->gate);
}

static void begin(struct txn_call *mine)
{
    mine->refused = txn_core_begin(&mine->producer->txn);
    if (mine->refused == STATUS_OK) {
        set_in_transaction(mine->producer, true);
    }
}

static void core_on_done(void *context, const struct txn_core_outcome *outcome)
{
    struct txn_call *mine = context;
    struct millrace_producer *self = mine->producer;
    mine->outcome = *outcome;
    bool is_well = outcome->status == STATUS_OK;
    if (mine->verb == TXN_BEGIN && is_well) {
        begin(mine);
    } else if (mine->verb == TXN_COMMIT || mine->verb == TXN_ABORT) {
        /* A commit that only waited for records when its time was over can go on as it was. */
        bool is_open = !is_well && txn_core_state(&self->txn) == TXN_CORE_OPEN;
        set_in_transaction(self, is_open);
    }
    session_end(&mine->call);
}

static enum status ask(struct txn_call *mine)
{
    struct txn_core *core = &mine->producer->txn;
    switch (mine->verb) {
    case TXN_BEGIN:
        return txn_core_start(core, mine->until_ns, core_on_done, mine);
    case TXN_OFFSETS:
        return txn_core_send_offsets(core, &mine->group, mine->offsets, mine->offset_count,
                                     mine->until_ns, core_on_done, mine);
    case TXN_COMMIT:
        return txn_core_commit(core, mine->until_ns, core_on_done, mine);
    case TXN_ABORT:
        return txn_core_abort(core, mine->until_ns, core_on_done, mine);
    }
    check_unreachable("a verb of a transaction");
}

static void txn_run(struct session_call *call)
{
    struct txn_call *mine = container_of(call, struct txn_call, call);
    struct millrace_producer *self = mine->producer;
    if (!producer_handle_is_open(self)) {
        mine->refused = STATUS_CLOSED;
        session_end(call);
        return;
    }
    if (mine->verb == TXN_BEGIN && txn_core_state(&self->txn) == TXN_CORE_READY) {
        begin(mine);
        session_end(call);
        return;
    }
    if (mine->verb == TXN_COMMIT || mine->verb == TXN_ABORT) {
        set_in_transaction(self, false);
    }
    mine->refused = ask(mine);
    if (mine->refused != STATUS_OK) {
        set_in_transaction(self, txn_core_state(&self->txn) == TXN_CORE_OPEN);
        session_end(call);
    }
}

/* ---- on the caller's thread ---- */

static int explain_refusal(const struct txn_call *mine, struct millrace_error *error)
{
    const char *what = whats[mine->verb];
    if (mine->refused == STATUS_CLOSED) {
        return trouble_closed(error);
    }
    if (mine->refused != STATUS_INVALID) {
        int code = trouble_status(error, mine->refused, what);
        if (error != NULL && mine->refused == STATUS_FENCED) {
            error->is_fatal = true;
        }
        return code;
    }
    int code = trouble_argument(error, what, "");
    if (mine->verb == TXN_BEGIN) {
        trouble_explain(error, "the transaction before it is still open, or is just ending",
                        "commit or abort it first");
    } else {
        trouble_explain(error, "no transaction is open, or the other end of it has begun",
                        "begin one first; call a commit or an abort that timed out once more");
    }
    return code;
}

/* By the rules of its group the work is another member's. */
static bool is_place_gone(int16_t code)
{
    return code == ERROR_CODE_ILLEGAL_GENERATION || code == ERROR_CODE_UNKNOWN_MEMBER_ID ||
           code == ERROR_CODE_REBALANCE_IN_PROGRESS;
}

/* After the abort. */
static const char *next_step(int16_t code)
{
    if (is_place_gone(code)) {
        return "poll: its new owner does it again";
    }
    if (code == ERROR_CODE_FENCED_INSTANCE_ID) {
        return "stop: the newer consumer does it again";
    }
    return "do it again";
}

static int explain_outcome(const struct txn_call *mine, struct millrace_error *error)
{
    const struct txn_core_outcome *outcome = &mine->outcome;
    const char *what = whats[mine->verb];
    int code;
    if (outcome->status == STATUS_TIMEOUT && outcome->error_code == ERROR_CODE_NONE) {
        if (producer_handle_is_unreachable(mine->producer)) {
            code = session_nobody(mine->producer->handle.session, what, error);
        } else {
            code = trouble_timeout(error, what);
            trouble_explain(error, "the transaction coordinator has not answered yet",
                            mine->verb == TXN_OFFSETS ? "abort the transaction"
                                                      : "call it again to go on waiting");
        }
    } else {
        code = trouble_either(error, outcome->status, outcome->error_code, what);
    }
    if (error != NULL) {
        error->must_abort = outcome->must_abort;
        error->is_fatal = outcome->is_fatal;
        if (outcome->must_abort) {
            (void)snprintf(error->fix, sizeof error->fix, "abort the transaction and %s",
                           next_step(outcome->error_code));
        }
    }
    return code;
}

static int run(struct millrace_producer *self, struct txn_call *mine, int64_t timeout_ms,
               struct millrace_error *error)
{
    if (self->transactional_id[0] == '\0') {
        return trouble_argument(error, whats[mine->verb],
                                "open the producer with a transactional_id");
    }
    mine->call.run = txn_run;
    mine->producer = self;
    mine->until_ns = session_until_ns(timeout_ms);
    if (!session_run(self->handle.session, &mine->call)) {
        return trouble_closed(error);
    }
    if (mine->refused != STATUS_OK) {
        return explain_refusal(mine, error);
    }
    return mine->outcome.status == STATUS_OK ? trouble_none(error) : explain_outcome(mine, error);
}

int millrace_producer_begin(struct millrace_producer *self, int64_t timeout_ms,
                            struct millrace_error *error)
{
    struct txn_call call = {.verb = TXN_BEGIN};
    return run(self, &call, timeout_ms, error);
}

int millrace_producer_commit(struct millrace_producer *self, int64_t timeout_ms,
                             struct millrace_error *error)
{
    struct txn_call call = {.verb = TXN_COMMIT};
    return run(self, &call, timeout_ms, error);
}

int millrace_producer_abort(struct millrace_producer *self, int64_t timeout_ms,
                            struct millrace_error *error)
{
    struct txn_call call = {.verb = TXN_ABORT};
    int code = run(self, &call, timeout_ms, error);
    if (code == MILLRACE_OK) {
        host_gate_enter(&self->gate);
        self->has_failed = false; /* Its records are nobody's failure any more. */
        host_gate_leave(&self->gate);
    }
    return code;
}

static bool is_fit(const struct millrace_offset *offsets, size_t offset_count)
{
    for (size_t i = 0; i < offset_count; i++) {
        if (offsets[i].topic.data == NULL || offsets[i].topic.size == 0 ||
            offsets[i].topic.size > INT16_MAX || offsets[i].partition < 0 ||
            offsets[i].offset < 0) {
            return false;
        }
    }
    return offset_count <= TXN_CORE_OFFSETS_MAX;
}

static struct wire_text text_of(struct millrace_bytes bytes)
{
    return (struct wire_text){bytes.data != NULL ? bytes.data : "", (int32_t)bytes.size};
}

int millrace_producer_send_offsets_as(struct millrace_producer *self,
                                      const struct millrace_membership *member,
                                      const struct millrace_offset *offsets, size_t offset_count,
                                      int64_t timeout_ms, struct millrace_error *error)
{
    if (member->group.data == NULL || member->group.size == 0 ||
        member->group.size >= SESSION_TEXT_BYTES_MAX || !is_fit(offsets, offset_count)) {
        return trouble_argument(error, "the group or an offset cannot be",
                                "name the group, and give topic, partition and offset of each");
    }
    struct txn_core_offset *copies = calloc(offset_count + 1, sizeof *copies);
    if (copies == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, whats[TXN_OFFSETS]);
    }
    for (size_t i = 0; i < offset_count; i++) {
        copies[i] = (struct txn_core_offset){.topic = text_of(offsets[i].topic),
                                             .partition = offsets[i].partition,
                                             .offset = offsets[i].offset,
                                             .leader_epoch = offsets[i].leader_epoch};
    }
    struct txn_call call = {.verb = TXN_OFFSETS,
                            .group = {.group = text_of(member->group),
                                      .generation = member->generation,
                                      .member_id = text_of(member->member_id),
                                      .instance_id = text_of(member->instance_id)},
                            .offsets = copies,
                            .offset_count = (uint32_t)offset_count};
    int code = run(self, &call, timeout_ms, error);
    free(copies);
    return code;
}

int millrace_producer_send_offsets(struct millrace_producer *self, struct millrace_bytes group,
                                   const struct millrace_offset *offsets, size_t offset_count,
                                   int64_t timeout_ms, struct millrace_error *error)
{
    const struct millrace_membership anyone = {.group = group, .generation = -1};
    return millrace_producer_send_offsets_as(self, &anyone, offsets, offset_count, timeout_ms,
                                             error);
}
