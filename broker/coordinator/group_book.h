/* The machine of one __consumer_offsets partition: all groups whose home it is.
 *
 * It applies records (the only place that does), writes them into snapshots, and looks now and then
 * for offsets that have expired and groups that nothing is left of.
 *
 * Owner: its ledger. Loop: the ledger's. Limits: GROUP_BOOK_GROUPS_MAX. */
#pragma once

#include "broker/coordinator/group_state.h"

#define GROUP_BOOK_GROUPS_MAX 200000U

struct group_book {
    uint32_t magic;
    struct ledger *ledger;
    const struct group_limits *limits; /* Borrowed for life. */
    struct text_table groups;
    struct list pending; /* Groups with offsets that wait for the end of a transaction. */
    bool is_live;        /* Loaded: sessions run. */
    struct timer sweep_timer;
    struct ledger_op sweep;
    bool is_sweeping;
    bool is_closed; /* Freed when the sweep is back. */
};

/* NULL: no such group. */
struct group *group_book_find(const struct group_book *self, struct wire_text id);
/* NULL: there are too many. */
struct group *group_book_make(struct group_book *self, struct wire_text id);
/* Frees a group of which nothing is left that a record would have to say. */
void group_book_forget_if_bare(struct group *group);
int64_t group_book_now_ms(const struct group_book *self); /* Wall clock. */

/* For struct ledger_kind. */
void *group_book_open(void *context, struct ledger *ledger);
void group_book_apply(void *machine, const struct ledger_record *record);
void group_book_end_txn(void *machine, int64_t producer_id, bool is_commit);
void group_book_on_loaded(void *machine);
void group_book_snapshot(void *machine, struct ledger_snapshot_writer *writer);
void group_book_close(void *machine);
