/* Deletes a group without members: through a coordinator that it finds by itself.
 *
 * It has brokers of its own (a cluster), so it ends by itself, whatever its caller closes
 * meanwhile. The two functions below it are question and answer alone, for those who ask otherwise.
 *
 * Owner: whoever embeds it; stays put until on_done. Loop: the options'. Limits: one group. */
#pragma once

#include "client/coordinator_core.h"

struct group_delete_options {
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id; /* Borrowed until on_done, as the next. */
    const char *group;
    int64_t request_timeout_ms;
    int64_t deadline_ns;
    /* Once, never from inside group_delete_start(): OK, with 0 or the broker's last word
     * (GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP …); else why there is no answer. */
    void (*on_done)(void *context, enum status status, int16_t error_code);
    void *context;
};

struct group_delete {
    uint32_t magic;
    struct group_delete_options options;
    struct cluster cluster;
    struct coordinator_core coordinator;
    struct coordinator_op op;
    enum status status;
};

void group_delete_start(struct group_delete *self, const struct group_delete_options *options);

#define GROUP_DELETE_VERSION_MAX 2
void group_delete_encode(struct wire_text group, int16_t version, struct wire_writer *writer);
/* `is_doubtful`: an earlier try may have been done, so that no group is what was wanted. */
MUST_USE enum status group_delete_take(struct ask *ask, bool is_doubtful, int16_t *out_error_code);
