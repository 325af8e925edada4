#include "broker/coordinator/group.h"

#include "broker/coordinator/group_book.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

struct ledger_kind group_kind(const struct group_limits *limits)
{
    /* The context is only read, but a kind's context may be anything. */
    union {
        const struct group_limits *limits;
        void *context;
    } shared = {.limits = limits};
    return (struct ledger_kind){.topic_name = GROUP_TOPIC_NAME,
                                .context = shared.context,
                                .open = group_book_open,
                                .apply = group_book_apply,
                                .end_txn = group_book_end_txn,
                                .on_loaded = group_book_on_loaded,
                                .snapshot = group_book_snapshot,
                                .close = group_book_close};
}

void group_init_call(struct group_call *self, size_t arena_bytes_max)
{
    *self =
        (struct group_call){.client_id = {NULL, -1}, .client_host = {NULL, -1}, .producer_id = -1};
    arena_init(&self->arena, arena_bytes_max);
}

void group_done_call(struct group_call *self)
{
    arena_done(&self->arena);
}

int16_t group_code_of_fault(enum ledger_fault fault)
{
    switch (fault) {
    case LEDGER_FAULT_NONE:
        return ERROR_CODE_NONE;
    case LEDGER_FAULT_LOADING:
        return ERROR_CODE_COORDINATOR_LOAD_IN_PROGRESS;
    case LEDGER_FAULT_NOT_HERE:
    case LEDGER_FAULT_STORAGE: /* This broker stops; another one will have it. */
        return ERROR_CODE_NOT_COORDINATOR;
    case LEDGER_FAULT_UNAVAILABLE:
        return ERROR_CODE_COORDINATOR_NOT_AVAILABLE;
    case LEDGER_FAULT_TOO_LARGE:
        return ERROR_CODE_UNKNOWN_SERVER_ERROR;
    case LEDGER_FAULT_PRODUCER:
        return ERROR_CODE_INVALID_PRODUCER_EPOCH;
    }
    check_unreachable("a fault of a ledger");
}
