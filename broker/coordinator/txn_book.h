/* The machine of one __transaction_state partition: all transactional ids whose home it is.
 *
 * It applies records (the only place that does), writes them into snapshots, keeps calls that wait
 * for a transaction's end, and looks now and then for transactions that are open for too long and
 * for ids that nobody has used for long.
 *
 * Owner: its ledger. Loop: the ledger's. Limits: TXN_BOOK_IDS_MAX. */
#pragma once

#include "broker/coordinator/txn.h"
#include "broker/coordinator/txn_state.h"

#define TXN_BOOK_IDS_MAX 1000000U
/* How long a call waits for the transaction before it to end; then its asker is told to ask again.
 * A leader's question has others behind it on its link. */
#define TXN_BOOK_PATIENCE_MS 1000
#define TXN_BOOK_LEADER_PATIENCE_MS 100

struct txn_book {
    uint32_t magic;
    struct ledger *ledger;
    const struct txn_context *context; /* Borrowed for life. */
    struct text_table txns;
    struct list ongoing; /* Transactions that are open. */
    struct list waiting; /* Calls, by the end of their patience. */
    struct list settles; /* Ends under way. */
    bool is_live;        /* Loaded: ends are brought about. */
    struct timer sweep_timer;
    struct timer patience_timer;
    struct timer expiry_timer;
    struct ledger_op expiry;
    bool is_expiring;
    bool is_closed;
};

struct txn *txn_book_find(const struct txn_book *self, struct wire_text id);
int64_t txn_book_now_ms(const struct txn_book *self); /* Wall clock. */
/* Asks the ledger for a record. */
void txn_book_store(struct ledger_op *op, struct wire_text id,
                    const struct kafka_transaction_log_value *value);
/* The call is decided anew when the transaction has ended, or when its patience is over. */
enum ledger_verdict txn_book_keep(struct txn_book *self, struct txn *txn, struct txn_call *call,
                                  int64_t patience_ms);

/* For struct ledger_kind. */
void *txn_book_open(void *context, struct ledger *ledger);
void txn_book_apply(void *machine, const struct ledger_record *record);
void txn_book_end_txn(void *machine, int64_t producer_id, bool is_commit);
void txn_book_on_loaded(void *machine);
void txn_book_snapshot(void *machine, struct ledger_snapshot_writer *writer);
void txn_book_close(void *machine);
