/* The inside of a store and its logs, shared by the files of this folder that make up log.h.
 *
 * log_store.c opens, closes and ticks; log.c appends and changes; log_read.c and cold_read.c serve;
 * log_life.c opens and deletes logs, log_cut.c takes bytes away from either end; write_behind.c
 * fills segments; checkpoint.c makes the journal's space free; retention.c and removal.c delete.
 *
 * Owner: the shard. Loop: the shard's. */
#pragma once

#include "broker/log/checkpoint_base.h"
#include "broker/log/journal.h"
#include "broker/log/log.h"
#include "broker/log/log_state.h"
#include "broker/log/removal.h"
#include "broker/log/segment_load.h"
#include "broker/log/tail.h"
#include "broker/log/wall_guard.h"
#include "proto/record/batch.h"

#define LOG_FLUSHES 3U /* Sheets that one log may be in: told, under way, collecting. */

/* A place in a log: everything below it. */
struct log_mark {
    int64_t end;
    int64_t segment_base;
    uint32_t position;
};

struct log_flush {
    struct journal_waiter waiter;
    struct log *log;
    struct log_mark mark;
    bool is_waiting;
};

enum log_capture_state {
    LOG_CAPTURE_NONE,
    LOG_CAPTURE_FLUSHING, /* Until the journal has what was captured. */
    LOG_CAPTURE_WRITING,  /* Until the segments have it. */
    LOG_CAPTURE_SETTLING, /* Until they are durable. */
};

/* What a checkpoint holds of one log (checkpoint.c). */
struct log_capture {
    enum log_capture_state state;
    struct list link;  /* The checkpoint's, while changed or under way. */
    bool is_changed;   /* Since the last capture. */
    bool is_overtaken; /* A segment of it went before all its bytes were in its file. */
    uint32_t version;
    uint64_t sequence; /* Of the last record in it. */
    struct log_mark mark;
    struct checkpoint_settle *settle; /* Owned. */
    uint8_t *pending;                 /* Owned; the entry once it is settled. */
    uint32_t pending_byte_count;
    uint8_t *entry; /* Owned; NULL: the base's entry holds. */
    uint32_t entry_byte_count;
};

struct log {
    uint32_t magic;
    uint32_t version; /* Rises when bytes are taken back: truncation, reset. */
    struct log_store *store;
    struct list link; /* The store's. */
    struct log_state state;
    struct log_config config;
    struct log_events events;
    bool is_attached;  /* Between log_open() and log_forget(). */
    bool is_condemned; /* To be deleted as soon as the journal has room for saying so. */
    bool is_deleted;   /* Only the store's own work holds it still. */
    bool is_swept;
    bool has_new_names;  /* Files or the directory itself are not durable by name. */
    bool has_new_epochs; /* Since the epoch file was written. */
    bool is_put_away;    /* Its directory has its name for deleted ones. */
    int64_t flushed_end;
    int64_t retention_limit;
    struct log_mark durable; /* In the journal. */
    struct log_flush flushes[LOG_FLUSHES];
    struct list memory_link; /* The store's: to be told without a flush. */
    struct tail tail;
    struct list write_link; /* write_behind.c: in its queue. */
    bool is_writing;
    bool must_write_all; /* To the durable end, not only whole blocks. */
    struct log_capture capture;
    struct list reads;  /* cold_read.c: under way. */
    struct list drops;  /* log_cut.c: files that go when their record is flushed. */
    uint32_t job_count; /* Requests on lanes that use its paths or itself. */
};

struct log_store {
    uint32_t magic;
    struct loop *loop;
    struct disk *disk;
    struct log_store_options options;
    char *directory; /* Owned. */
    struct checkpoint_base base;
    struct block_pool pool;
    struct file_cache files;
    struct tail_cache cache;
    struct journal journal;
    struct disk_lane *segment_lane;
    struct disk_lane *read_lane;
    struct list logs;
    struct log_table table; /* Of logs. */
    struct timer timer;
    struct mail mail; /* Work for the next turn: see log_store_wake(). */
    bool is_mailed;
    bool wants_room; /* Somebody met BUSY. */
    bool has_room_news;
    bool has_condemned;
    bool must_hurry; /* Memory is short: write what can be written. */
    bool is_closing;
    enum status failure;
    bool is_failure_told;
    struct list memory_logs;
    struct write_behind *write_behind; /* Owned. */
    struct checkpoint *checkpoint;     /* Owned. */
    struct removal removal;
    struct wall_guard wall;
    struct list indexed; /* Rolled segments with indexes in memory, longest unused first. */
    uint32_t indexed_count;
    uint32_t retention_position; /* Which log is next. */
    int64_t retention_next_ns;
    uint32_t cold_read_count;
    struct tail_batch *batches; /* Owned; scratch of an append. */
    uint8_t *ingested;          /* Owned; the same. */
    uint32_t batch_room;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

/* The first failure is kept and told, from the next turn. */
void log_store_fail(struct log_store *self, enum status why);
/* log_store.c looks at everything that may go on, in the next turn. */
void log_store_wake(struct log_store *self);
/* Space or memory was given back. */
void log_store_note_room(struct log_store *self);

/* log.c, for the rest of the folder: */
/* The segment's file, open; as long as its bytes at least. CORRUPT: it is shorter. */
MUST_USE enum status log_open_segment(struct log *self, struct segment *segment);
/* Bytes of the segment, whole batches, that must be read from its file: those before its tail. */
uint32_t log_cold_bytes(const struct log *self, const struct segment *segment);
/* A batch from a segment's file is of the leader epoch in which its offsets were written: its
 * checksum does not cover the epoch. */
bool log_has_epoch_of(const struct log *self, const struct batch_view *batch);
/* Indexes in memory, loaded synchronously if need be. */
MUST_USE enum status log_load_indexes(struct log *self, struct segment *segment);
/* Those that a lane loaded. */
void log_adopt_indexes(struct log *self, struct segment *segment, struct segment_load *load);
/* They are used now; the least used ones of the store go. */
void log_touch_indexes(struct log *self, struct segment *segment);
/* Puts a record and notes that the log changed; log_await_flush() follows when it is applied. BUSY,
 * or the store's failure. */
MUST_USE enum status log_put_record(struct log *self, struct journal_record *record);
struct journal_record log_record(const struct log *self, enum journal_record_kind kind);
/* log_read() for a read whose outputs are set back. */
MUST_USE enum status log_read_from(struct log *self, struct log_read *read);
/* The state as it is now is durable with what was just put. */
void log_await_flush(struct log *self);
