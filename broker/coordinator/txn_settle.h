/* Brings one transaction to its end: abort when asked to, wait until the decision is safe, send the
 * markers, write that it is complete.
 *
 * The state in the log says what is left to do, so that a settle begun by any coordinator goes on
 * with any other; what cannot be done now is tried again.
 *
 * Owner: the txn_book; it outlives the book while something is under way. Loop: the ledger's. */
#pragma once

#include "broker/coordinator/txn_book.h"

/* The transaction is prepared, by what was applied just now or by an earlier coordinator. */
void txn_settle_begin(struct txn_book *book, struct txn *txn);
/* Ends the open transaction of this epoch: it is aborted, and the epoch raised, so that whoever
 * writes in it is fenced. */
void txn_settle_abort(struct txn_book *book, struct txn *txn);
/* The book goes. */
void txn_settle_lose_all(struct txn_book *book);
