/* What went into a job and what came out of it, per window and key: the offline computation beside
 * what a committed reader sees.
 *
 * Owner: workload_job; told from inside nodes, so nothing here allocates. Loop: the world's. */
#pragma once

#include "processor/source/source.h"
#include "tests/sim/sim_world.h"

#define JOB_SUMS_WINDOWS 720 /* Two hours of them. */
#define JOB_SUMS_KEYS 4
#define JOB_SUMS_ROW_BYTES 96

struct job_sum {
    int64_t count;
    int64_t total;
};

struct job_sums {
    struct sim_world *world;
    struct job_sum sent[JOB_SUMS_WINDOWS][JOB_SUMS_KEYS];
    struct job_sum emitted[JOB_SUMS_WINDOWS][JOB_SUMS_KEYS];
    struct job_sum late[JOB_SUMS_WINDOWS][JOB_SUMS_KEYS];
    struct job_sum logged[JOB_SUMS_WINDOWS][JOB_SUMS_KEYS]; /* As the input's log has it. */
    int64_t sent_count; /* Rows, without the closing ones. */
    int64_t emitted_count;
    int64_t late_count;
    int64_t window_count; /* Emitted. */
};

/* A row of second `at_s` as JSON, and its place in the sums. The key -1 stands for rows that only
 * move the watermark and are not counted. */
int32_t job_sums_send(struct job_sums *self, int64_t at_s, int key, int64_t value,
                      char out_json[static JOB_SUMS_ROW_BYTES]);
/* Before a reading from the beginning. */
void job_sums_forget_output(struct job_sums *self);
/* Rows of the sink's topic, of the late one, of the source's. Fails the world when one makes no sense. */
void job_sums_take_output(struct job_sums *self, const struct source_rows *rows);
void job_sums_take_late(struct job_sums *self, const struct source_rows *rows);
void job_sums_take_input(struct job_sums *self, const struct source_rows *rows);
bool job_sums_is_whole(const struct job_sums *self);
/* Fails the world unless each window and key came out once and with what went in. */
void job_sums_compare(struct job_sums *self);
