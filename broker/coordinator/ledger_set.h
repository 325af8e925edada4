/* The ledgers of one shard: one for each partition of an internal topic that this broker leads.
 *
 * It hears of roles as an observer of the shard's partitions, makes a ledger when a term begins and
 * takes it away when it ends. The partition itself says which ledger it has (ledger_set_of).
 *
 * Owner: the broker's shard. Loop: the shard's. Limits: LEDGER_SET_KINDS_MAX kinds. */
#pragma once

#include "broker/coordinator/ledger.h"

#define LEDGER_SET_KINDS_MAX 4U

struct ledger_set;

struct ledger_set_options {
    struct loop *loop;
    const char *directory; /* Borrowed for life. */
    struct ledger_kind kinds[LEDGER_SET_KINDS_MAX];
    uint32_t kind_count;
    uint64_t snapshot_record_count; /* 0: the default. */
};

MUST_USE enum status ledger_set_new(const struct ledger_set_options *options,
                                    struct ledger_set **out_self);
/* For partition_map_options. */
struct partition_observer *ledger_set_observer(struct ledger_set *self);
/* Behind the map's retirement, which ends all terms; then on_closed, and the memory is gone. */
void ledger_set_close(struct ledger_set *self, void (*on_closed)(void *context), void *context);
/* The ledger of a partition; NULL when `partition` is NULL or not led here. */
struct ledger *ledger_set_of(const struct partition *partition);
