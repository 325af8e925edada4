/* The cluster's tables and jobs, as one compacted topic: read all the time, written under one
 * transactional id.
 *
 * Every processor follows `__millrace_catalog` and keeps what is committed in memory. Who wants to
 * change something first takes over the writer's transactional id, which fences whoever wrote
 * before, then reads up to the end, and only then decides; so two doors never decide on the same
 * state, and of two jobs of one name the second one is refused. Who is fenced does all this again.
 *
 * Owner: the processor. Loop: the options'. Limits: CATALOG_ENTRIES_MAX tables and jobs;
 * CATALOG_RECORD_BYTES_MAX each. */
#pragma once

#include "client/consumer_core.h"
#include "client/retry.h"
#include "client/txn_core.h"
#include "processor/job/topic_maker.h"
#include "proto/internal/processor_record.pb-c.h"

#define CATALOG_TOPIC "__millrace_catalog"
#define CATALOG_WRITER_ID "__millrace_catalog_writer"
#define CATALOG_ENTRIES_MAX 4096U
#define CATALOG_NAME_BYTES_MAX 200U
#define CATALOG_RECORD_BYTES_MAX (1U << 20)
#define CATALOG_CHANGES_MAX 4U

enum catalog_kind { CATALOG_TABLE, CATALOG_JOB };

struct catalog_entry {
    struct list in_catalog;
    enum catalog_kind kind;
    char name[CATALOG_NAME_BYTES_MAX];
    Millrace__Processor__CatalogRecord *record; /* Owned. */
    int64_t offset;
};

/* Up to the end as it is at some time behind the call. */
struct catalog_barrier {
    int64_t deadline_ns;
    void (*on_done)(struct catalog_barrier *self, enum status status);
    /* The catalog's: */
    struct catalog *catalog;
    struct admin_op op;
    struct list in_catalog;
    struct timer timer;
    struct topic_calls_offset end; /* -1: not told yet. */
};

/* One decision and what it changes. */
struct catalog_write {
    int64_t deadline_ns;
    /* The catalog is as new as can be: decide, and call catalog_write_put() for each change; none
     * is no write. Anything but OK ends the write with it. May run more than once. */
    enum status (*decide)(struct catalog_write *self);
    /* Once. OK: it is committed, and read back already. UNKNOWN: it may be. FENCED: other doors
     * wrote until the deadline. */
    void (*on_done)(struct catalog_write *self, enum status status);
    /* The catalog's: */
    struct catalog *catalog;
    struct list in_catalog;
    struct catalog_barrier barrier;
    struct txn_core txn;
    struct timer again; /* Armed: between two attempts. */
    struct retry retry;
    enum status status;
    int64_t claimed_offset; /* All that other doors committed lies before it; -1: not known. */
    bool is_claiming;       /* The next report is the claim's. */
    struct mail claim_mail;
    bool is_claim_posted;
    bool has_closed;        /* The transactions' core. */
    int64_t written_offset; /* Of a record that the log has taken; -1: none. */
    int64_t written_end;    /* Behind the last one; both of the last attempt that came so far. */
    uint32_t delivered_count;
    bool is_over;     /* The attempt. */
    bool is_lost;     /* The attempt, to another door; there may be a next one. */
    bool is_doubtful; /* A commit was asked for, and nobody knows how it ended. */
    bool is_seen;     /* What was written is committed: our reader has it. */
    uint32_t change_count;
    struct catalog_change {
        char key[CATALOG_NAME_BYTES_MAX + 8];
        uint8_t *bytes; /* Owned; NULL: removed. */
        size_t byte_count;
    } changes[CATALOG_CHANGES_MAX];
};

struct catalog_options {
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id; /* Borrowed for life. */
    struct admin_core *admin;
    /* After something changed, and once when all that was there at the start has been read. */
    void (*on_changed)(void *context);
    void (*on_closed)(void *context);
    void *context;
};

struct catalog {
    uint32_t magic;
    struct catalog_options options;
    struct consumer_core consumer;
    struct decompressor decompressor;
    struct decompressor_output output;
    struct list entries;
    uint32_t entry_count;
    uint64_t removed_job_count; /* Jobs that were there, since we read. */
    int64_t position;           /* Behind what was read; -1: nothing yet. */
    bool is_ready;              /* Has been read to the end once. */
    struct topic_wish topic;
    struct catalog_barrier first;
    struct timer again;
    struct list barriers;          /* Waiting for the reader. */
    struct list writes;            /* Waiting for their turn. */
    struct catalog_write *writing; /* The one under way; NULL: none. */
    bool is_assigned;
    bool is_closing;
    bool has_closed_consumer;
};

void catalog_init(struct catalog *self, const struct catalog_options *options);
/* Ends barriers and writes (CANCELED), then on_closed. */
void catalog_close(struct catalog *self);

/* NULL: there is none of this name. Names are compared as they are. */
struct catalog_entry *catalog_find(struct catalog *self, enum catalog_kind kind, const char *name);
/* The one behind `entry` (NULL: the first); NULL: no further one. */
struct catalog_entry *catalog_next(struct catalog *self, enum catalog_kind kind,
                                   struct catalog_entry *entry);
void catalog_wait(struct catalog *self, struct catalog_barrier *barrier);
/* Up to `end`, which must be ahead of `position`. */
void catalog_wait_until(struct catalog *self, struct catalog_barrier *barrier, int64_t end);
void catalog_change(struct catalog *self, struct catalog_write *write);
/* From decide(). NULL `record`: removes it. */
MUST_USE enum status catalog_write_put(struct catalog_write *self, enum catalog_kind kind,
                                       const char *name,
                                       const Millrace__Processor__CatalogRecord *record);
