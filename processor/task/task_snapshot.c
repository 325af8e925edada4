/* What keeps the next start of a task short: snapshots of its state in the changelog, and deleting
 * what is before them, before the last progress record, and before what was read of a route.
 *
 * A snapshot is taken behind the changes of an epoch, one partition an epoch, and restoring begins
 * at its first record. That record's offset is known when the brokers have told it; a partition
 * whose state is empty has no such record, then its next change stands for it, whenever it comes.
 */
#include "processor/task/task_attempt.h"
#include "proto/sys/check.h"

#define GROUPS_FACTOR 4U
/* Of the output that an epoch may have: a snapshot that is larger must not fail the job. */
#define OUTPUT_SHARE 4U

static bool is_long(const struct task_attempt *self, uint32_t place)
{
    const Millrace__Processor__EpochStats *stats =
        self->progress == NULL ? NULL : self->progress->stats;
    if (stats == NULL ||
        stats->state_bytes > self->setup->options.output_bytes_max / OUTPUT_SHARE) {
        return false;
    }
    return self->inputs[place].change_count >
           self->setup->options.changelog_rows_min + GROUPS_FACTOR * stats->state_rows;
}

enum status task_snapshot_take(struct task_attempt *self)
{
    if (self->setup->options.stage == 0 || self->snapshot_input >= 0) {
        return STATUS_OK;
    }
    for (uint32_t i = 0; i < self->setup->partition_count; i++) {
        if (is_long(self, i)) {
            self->snapshot_input = (int32_t)i;
            self->inputs[i].change_count = 0;
            sink_note_next_change(self->sink, self->setup->partitions[i]);
            return chain_snapshot(self->chain, (uint32_t)self->setup->partitions[i]);
        }
    }
    return STATUS_OK;
}

void task_snapshot_note(struct task_attempt *self)
{
    if (self->snapshot_input < 0 || sink_is_noting(self->sink)) {
        return;
    }
    int64_t offset = sink_noted_offset(self->sink);
    if (offset >= 0) {
        struct task_input *input = &self->inputs[self->snapshot_input];
        check(offset >= input->changelog_start);
        input->changelog_start = offset;
    }
    self->snapshot_input = -1; /* Not told: there will be another one. */
}

void task_snapshot_trim(struct task_attempt *self)
{
    const struct task_setup *setup = self->setup;
    int64_t now_ns = loop_now_ns(setup->options.loop);
    if (now_ns < self->trim_not_before_ns || !task_trim_is_idle(self->trim)) {
        return;
    }
    self->trim_not_before_ns = now_ns + setup->options.trim_interval_ms * CLOCK_NS_PER_MS;
    task_trim_add(self->trim, setup->progress.name, setup->progress_partition,
                  self->progress_offset);
    for (uint32_t i = 0; setup->options.stage > 0 && i < setup->partition_count; i++) {
        int32_t partition = setup->partitions[i];
        const Millrace__Processor__InputProgress *input =
            task_progress_input(self->progress, partition);
        task_trim_add(self->trim, setup->changelog.name, partition,
                      task_progress_changelog_start(self->progress, partition));
        task_trim_add(self->trim, setup->route_in.name, partition,
                      input == NULL ? -1 : input->next_offset);
    }
    task_trim_run(self->trim);
}
