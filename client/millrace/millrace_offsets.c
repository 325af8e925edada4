/* Offsets of partitions, and deleting what is before one. */
#include "client/millrace/admin_wait.h"
#include "client/topic_calls.h"

#define TOPIC_BYTES_MAX 249U

static int64_t time_of(const struct millrace_start *start)
{
    if (start->kind == MILLRACE_START_EARLIEST) {
        return TOPIC_CALLS_EARLIEST;
    }
    if (start->kind == MILLRACE_START_TIME) {
        return start->value < 0 ? 0 : start->value;
    }
    return TOPIC_CALLS_LATEST;
}

int millrace_offsets_list(struct millrace_client *client, struct millrace_offset_query *queries,
                          size_t query_count, enum millrace_isolation isolation, int64_t timeout_ms,
                          struct millrace_error *error)
{
    int64_t until_ns = session_until_ns(timeout_ms);
    int first_code = trouble_none(error);
    for (size_t i = 0; i < query_count; i++) {
        struct millrace_offset_query *query = &queries[i];
        query->offset = -1;
        query->timestamp_ms = -1;
        struct millrace_error found;
        if (query->topic.data == NULL || query->topic.size == 0 ||
            query->topic.size > TOPIC_BYTES_MAX || query->partition < 0) {
            query->code = trouble_argument(&found, "a query names no topic or partition",
                                           "see struct millrace_offset_query");
        } else {
            char what[320];
            (void)snprintf(what, sizeof what, "cannot ask for an offset of %.*s, partition %d",
                           (int)query->topic.size, (const char *)query->topic.data,
                           query->partition);
            struct topic_calls_offset wanted = {.time = time_of(&query->start),
                                                .is_committed =
                                                    isolation == MILLRACE_READ_COMMITTED,
                                                .offset = -1,
                                                .timestamp_ms = -1};
            struct admin_wait wait = {
                .op = topic_calls_offset(admin_wait_text(query->topic), query->partition, &wanted)};
            query->code = admin_wait_run(client, &wait, until_ns, what, &found);
            query->offset = wanted.offset;
            query->timestamp_ms = wanted.timestamp_ms;
        }
        if (query->code != MILLRACE_OK && first_code == MILLRACE_OK) {
            first_code = query->code;
            if (error != NULL) {
                *error = found;
            }
        }
    }
    return first_code;
}

int millrace_records_delete(struct millrace_client *client, struct millrace_bytes topic,
                            int32_t partition, int64_t offset, int64_t timeout_ms,
                            int64_t *out_start, struct millrace_error *error)
{
    if (topic.data == NULL || topic.size == 0 || topic.size > TOPIC_BYTES_MAX || partition < 0 ||
        offset < -1) {
        return trouble_argument(error, "the topic, partition or offset cannot be",
                                "see millrace_records_delete()");
    }
    char what[320];
    (void)snprintf(what, sizeof what, "cannot delete records of %.*s, partition %d",
                   (int)topic.size, (const char *)topic.data, partition);
    struct topic_calls_cut cut = {.offset = offset};
    struct admin_wait wait = {.op = topic_calls_cut(admin_wait_text(topic), partition, &cut)};
    int code = admin_wait_run(client, &wait, session_until_ns(timeout_ms), what, error);
    if (code == MILLRACE_OK && out_start != NULL) {
        *out_start = cut.start;
    }
    return code;
}
