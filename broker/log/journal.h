/* The journal of a store: the one file that is flushed for an acknowledgement.
 *
 * Records are collected in a sheet while the sheet before it is under way; one durable write takes
 * all of them, and what waits for it is told. The file is a ring (journal_format.h): room behind
 * the head is free once a checkpoint has made the records in it superfluous.
 * A failed write is final: it may or may not be on the disk, so nothing is written or acknowledged
 * after it.
 *
 * Owner: the store. Loop: the shard's, with a lane of its own. Limits: the ring, sheet_bytes_max.
 */
#pragma once

#include "broker/log/block_pool.h"
#include "broker/log/journal_format.h"
#include "proto/sys/loop.h"

#define JOURNAL_BYTES_MIN (256U << 10)
#define JOURNAL_PIECE_BYTES (128U << 10)

struct journal_waiter {
    struct list link;
    /* All records put before journal_wait() are flushed, or never will be. */
    void (*on_flushed)(struct journal_waiter *self, enum status status);
};

struct journal_sheet {
    struct list waiters;
    struct disk_buffer *pieces; /* Owned, each JOURNAL_PIECE_BYTES from the pool. */
    uint32_t piece_count;
    uint32_t piece_room;
    size_t byte_count; /* With the header. */
    uint64_t first_sequence;
    uint32_t record_count;
};

struct journal {
    uint32_t magic;
    struct loop *loop;
    struct block_pool *pool;
    struct disk_file *file;
    struct disk_lane *lane;
    struct disk_request request;
    struct mail mail;
    struct journal_identity identity;
    uint64_t ring_bytes;
    uint64_t
        head; /* Counted on without end; modulo `ring_bytes` it is the place of the next sheet. */
    uint64_t tail; /* Oldest byte that is still needed. */
    uint64_t next_sequence;
    uint64_t flushed_sequence; /* All below it are. */
    size_t sheet_bytes_max;
    struct journal_sheet sheets[2];
    uint32_t collecting;   /* Which of them. */
    uint64_t sheet_number; /* Of the collecting one; rises whenever waiters are about to be told. */
    struct list overdue;   /* Waiters of sheets that journal_flush_now() ended. */
    bool is_writing;
    bool is_mailed;
    enum status failure;
    /* After the waiters of a sheet; never from inside a call of this header. */
    void (*on_settled)(struct journal *self);
};

struct journal_options {
    struct loop *loop;
    struct block_pool *pool;
    const char *path;
    uint32_t shard;
    uint64_t generation;
    uint64_t byte_count; /* Of the file; at least JOURNAL_BYTES_MIN. */
    void (*on_settled)(struct journal *self);
};

/* The content of an older generation is given up. */
MUST_USE enum status journal_open(struct journal *self, const struct journal_options *options);
/* What is under way ends first; what was not flushed is told so. Accepts a zeroed journal. */
void journal_close(struct journal *self);

/* Room for records of `byte_count` in all; `is_control`: those may use what is kept back for
 * them. */
bool journal_has_room(const struct journal *self, size_t byte_count, bool is_control);
/* Largest record that can ever have room. */
size_t journal_record_bytes_max(const struct journal *self);
/* Gives it its sequence and copies it; there is room. Flushes by itself, at the end of the turn or
 * after the sheet under way. NO_MEMORY, BUSY (budget): nothing was put. */
MUST_USE enum status journal_put(struct journal *self, struct journal_record *record);
/* Called back from a later turn. */
void journal_wait(struct journal *self, struct journal_waiter *waiter);
/* The store has failed elsewhere: who waits hears `why`, nothing more is taken or written. */
void journal_fail(struct journal *self, enum status why);
void journal_stop_waiting(struct journal_waiter *waiter); /* Accepts one that does not wait. */
/* Stops the loop until everything put so far is flushed; waiters are told later. For the rare case
 * that must not go on before. */
MUST_USE enum status journal_flush_now(struct journal *self);

/* A point in the journal: all records put later have `sequence` or a higher one. */
struct journal_cut {
    uint64_t head;
    uint64_t position; /* In the file; for the checkpoint. */
    uint64_t sequence;
};
struct journal_cut journal_cut(const struct journal *self);
/* Nothing before the cut is needed any more. */
void journal_release(struct journal *self, const struct journal_cut *cut);
uint64_t journal_used_bytes(const struct journal *self);
