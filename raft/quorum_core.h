/* One libraft core with everything around it that makes 0.15 safe: files, clock, messages.
 *
 * quorum_core_run() is the only way in. It enters the core's heap, makes the call, and then
 * settles: ends sends, sees whether role or term changed, submits the barrier of a new leader,
 * delivers acknowledgements that waited for it, and repeats until nothing is left. The rooms are
 * quorum_io.c (disk half of the raft_io), quorum_send.c (outgoing half), quorum_receive.c
 * (everything that comes from peers) and quorum_apply.c (the state machine's side).
 *
 * After a failed write the core is dead: it is told that all is well, nothing of what it does
 * leaves any more, and it is never entered again, since its own error paths are not to be trusted.
 *
 * Owner: the quorum. Loop: the quorum's. Limits: QUORUM_CORE_HELD_BYTES_MAX of messages held; a log
 * of more than QUORUM_CORE_LOG_FILES files is followed by a snapshot soon. */
#pragma once

#include "raft/fsm.h"
#include "raft/quorum_configuration.h"
#include "raft/quorum_heap.h"
#include "raft/quorum_log.h"
#include "raft/quorum_message.h"
#include "raft/quorum_meta.h"
#include "raft/quorum_snapshot.h"
#include "raft/quorum_vote.h"

#include <raft.h>

#define QUORUM_CORE_HELD_BYTES_MAX ((size_t)128 << 20)
#define QUORUM_CORE_INSTALL_MS 5000U
#define QUORUM_CORE_LOG_FILES 16U

struct quorum_core_options {
    struct loop *loop;
    const char *directory;          /* Borrowed for life. */
    const struct quorum_meta *meta; /* Borrowed for life; born. */
    struct quorum_fsm *fsm;         /* Borrowed for life. */
    uint32_t election_ms;
    uint32_t heartbeat_ms;
    uint32_t snapshot_entries;
    uint32_t trailing_entries;
    uint32_t segment_bytes; /* 0: the default. */
    /* Sends `frame`, malloc'ed and the receiver's from now on, to that node. False: dropped. */
    bool (*on_send)(void *context, int32_t node_id, uint8_t *frame, size_t byte_count);
    /* After every entry, outside the core. */
    void (*on_turn)(void *context);
    void *context;
};

/* An acknowledgement that waits for the barrier. */
struct quorum_core_parked {
    uint64_t raft_id; /* 0: free. */
    struct raft_append_entries_result result;
};

/* An AppendEntries that was cut: where the next one goes on. */
struct quorum_core_cut {
    uint64_t raft_id;
    uint64_t next_index;
};

struct quorum_core_deferred {
    struct raft_io_send *request;
    raft_io_send_cb callback;
    int code;
};

struct quorum_core {
    uint32_t magic;
    struct quorum_core_options options;
    uint64_t raft_id;
    char identity[QUORUM_CONFIGURATION_IDENTITY_BYTES];
    struct quorum_heap heap;
    struct raft raft;
    struct raft_io io;
    struct raft_fsm machine;
    bool is_inside;
    bool is_closing;
    bool is_dead;
    enum status death; /* Why. */
    uint32_t epoch;    /* Rises when the core is restarted in place. */

    struct quorum_vote vote;
    struct quorum_log log;
    struct quorum_snapshot_store snapshots;
    struct quorum_configuration_history history;
    enum status load_status;
    uint32_t append_count; /* Under way, as leader or follower. */
    struct list appends;   /* Of them; only for QUORUM_REMEDY_FAIL_STOP off. */

    struct quorum_snapshot_write put; /* One at a time; libraft sees to it. */
    struct raft_io_snapshot_put *put_request;
    raft_io_snapshot_put_cb put_callback;
    struct raft_buffer put_configuration; /* malloc'ed. */
    uint64_t put_trim_index;
    bool is_putting;
    bool is_installing;
    bool install_is_written; /* Waits for an idle log. */

    uint64_t command_count;      /* Applied here. */
    uint64_t applied_raft_index; /* What the state machine has seen, across restarts in place. */
    uint64_t entry_first_command;
    uint8_t state_head[64];
    void *state_bytes; /* The state machine's, while its snapshot is written; free(). */

    struct timer tick;
    struct timer failover;
    raft_io_tick_cb on_tick;
    raft_io_recv_cb on_receive;

    struct quorum_core_deferred *deferred; /* Owned. */
    size_t deferred_count;
    size_t deferred_count_max;
    struct quorum_core_cut cuts[QUORUM_CONFIGURATION_SERVERS_MAX];
    uint32_t cut_count;

    /* What positive answers may say: see quorum_send.c. */
    bool in_append_entries;  /* One is being delivered. */
    bool in_follower_append; /* The write of one has ended. */
    bool is_suppressing;
    bool is_refusing;       /* The request being delivered is of an older term. */
    uint64_t covered_index; /* By the request at hand. */
    uint64_t verified_term;
    uint64_t verified_index; /* By all requests of that term. */

    struct list held; /* struct quorum_message. */
    size_t held_bytes;
    struct mail release;
    bool is_release_posted;

    int seen_state;
    uint64_t seen_term;
    uint64_t barrier_index; /* Of the own term's; 0: not submitted yet. */
    bool is_ready;          /* That barrier was applied. */
    struct quorum_core_parked parked[QUORUM_CONFIGURATION_SERVERS_MAX];
};

/* Loads and starts. On failure `self` may still be passed to quorum_core_close(). */
MUST_USE enum status quorum_core_open(struct quorum_core *self,
                                      const struct quorum_core_options *options);
/* Drops everything; nothing is called back afterwards but what was posted to the loop before. */
void quorum_core_close(struct quorum_core *self);

/* Nothing happens in a dead core. */
void quorum_core_run(struct quorum_core *self,
                     void (*call)(struct quorum_core *self, void *argument), void *argument);
/* From inside: see above. */
void quorum_core_die(struct quorum_core *self, enum status why);
/* Ends the core and starts it again from its files. Not from inside; idle, follower. */
void quorum_core_restart(struct quorum_core *self);
/* The link to that node broke: if it was the leader, ask for votes soon. */
void quorum_core_peer_lost(struct quorum_core *self, int32_t node_id);

/* Appends or an install are under way. */
bool quorum_core_is_busy(const struct quorum_core *self);
/* Looks into the core's log; 0 for what it does not hold. */
uint64_t quorum_core_last_index(const struct quorum_core *self);
uint64_t quorum_core_term_at(const struct quorum_core *self, uint64_t index);
/* Makes the core's configuration that of the log up to `index`. Inside; not for leaders, but for
 * one whom the message at hand ends. */
void quorum_core_set_configuration(struct quorum_core *self, uint64_t index);

/* Of an open quorum, for tests; NULL before birth. In quorum.c. */
struct quorum;
struct quorum_core *quorum_core_of(struct quorum *quorum);
