/* The metadata quorum: one libraft voter per controller node, behind this door.
 *
 * libraft keeps the algorithm; log, vote, snapshot, peers, clock and every remedy for its known
 * bugs are ours (raft/README.md). Proposals are answered when applied here; a proposal whose
 * leadership was lost before that is answered STATUS_UNKNOWN: it may or may not be committed, and
 * the proposer tells by the idempotence token that it put into its command.
 *
 * There is no format step: an empty directory with one voter is born at once; with several, when
 * all of them answer and all are empty. An empty directory whose peers are in a cluster already
 * waits, for ever if need be, and never votes.
 *
 * Owner: the node. Loop: the quorum's own; quorum_propose() and the rest are called there. One such
 * loop per thread.
 * Limits: QUORUM_PROPOSAL_BYTES_MAX per proposal, QUORUM_PROPOSALS_MAX waiting. */
#pragma once

#include "proto/sys/loop.h"
#include "raft/fsm.h"

#include <stdbool.h>

#define QUORUM_VOTERS_MAX 5U
#define QUORUM_PROPOSAL_BYTES_MAX (1U << 20)
#define QUORUM_PROPOSALS_MAX 1024U

struct quorum;
struct quorum_peers; /* raft/peer_transport.h: how messages reach the other voters. */

struct quorum_voter {
    int32_t node_id;        /* The broker id; > 0. */
    struct address address; /* Where its peers reach it. */
};

struct quorum_options {
    struct loop *loop;
    const char *directory; /* Log, vote and snapshot live here; made when missing. */
    int32_t node_id;
    struct quorum_voter voters[QUORUM_VOTERS_MAX]; /* Of the birth; this node among them. */
    uint32_t voter_count;
    uint8_t cluster_id[16];     /* Zero: not known yet (chosen at birth). */
    struct quorum_fsm *fsm;     /* Borrowed for life. */
    struct quorum_peers *peers; /* Borrowed for life. NULL with one voter. */
    uint32_t election_ms;       /* 0: the default, 1000. */
    uint32_t heartbeat_ms;      /* 0: the default, 100. */
    uint32_t snapshot_entries;  /* Entries between snapshots; 0: the default, 8192. */
    uint32_t trailing_entries;  /* Kept below a snapshot; 0: twice snapshot_entries. */
    uint32_t segment_bytes;     /* Of a file of the log; 0: the default, 4 MiB. */
    /* Leadership of this node: `is_ready` true when a barrier of its own term was applied and it
     * may serve and decide; false as soon as leadership is lost or in doubt. */
    void (*on_leadership)(void *context, bool is_ready, int64_t term);
    /* The link to another voter broke, or is there again; NULL: nobody wants to know. */
    void (*on_peer)(void *context, int32_t node_id, bool is_down);
    /* The quorum's own storage failed or lied: the node must stop. */
    void (*on_fatal)(void *context, enum status why);
    void *context;
};

struct quorum_proposal {
    const void *bytes; /* Borrowed until on_done; the quorum pads to 8. */
    size_t byte_count;
    /* OK: applied here, as command `index`. NOT_LEADER, FULL, INVALID (too long), CANCELED: surely
     * not committed. UNKNOWN. */
    void (*on_done)(struct quorum_proposal *self, enum status status);
    uint64_t index;     /* That quorum_fsm.apply() got, valid with STATUS_OK. */
    enum status status; /* The quorum's, like the link. */
    struct list link;
};

struct quorum_status {
    bool is_leader;
    bool is_ready;
    int32_t leader_id; /* -1: unknown. */
    int64_t term;
    uint64_t applied_index; /* Of the last command applied here. */
    uint64_t last_index;    /* Of the last command in this node's log, committed or not. */
    bool is_born;
    uint8_t cluster_id[16]; /* Zero until born. */
    uint8_t directory_id[16];
};

/* Loads and starts; committed commands may be applied, and the snapshot restored, from inside.
 * STATUS_CORRUPT: own files are damaged or missing; STATUS_UNSUPPORTED: a newer format;
 * STATUS_INVALID: the directory is another node's or another cluster's. */
MUST_USE enum status quorum_open(const struct quorum_options *options, struct quorum **out_quorum);
/* Answers what waits with STATUS_CANCELED or STATUS_UNKNOWN, ends all I/O, then on_closed, from the
 * loop; the memory is freed behind it. May be called from any callback but those of the fsm. */
void quorum_close(struct quorum *self, void (*on_closed)(void *context), void *context);
/* Cannot fail; refusals come through on_done, never from inside this call. */
void quorum_propose(struct quorum *self, struct quorum_proposal *proposal);
/* For a read that must be current: OK when this node led behind the moment of the call, and all
 * that was committed until then is applied here. `bytes` are not looked at. Those that wait share
 * one barrier. NOT_LEADER, FULL, CANCELED; never from inside this call. */
void quorum_confirm(struct quorum *self, struct quorum_proposal *proposal);
/* A leader gives its place to the follower that is furthest; for an orderly stop. */
void quorum_hand_over(struct quorum *self);
struct quorum_status quorum_status_of(const struct quorum *self);
