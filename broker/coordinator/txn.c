#include "broker/coordinator/txn.h"

#include "broker/coordinator/txn_book.h"

struct ledger_kind txn_kind(struct txn_context *context)
{
    return (struct ledger_kind){.topic_name = TXN_TOPIC_NAME,
                                .context = context,
                                .open = txn_book_open,
                                .apply = txn_book_apply,
                                .end_txn = txn_book_end_txn,
                                .on_loaded = txn_book_on_loaded,
                                .snapshot = txn_book_snapshot,
                                .close = txn_book_close};
}

void txn_init_call(struct txn_call *self, size_t arena_bytes_max)
{
    *self = (struct txn_call){.fresh_producer_id = -1};
    arena_init(&self->arena, arena_bytes_max);
    list_init(&self->in_txn);
    list_init(&self->in_book);
}

void txn_done_call(struct txn_call *self)
{
    arena_done(&self->arena);
}
