#include "proto/frame/complaint.h"

#include "proto/sys/clock.h"

void complaint_table_init(struct complaint_table *self)
{
    *self = (struct complaint_table){0};
}

/* FNV-1a. */
static uint64_t hash_of(const char *host)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *at = host; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    }
    return hash == 0 ? 1 : hash;
}

bool complaint_is_due(struct complaint_table *self, const char *host, int64_t now_ns)
{
    uint64_t hash = hash_of(host);
    struct complaint *complaint = &self->complaints[hash % COMPLAINT_HOSTS_MAX];
    if (complaint->host_hash == hash &&
        now_ns - complaint->told_ns < COMPLAINT_REST_MS * CLOCK_NS_PER_MS) {
        return false;
    }
    *complaint = (struct complaint){.host_hash = hash, .told_ns = now_ns};
    return true;
}
