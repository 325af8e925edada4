#include "broker/log/retention.h"

#include "broker/log/log_cut.h"
#include "proto/sys/check.h"

static int64_t time_of(const struct segment *segment)
{
    if (segment->max_timestamp_ms < 0 ||
        (segment->last_ingested_ms >= 0 && segment->last_ingested_ms < segment->max_timestamp_ms)) {
        return segment->last_ingested_ms < 0 ? segment->created_ms : segment->last_ingested_ms;
    }
    return segment->max_timestamp_ms;
}

static bool is_expired(const struct log *log, const struct segment *segment, int64_t now_ms)
{
    int64_t retention_ms = log->config.retention_ms;
    return retention_ms >= 0 && segment->byte_count > 0 && now_ms - time_of(segment) > retention_ms;
}

int64_t retention_start_of(const struct log *log, int64_t now_ms)
{
    const struct log_state *state = &log->state;
    int64_t start = state->start;
    int64_t limit =
        log->retention_limit < log->durable.end ? log->retention_limit : log->durable.end;
    uint64_t left_bytes = state->byte_count;
    bool is_time_over = false;
    for (uint32_t i = 0; i < state->segment_count && log->config.is_delete_policy; i++) {
        const struct segment *segment = state->segments[i];
        int64_t end = log_state_segment_end(state, i);
        bool is_active = i + 1 == state->segment_count;
        bool is_too_much =
            log->config.retention_bytes >= 0 && !is_active &&
            left_bytes - segment->byte_count >= (uint64_t)log->config.retention_bytes;
        bool is_old = !is_time_over && is_expired(log, segment, now_ms);
        if (end > limit || (!is_too_much && !is_old)) {
            break;
        }
        is_time_over = is_time_over || !is_old; /* Older than a young one is kept by time. */
        left_bytes -= segment->byte_count;
        if (end > start) {
            start = end;
        }
    }
    return start;
}

static void retain(struct log *log, int64_t now_ms)
{
    int64_t start = retention_start_of(log, now_ms);
    if (start <= log->state.start) {
        return;
    }
    enum status status = log_cut_start(log, start);
    if (status != STATUS_OK) {
        return; /* The journal is full; the next round comes. */
    }
    trace_line(log->store->loop->trace, TRACE_INFO, "log", "retention_deleted",
               "topic=\"%s\" partition=%d start=%lld", log->state.topic_name, log->state.partition,
               (long long)start);
    if (log->is_attached && log->events.on_start_moved != NULL) {
        log->events.on_start_moved(log->events.context, start);
    }
}

void retention_tick(struct log_store *store)
{
    int64_t now_ns = loop_now_ns(store->loop);
    int64_t now_ms = wall_guard_now_ms(&store->wall);
    if (store->failure != STATUS_OK || now_ns < store->retention_next_ns) {
        return;
    }
    /* A walk over the table may meet a log twice or not at all when it grows; the next round does.
     */
    for (uint32_t i = 0; i < RETENTION_LOGS_PER_TICK; i++) {
        struct log *log = log_table_next(&store->table, &store->retention_position);
        if (log == NULL) {
            store->retention_position = 0;
            store->retention_next_ns = now_ns + RETENTION_INTERVAL_NS;
            return;
        }
        retain(log, now_ms);
    }
}
