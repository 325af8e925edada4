/* One attempt of a task: from taking its id over to whatever ends it.
 *
 *     FENCING     InitProducerId: whoever had the id is fenced, his transaction is settled
 *     RECALLING   the last progress record is looked for, backwards from the end
 *     RESTORING   the changelog is read into the chain
 *     WAITING     for input, the trigger's time, or a stop
 *     COMPUTING   an epoch's rows pass the chain, one slice a turn
 *     COMMITTING  its transaction ends; fetching goes on
 *     OVER        the owner has been told why; what is open closes
 *
 * task_attempt.c has its life up to the first epoch, task_epoch.c the epochs, task_snapshot.c what
 * keeps the next start short.
 *
 * Owner: the task. Loop: its. Limits: those of the setup. */
#pragma once

#include "processor/operator/chain.h"
#include "processor/sink/sink.h"
#include "processor/source/source.h"
#include "processor/task/task_fault.h"
#include "processor/task/task_progress.h"
#include "processor/task/task_rows.h"
#include "processor/task/task_setup.h"
#include "processor/task/task_trim.h"

enum task_attempt_phase {
    TASK_ATTEMPT_FENCING,
    TASK_ATTEMPT_RECALLING,
    TASK_ATTEMPT_RESTORING,
    TASK_ATTEMPT_WAITING,
    TASK_ATTEMPT_COMPUTING,
    TASK_ATTEMPT_COMMITTING,
    TASK_ATTEMPT_OVER,
};

/* From the loop, never from inside a call. Any of them may close the attempt. */
struct task_attempt_events {
    void (*on_restoring)(void *context);
    void (*on_running)(void *context);
    void (*on_progress)(void *context, const Millrace__Processor__Progress *progress);
    /* One of these, once: it is over. */
    void (*on_broken)(void *context, const char *why);
    /* `is_doubtful`: a task whose id was taken over in silence would see the same. */
    void (*on_failed)(void *context, struct task_fault *fault, bool is_doubtful);
    void (*on_fenced)(void *context);
    void (*on_stopped)(void *context);
    void (*on_closed)(void *context); /* The attempt is freed. */
    void *context;
};

/* A partition of the input, beside what the source knows of it. */
struct task_input {
    Millrace__Processor__MarkState told; /* UNKNOWN: nothing, since its last row. */
    int64_t start_offset;                /* Of the epoch. */
    int64_t changelog_start;             /* Where a restore begins, once the epoch commits. */
    uint64_t change_count;               /* What it would read. */
};

struct task_epoch {
    int64_t began_ns;
    int64_t read_ns;
    int64_t compute_ns;
    int64_t commit_began_ns;
    int64_t last_commit_ns; /* Of the epoch before. */
    uint64_t row_count;
    bool is_final;
    bool is_described; /* Its progress record is made. */
    Millrace__Processor__Progress progress;
    struct arena arena; /* Of the progress and its bytes. */
};

struct task_attempt {
    uint32_t magic;
    const struct task_setup *setup; /* Borrowed for life. */
    struct task_attempt_events events;
    enum task_attempt_phase phase;
    bool wants_stop;
    struct sink *sink;
    struct source *source; /* The one that is read now; NULL: none. */
    struct chain *chain;
    struct task_rows rows;
    struct task_trim *trim;
    uint32_t open_count; /* Sink, sources, trim: what has not closed yet. */
    bool is_closing;
    bool is_over_told;
    struct mail turn_mail;
    bool is_turn_posted;
    struct timer wake;
    /* What is committed; unpacked, owned. NULL: nothing yet. */
    Millrace__Processor__Progress *progress;
    int64_t progress_offset; /* Of a progress record that is the last, or older; -1: none. */
    struct commit_epoch_claim *claims; /* Owned; of the progress, then of the state by place. */
    int64_t back_count;
    uint8_t *found; /* Owned. The last progress record seen. */
    size_t found_bytes;
    struct task_input *inputs; /* Owned; by place in the setup's partitions. */
    int32_t snapshot_input;    /* Whose snapshot's offset is looked for; -1: none's. */
    int64_t trim_not_before_ns;
    int64_t flow_began_ns; /* The first row of the task's life, or the input's opening. */
    bool has_flowed;
    int64_t epoch_not_before_ns;
    struct task_epoch epoch;
    struct task_fault fault;
    bool is_fault_doubtful;
    enum status sink_status; /* Why the sink refused what the chain gave it. */
};

MUST_USE enum status task_attempt_open(const struct task_setup *setup,
                                       const struct task_attempt_events *events,
                                       struct task_attempt **out_attempt);
/* Then on_closed. */
void task_attempt_close(struct task_attempt *self);
/* The epoch under way, or an empty one, is the last. */
void task_attempt_stop(struct task_attempt *self);

/* For the files of this noun. They end the attempt; after the first nothing more is told. */
__attribute__((format(printf, 2, 3))) void task_attempt_break(struct task_attempt *self,
                                                              const char *format, ...);
/* As self->fault says. */
void task_attempt_fail(struct task_attempt *self);
/* What the brokers answered to `what`. */
void task_attempt_judge(struct task_attempt *self, enum status status, int16_t error_code,
                        const char *what);
void task_attempt_end_stopped(struct task_attempt *self);
/* Is it still worth going on, after something that may have ended it? */
bool task_attempt_is_on(const struct task_attempt *self);
/* Passes a named point. False: it ended the attempt. */
bool task_attempt_pass(struct task_attempt *self, enum task_point point);
/* Work for a later turn. */
void task_attempt_post_turn(struct task_attempt *self);
/* What the chain's failure means: `partition` and `offset` where it happened, -1 for none. */
void task_attempt_judge_chain(struct task_attempt *self, enum status status, int32_t partition,
                              int64_t offset);

/* In task_snapshot.c: at the end of an epoch's changes, of its transaction, and behind it. */
MUST_USE enum status task_snapshot_take(struct task_attempt *self);
void task_snapshot_note(struct task_attempt *self);
void task_snapshot_trim(struct task_attempt *self);

/* In task_epoch.c: what there is to do when something is new, in the turn, at a commit. */
void task_epoch_begin_first(struct task_attempt *self);
void task_epoch_consider(struct task_attempt *self);
void task_epoch_turn(struct task_attempt *self);
enum status task_epoch_on_progress_due(void *context, struct wire_bytes *out_value);
void task_epoch_on_committed(void *context, const struct commit_epoch_outcome *outcome);
void task_epoch_on_part(void *context, enum commit_epoch_part part);
void task_epoch_on_end_sent(void *context);
/* The chain's callbacks. */
void task_epoch_set_callbacks(struct task_attempt *self, struct chain_options *options);
