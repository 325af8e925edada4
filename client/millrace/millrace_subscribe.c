/* A consumer in a group: subscribing, committing, and its place there. */
#include "client/millrace/consumer_membership.h"
#include "proto/kafka/error_code.h"

#include <stdlib.h>

static int no_group(struct millrace_error *error, const char *what)
{
    int code = trouble_argument(error, what, "");
    trouble_explain(error, "the consumer was opened without a group",
                    "set .group in struct millrace_consumer_options");
    return code;
}

static bool is_topic(struct millrace_bytes topic)
{
    return topic.data != NULL && topic.size > 0 && topic.size <= CONSUMER_HANDLE_TOPIC_BYTES_MAX;
}

int millrace_consumer_subscribe(struct millrace_consumer *self, const struct millrace_bytes *topics,
                                size_t topic_count, struct millrace_error *error)
{
    const char *what = "the consumer did not join its group";
    if (self->group_id[0] == '\0') {
        return no_group(error, what);
    }
    bool is_fit = topic_count > 0 && topic_count <= CONSUMER_GROUP_TOPICS_MAX;
    for (size_t i = 0; is_fit && i < topic_count; i++) {
        is_fit = is_topic(topics[i]);
    }
    if (!is_fit) {
        return trouble_argument(error, what, "name at least one topic, each of 1 to 249 bytes");
    }
    struct wire_text *names = calloc(topic_count, sizeof *names);
    if (names == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, what);
    }
    for (size_t i = 0; i < topic_count; i++) {
        names[i] = (struct wire_text){topics[i].data, (int32_t)topics[i].size};
    }
    struct consumer_handle_call call = {
        .verb = CONSUMER_SUBSCRIBE, .topics = names, .topic_count = (uint32_t)topic_count};
    enum status status = consumer_handle_run(self, &call);
    free(names);
    return status == STATUS_OK ? trouble_none(error) : trouble_status(error, status, what);
}

static int explain_commit(struct millrace_consumer *self, const struct consumer_handle_call *call,
                          struct millrace_error *error)
{
    const char *what = "the offsets were not committed";
    if (call->status == STATUS_UNREACHABLE) {
        return session_nobody(self->handle.session, what, error);
    }
    if (call->status == STATUS_INVALID) { /* The group went on without us. */
        return trouble_broker(error, ERROR_CODE_ILLEGAL_GENERATION, what, NULL);
    }
    return trouble_either(error, call->status, call->error_code, what);
}

int millrace_consumer_commit(struct millrace_consumer *self, const struct millrace_offset *offsets,
                             size_t offset_count, int64_t timeout_ms, struct millrace_error *error)
{
    if (self->group_id[0] == '\0') {
        return no_group(error, "the offsets were not committed");
    }
    bool is_fit = offset_count <= OFFSET_CALL_ROWS_MAX;
    for (size_t i = 0; is_fit && i < offset_count; i++) {
        is_fit = is_topic(offsets[i].topic) && offsets[i].partition >= 0 && offsets[i].offset >= 0;
    }
    if (!is_fit) {
        return trouble_argument(error, "the offsets were not committed",
                                "give topic, partition and offset of each");
    }
    struct consumer_handle_call call = {.verb = CONSUMER_COMMIT,
                                        .row_count = (uint32_t)offset_count,
                                        .until_ns = session_until_ns(timeout_ms)};
    if (offset_count > 0) {
        call.rows = calloc(offset_count, sizeof *call.rows);
        if (call.rows == NULL) {
            return trouble_status(error, STATUS_NO_MEMORY, "the offsets were not committed");
        }
    }
    for (size_t i = 0; i < offset_count; i++) {
        call.rows[i] = (struct offset_call_row){
            .topic = {offsets[i].topic.data, (int32_t)offsets[i].topic.size},
            .partition = offsets[i].partition,
            .offset = offsets[i].offset,
            .leader_epoch = offsets[i].leader_epoch};
    }
    call.status = consumer_handle_run(self, &call);
    free(call.rows);
    bool is_well = call.status == STATUS_OK && call.error_code == ERROR_CODE_NONE;
    return is_well ? trouble_none(error) : explain_commit(self, &call, error);
}

/* ---- the place in the group ---- */

struct membership_memory {
    struct millrace_membership membership;
    struct consumer_handle_place place;
    char group_id[SESSION_TEXT_BYTES_MAX];
    char instance_id[SESSION_TEXT_BYTES_MAX];
};

int millrace_consumer_membership(struct millrace_consumer *self,
                                 struct millrace_membership **out_membership,
                                 struct millrace_error *error)
{
    const char *what = "the consumer's place in its group cannot be told";
    *out_membership = NULL;
    if (self->group_id[0] == '\0') {
        return no_group(error, what);
    }
    struct membership_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, what);
    }
    host_gate_enter(&self->gate);
    bool is_subscribed = self->is_subscribed;
    memory->place = self->place;
    host_gate_leave(&self->gate);
    if (is_subscribed && memory->place.generation < 0) {
        free(memory);
        int code = trouble_broker(error, ERROR_CODE_ILLEGAL_GENERATION, what, NULL);
        trouble_explain(error, "it has no place: it was not polled yet, or a rebalance is going on",
                        "poll, and ask again when a poll has given records");
        return code;
    }
    memcpy(memory->group_id, self->group_id, sizeof memory->group_id);
    memcpy(memory->instance_id, self->instance_id, sizeof memory->instance_id);
    memory->membership = (struct millrace_membership){
        .group = millrace_text(memory->group_id),
        .generation = is_subscribed ? memory->place.generation : -1,
        .member_id = millrace_text(is_subscribed ? memory->place.member_id : ""),
        .instance_id = is_subscribed && self->instance_id[0] != '\0'
                           ? millrace_text(memory->instance_id)
                           : millrace_text(NULL)};
    *out_membership = &memory->membership;
    return trouble_none(error);
}

void millrace_membership_free(struct millrace_membership *membership)
{
    if (membership != NULL) {
        free(container_of(membership, struct membership_memory, membership));
    }
}
