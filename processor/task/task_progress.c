#include "processor/task/task_progress.h"

#include <string.h>

#define PROGRESS_VERSION 1U

enum status task_progress_unpack(const struct task_setup *setup, const uint8_t *bytes,
                                 size_t byte_count, Millrace__Processor__Progress **out_progress)
{
    Millrace__Processor__Progress *progress =
        millrace__processor__progress__unpack(NULL, byte_count, bytes);
    if (progress == NULL) {
        return STATUS_MALFORMED;
    }
    const ProtobufCBinaryData *query = &setup->plan->query_id;
    enum status status = STATUS_OK;
    if (progress->version == 0) {
        status = STATUS_MALFORMED;
    } else if (progress->version > PROGRESS_VERSION) {
        status = STATUS_UNSUPPORTED;
    } else if (progress->query_id.len != query->len ||
               memcmp(progress->query_id.data, query->data, query->len) != 0) {
        status = STATUS_INVALID;
    } else if (progress->run > setup->options.run) {
        status = STATUS_FENCED;
    }
    if (status != STATUS_OK) {
        millrace__processor__progress__free_unpacked(progress, NULL);
        return status;
    }
    *out_progress = progress;
    return STATUS_OK;
}

const Millrace__Processor__InputProgress *
task_progress_input(const Millrace__Processor__Progress *progress, int32_t partition)
{
    for (size_t i = 0; progress != NULL && i < progress->n_inputs; i++) {
        if (progress->inputs[i]->partition == partition) {
            return progress->inputs[i];
        }
    }
    return NULL;
}

int64_t task_progress_changelog_start(const Millrace__Processor__Progress *progress,
                                      int32_t partition)
{
    for (size_t i = 0; progress != NULL && i < progress->n_changelogs; i++) {
        if (progress->changelogs[i]->partition == partition) {
            return progress->changelogs[i]->start_offset;
        }
    }
    return 0;
}

static void add_event_times(Millrace__Processor__EpochStats *totals,
                            const Millrace__Processor__EpochStats *epoch)
{
    if (epoch->input_rows == 0 || epoch->event_time_max_us == 0) {
        return; /* No row of it had a time. */
    }
    bool is_first = totals->event_time_max_us == 0;
    if (is_first || epoch->event_time_min_us < totals->event_time_min_us) {
        totals->event_time_min_us = epoch->event_time_min_us;
    }
    if (is_first || epoch->event_time_max_us > totals->event_time_max_us) {
        totals->event_time_max_us = epoch->event_time_max_us;
    }
    double before = is_first ? 0 : (double)totals->input_rows;
    double added = (double)epoch->input_rows;
    totals->event_time_avg_us =
        (totals->event_time_avg_us * before + epoch->event_time_avg_us * added) / (before + added);
}

void task_progress_add(Millrace__Processor__EpochStats *totals,
                       const Millrace__Processor__EpochStats *epoch)
{
    add_event_times(totals, epoch);
    totals->input_rows += epoch->input_rows;
    totals->output_rows += epoch->output_rows;
    totals->late_rows += epoch->late_rows;
    totals->misfit_rows += epoch->misfit_rows;
    totals->filtered_rows += epoch->filtered_rows;
    totals->state_updated_rows += epoch->state_updated_rows;
    totals->state_removed_rows += epoch->state_removed_rows;
    totals->duration_us += epoch->duration_us;
    totals->read_us += epoch->read_us;
    totals->compute_us += epoch->compute_us;
    totals->commit_us += epoch->commit_us;
    totals->state_rows = epoch->state_rows;
    totals->state_bytes = epoch->state_bytes;
    totals->open_input_rows = epoch->open_input_rows;
}
