/* One partition's replicas as its leader sees them: who is in sync, and what is safe to read.
 *
 * The high watermark is the lowest flushed end of the maximal ISR (the agreed one plus members
 * whose joining is under way), the leader's own included, and it stands still while fewer than
 * min.insync.replicas are in sync (KIP-966). It never moves back in one leader's term.
 * A follower is caught up while it has, within the lag time, fetched up to what the leader's end
 * was at its previous fetch; so one that is steadily one batch behind stays in sync. Pure: no I/O,
 * time is passed in. Changes of the ISR are proposed here and decided by the controller; one
 * proposal at a time.
 *
 * Owner: the partition. Loop: its shard's. Limits: REPLICA_SET_MAX replicas. */
#pragma once

#include "proto/sys/status.h"

#include <stdbool.h>
#include <stdint.h>

#define REPLICA_SET_MAX 16U

struct replica {
    int32_t broker_id;
    bool is_in_isr;       /* As agreed. */
    bool is_joining;      /* In the proposal under way. */
    int64_t broker_epoch; /* Of its last fetch; -1: none yet. */
    int64_t end;          /* -1: not known in this term. */
    int64_t flushed_end;  /* -1: not known in this term. */
    int64_t last_fetch_ns;
    int64_t leader_end_at_last_fetch;
    int64_t caught_up_ns; /* When it was last known to have everything. */
};

struct replica_set {
    uint32_t magic;
    int32_t local_id;
    int32_t leader_epoch;
    int32_t partition_epoch;
    uint8_t replica_count;
    uint8_t min_isr;
    bool is_proposal_pending;
    int64_t high_watermark;
    int64_t epoch_start; /* The leader's end when its term began. */
    struct replica replicas[REPLICA_SET_MAX];
};

struct replica_set_term {
    int32_t local_id;
    int32_t leader_epoch;
    int32_t partition_epoch;
    const int32_t *replicas;
    uint8_t replica_count;
    const int32_t *isr;
    uint8_t isr_count;
    uint8_t min_isr;
    int64_t log_end;
    int64_t flushed_end;
    int64_t high_watermark;
    int64_t now_ns;
};

/* A term as leader begins: followers' ends are unknown, members of the ISR get the full lag time.
 */
void replica_set_lead(struct replica_set *self, const struct replica_set_term *term);
/* Same term, other members or ISR as the controller decided them; ends any pending proposal.
 * False: an older or equal partition epoch, nothing changed. */
bool replica_set_update(struct replica_set *self, const struct replica_set_term *term);
void replica_set_set_min_isr(struct replica_set *self, uint8_t min_isr);

/* Each returns true when the high watermark moved. */
bool replica_set_appended(struct replica_set *self, int64_t end, int64_t now_ns);
bool replica_set_flushed(struct replica_set *self, int64_t flushed_end);
struct replica_set_fetch {
    int32_t broker_id;
    int64_t broker_epoch;
    int64_t end;
    int64_t flushed_end;
    int64_t now_ns;
};
/* NOT_FOUND: not a replica. FENCED: an older broker epoch than seen. */
MUST_USE enum status replica_set_fetched(struct replica_set *self,
                                         const struct replica_set_fetch *fetch,
                                         bool *out_high_watermark_moved);

uint8_t replica_set_isr_count(const struct replica_set *self);
/* Can a write that needs all replicas be accepted? */
bool replica_set_has_min_isr(const struct replica_set *self);

struct replica_set_proposal {
    uint8_t count;
    int32_t broker_ids[REPLICA_SET_MAX];
    int64_t broker_epochs[REPLICA_SET_MAX]; /* -1: not known. */
};
/* True when the ISR should change: a follower that has flushed all up to the high watermark and the
 * start of the term joins, one that was not caught up for `lag_ns` leaves. Marks the proposal as
 * pending. */
bool replica_set_propose(struct replica_set *self, int64_t now_ns, int64_t lag_ns,
                         struct replica_set_proposal *out_proposal);
/* The proposal was refused or its fate is unknown: it may be proposed again. A proposal of unknown
 * fate keeps its joiners in the maximal ISR until the controller's state is known. */
void replica_set_proposal_ended(struct replica_set *self, bool is_fate_known);
