#include "processor/control/job_report.h"

#include "processor/job/job_wish.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define US_PER_MS 1000
#define US_PER_S 1000000
#define TIME_TEXT_BYTES 40U

static bool is_state(const struct job_report_tasks *tasks, uint32_t index, const char *state)
{
    return tasks->states[index] != NULL && strcmp(tasks->states[index]->state, state) == 0;
}

bool job_report_has_stopped(const struct job_report_tasks *tasks)
{
    for (uint32_t i = 0; i < tasks->count; i++) {
        if (!is_state(tasks, i, "stopped")) {
            return false;
        }
    }
    return true;
}

const char *job_report_state(const Millrace__Processor__Job *job,
                             const struct job_report_tasks *tasks)
{
    if (job->wish == MILLRACE__PROCESSOR__JOB_WISH__JOB_FAILED) {
        return "failed";
    }
    if (job->wish == MILLRACE__PROCESSOR__JOB_WISH__JOB_STOPPED || job_wish_is_drop(job)) {
        return "stopped";
    }
    if (job->wish == MILLRACE__PROCESSOR__JOB_WISH__JOB_STOP) {
        return job_report_has_stopped(tasks) ? "stopped" : "running";
    }
    bool has_run = false;
    bool has_gap = false;
    bool is_restarting = false;
    for (uint32_t i = 0; i < tasks->count; i++) {
        has_run |= tasks->progress[i] != NULL;
        has_gap |= !is_state(tasks, i, "running");
        is_restarting |= is_state(tasks, i, "restarting");
    }
    if (!has_gap) {
        return "running";
    }
    return has_run || is_restarting ? "restarting" : "starting";
}

void job_report_id(const uint8_t *id, char text[static JOB_REPORT_ID_BYTES])
{
    size_t length = 0;
    for (size_t i = 0; i < 16; i++) {
        bool is_dash = i == 4 || i == 6 || i == 8 || i == 10;
        length += (size_t)snprintf(text + length, JOB_REPORT_ID_BYTES - length,
                                   is_dash ? "-%02x" : "%02x", id[i]);
    }
}

/* ---- sums ---- */

struct sums {
    Millrace__Processor__EpochStats last;
    Millrace__Processor__EpochStats totals;
    double input_rate; /* Rows a second. */
    uint64_t longest_us;
    int64_t committed_ms;
    uint64_t epoch;
    int64_t watermark_us;
    bool has_watermark;
    bool has_event_time;
    double event_time_sum;
};

static void add_common(Millrace__Processor__EpochStats *to,
                       const Millrace__Processor__EpochStats *from)
{
    to->input_rows += from->input_rows;
    to->output_rows += from->output_rows;
    to->late_rows += from->late_rows;
    to->misfit_rows += from->misfit_rows;
    to->filtered_rows += from->filtered_rows;
    to->state_rows += from->state_rows;
    to->state_bytes += from->state_bytes;
    to->state_updated_rows += from->state_updated_rows;
    to->state_removed_rows += from->state_removed_rows;
    to->open_input_rows += from->open_input_rows;
    to->read_us += from->read_us;
    to->compute_us += from->compute_us;
    to->commit_us += from->commit_us;
}

static void add_event_time(struct sums *sums, const Millrace__Processor__EpochStats *stats)
{
    if (stats->input_rows == 0 || stats->event_time_max_us < stats->event_time_min_us) {
        return;
    }
    if (!sums->has_event_time || stats->event_time_min_us < sums->last.event_time_min_us) {
        sums->last.event_time_min_us = stats->event_time_min_us;
    }
    if (!sums->has_event_time || stats->event_time_max_us > sums->last.event_time_max_us) {
        sums->last.event_time_max_us = stats->event_time_max_us;
    }
    sums->event_time_sum += stats->event_time_avg_us * (double)stats->input_rows;
    sums->has_event_time = true;
}

static void lower_watermark(struct sums *sums, int64_t watermark_us)
{
    if (!sums->has_watermark || watermark_us < sums->watermark_us) {
        sums->watermark_us = watermark_us;
        sums->has_watermark = true;
    }
}

