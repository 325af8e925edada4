/* Who was complained about of late, so that one bad peer fills no trace: a line per host and
 * minute.
 *
 * A small table by hash; two hosts that share a place push each other out, which costs a line too
 * many, never memory. Owner: the listener's shard. Loop: its. Limits: COMPLAINT_HOSTS_MAX. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define COMPLAINT_HOSTS_MAX 64U
#define COMPLAINT_REST_MS 60000

struct complaint {
    uint64_t host_hash; /* 0: nobody. */
    int64_t told_ns;
};

struct complaint_table {
    struct complaint complaints[COMPLAINT_HOSTS_MAX];
};

void complaint_table_init(struct complaint_table *self);
/* True when a line about `host` is due; it counts as written then. */
bool complaint_is_due(struct complaint_table *self, const char *host, int64_t now_ns);