/* Rows are counted where they enter the job and where they leave it. */
static void add_task(struct sums *sums, const Millrace__Processor__Progress *progress,
                     bool is_first, bool is_last)
{
    static const Millrace__Processor__EpochStats nothing = MILLRACE__PROCESSOR__EPOCH_STATS__INIT;
    Millrace__Processor__EpochStats last = progress->stats == NULL ? nothing : *progress->stats;
    Millrace__Processor__EpochStats totals = progress->totals == NULL ? nothing : *progress->totals;
    if (is_first) {
        add_event_time(sums, &last);
        sums->input_rate += last.duration_us == 0
                                ? 0.0
                                : (double)last.input_rows * US_PER_S / (double)last.duration_us;
    } else {
        last.input_rows = 0;
        totals.input_rows = 0;
    }
    if (!is_last) {
        last.output_rows = 0;
        totals.output_rows = 0;
    }
    add_common(&sums->last, &last);
    add_common(&sums->totals, &totals);
    sums->longest_us = last.duration_us > sums->longest_us ? last.duration_us : sums->longest_us;
    sums->epoch = progress->epoch > sums->epoch ? progress->epoch : sums->epoch;
    sums->committed_ms =
        progress->committed_ms > sums->committed_ms ? progress->committed_ms : sums->committed_ms;
    if (is_last) {
        lower_watermark(sums, progress->watermark_us);
    }
}

/* Which stage the task `index` belongs to. */
static uint32_t stage_of(const Millrace__Plan__JobPlan *plan, uint32_t index)
{
    uint32_t stage = 0;
    while (stage + 1 < plan->n_stages && index >= plan->stages[stage]->task_count) {
        index -= plan->stages[stage]->task_count;
        stage += 1;
    }
    return stage;
}

static struct sums add_all(const Millrace__Processor__Job *job,
                           const struct job_report_tasks *tasks)
{
    struct sums sums = {.last = MILLRACE__PROCESSOR__EPOCH_STATS__INIT,
                        .totals = MILLRACE__PROCESSOR__EPOCH_STATS__INIT};
    for (uint32_t i = 0; i < tasks->count; i++) {
        uint32_t stage = stage_of(job->plan, i);
        bool is_last = stage + 1 == job->plan->n_stages;
        if (tasks->progress[i] != NULL) {
            add_task(&sums, tasks->progress[i], stage == 0, is_last);
        } else if (is_last) {
            lower_watermark(&sums, INT64_MIN); /* Its windows may all be open. */
        }
    }
    return sums;
}

/* ---- the object ---- */

static json_t *time_of_us(int64_t time_us)
{
    time_t seconds = (time_t)(time_us / US_PER_S - (time_us % US_PER_S < 0 ? 1 : 0));
    int64_t rest_us = time_us - (int64_t)seconds * US_PER_S;
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL) {
        return json_null();
    }
    char text[TIME_TEXT_BYTES];
    size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(text + length, sizeof text - length, ".%03dZ", (int)(rest_us / US_PER_MS));
    return json_string(text);
}

static json_t *event_time_of(const struct sums *sums)
{
    json_t *object = json_object();
    if (sums->has_event_time) {
        (void)json_object_set_new(object, "min", time_of_us(sums->last.event_time_min_us));
        (void)json_object_set_new(object, "max", time_of_us(sums->last.event_time_max_us));
        double average = sums->event_time_sum / (double)sums->last.input_rows;
        (void)json_object_set_new(object, "avg", time_of_us((int64_t)average));
    }
    if (sums->has_watermark && sums->watermark_us != INT64_MIN) {
        (void)json_object_set_new(object, "watermark", time_of_us(sums->watermark_us));
    }
    return object;
}

static json_t *rows_of(const Millrace__Processor__EpochStats *stats)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "input_rows", (json_int_t)stats->input_rows,
                     "output_rows", (json_int_t)stats->output_rows, "late_rows",
                     (json_int_t)stats->late_rows, "misfit_rows", (json_int_t)stats->misfit_rows,
                     "filtered_rows", (json_int_t)stats->filtered_rows, "open_input_rows",
                     (json_int_t)stats->open_input_rows);
}

static json_t *operators_of(const Millrace__Processor__Job *job, const struct sums *sums)
{
    json_t *list = json_array();
    if (job->plan->n_stages < 2) {
        return list;
    }
    const Millrace__Plan__Stage *stage = job->plan->stages[job->plan->n_stages - 1];
    (void)json_array_append_new(
        list,
        json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:i,s:{}}", "operatorName",
                  "stateStoreSave", "numRowsTotal", (json_int_t)sums->last.state_rows,
                  "numRowsUpdated", (json_int_t)sums->last.state_updated_rows, "numRowsRemoved",
                  (json_int_t)sums->last.state_removed_rows, "allUpdatesTimeMs",
                  (json_int_t)(sums->last.compute_us / US_PER_MS), "commitTimeMs",
                  (json_int_t)(sums->last.commit_us / US_PER_MS), "memoryUsedBytes",
                  (json_int_t)sums->last.state_bytes, "numRowsDroppedByWatermark",
                  (json_int_t)sums->last.late_rows, "numShufflePartitions",
                  (int)stage->input_partition_count, "numStateStoreInstances",
                  (int)stage->input_partition_count, "customMetrics"));
    return list;
}

/* Offsets per partition of the source, as Spark prints Kafka's: {"topic":{"0":12}}. */
static json_t *offsets_of(const Millrace__Processor__Job *job, const struct job_report_tasks *tasks,
                          char which)
{
    json_t *partitions = json_object();
    for (uint32_t i = 0; i < tasks->count && stage_of(job->plan, i) == 0; i++) {
        const Millrace__Processor__Progress *progress = tasks->progress[i];
        for (size_t p = 0; progress != NULL && p < progress->n_inputs; p++) {
            const Millrace__Processor__InputProgress *input = progress->inputs[p];
            char name[16];
            (void)snprintf(name, sizeof name, "%d", input->partition);
            int64_t offset = which == 's'   ? input->start_offset
                             : which == 'e' ? input->next_offset
                                            : input->end_offset;
            (void)json_object_set_new(partitions, name, json_integer(offset));
        }
    }
    return json_pack("{s:o}", job->plan->source->topic, partitions);
}

static json_t *sources_of(const Millrace__Processor__Job *job, const struct job_report_tasks *tasks,
                          const struct sums *sums)
{
    char description[512];
    (void)snprintf(description, sizeof description, "Kafka[Subscribe[%s]]",
                   job->plan->source->topic);
    return json_pack("[{s:s,s:o,s:o,s:o,s:I,s:f}]", "description", description, "startOffset",
                     offsets_of(job, tasks, 's'), "endOffset", offsets_of(job, tasks, 'e'),
                     "latestOffset", offsets_of(job, tasks, 'l'), "numInputRows",
                     (json_int_t)sums->last.input_rows, "inputRowsPerSecond", sums->input_rate);
}

/* Another one for each start of the job, and the same wherever it is asked. */
static void run_id(const Millrace__Processor__Job *job, char text[static JOB_REPORT_ID_BYTES])
{
    uint8_t id[16];
    memcpy(id, job->plan->query_id.data, sizeof id);
    uint32_t run = job->run;
    for (size_t i = sizeof id; i > sizeof id - sizeof run; i--) {
        id[i - 1] = (uint8_t)(id[i - 1] ^ (run & 0xffU));
        run >>= 8U;
    }
    job_report_id(id, text);
}

char *job_report_progress(const Millrace__Processor__Job *job, const struct job_report_tasks *tasks)
{
    struct sums sums = add_all(job, tasks);
    char id[JOB_REPORT_ID_BYTES];
    char run[JOB_REPORT_ID_BYTES];
    char sink[512];
    job_report_id(job->plan->query_id.data, id);
    run_id(job, run);
    (void)snprintf(sink, sizeof sink, "Kafka[%s]", job->plan->sink->topic);
    uint64_t busy_us = sums.last.read_us + sums.last.compute_us + sums.last.commit_us;
    double rate = busy_us == 0 ? 0.0 : (double)sums.last.input_rows * US_PER_S / (double)busy_us;
    json_t *object = json_pack(
        "{s:s,s:s,s:i,s:s,s:o,s:I,s:I,s:I,s:f,s:f,s:{s:I,s:I,s:I,s:I},s:o,s:o,s:o,"
        "s:{s:s,s:I},s:o,s:{}}",
        "id", id, "runId", run, "run", (int)job->run, "name", job->plan->name, "timestamp",
        time_of_us(sums.committed_ms * US_PER_MS), "batchId", (json_int_t)sums.epoch,
        "batchDuration", (json_int_t)(sums.longest_us / US_PER_MS), "numInputRows",
        (json_int_t)sums.last.input_rows, "inputRowsPerSecond", sums.input_rate,
        "processedRowsPerSecond", rate, "durationMs", "getBatch",
        (json_int_t)(sums.last.read_us / US_PER_MS), "addBatch",
        (json_int_t)(sums.last.compute_us / US_PER_MS), "walCommit",
        (json_int_t)(sums.last.commit_us / US_PER_MS), "triggerExecution",
        (json_int_t)(sums.longest_us / US_PER_MS), "eventTime", event_time_of(&sums),
        "stateOperators", operators_of(job, &sums), "sources", sources_of(job, tasks, &sums),
        "sink", "description", sink, "numOutputRows", (json_int_t)sums.last.output_rows, "totals",
        rows_of(&sums.totals), "observedMetrics");
    if (object == NULL) {
        return NULL;
    }
    (void)json_object_set_new(json_object_get(object, "totals"), "open_input_rows",
                              json_integer((json_int_t)sums.last.open_input_rows));
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}
