/* Groups: list, describe, delete. */
#include "client/group_delete.h"
#include "client/millrace/group_wait.h"
#include "client/subscription.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/describe_groups.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/list_groups.h"
#include "proto/kafka/offset_fetch.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define RESULT_BYTES_MAX ((size_t)256 << 20)
#define GROUP_BYTES_MAX 32767U
#define LIST_VERSION_MAX 4
#define DESCRIBE_VERSION_MAX 5 /* Later ones answer absent groups with an error. */
#define FETCH_VERSION_MIN 2    /* From here on it can ask for all topics, */
#define FETCH_VERSION_MAX 7    /* and up to here for one group. */

static int check_group(struct millrace_bytes group, struct millrace_error *error)
{
    if (group.data == NULL || group.size == 0 || group.size > GROUP_BYTES_MAX) {
        return trouble_argument(error, "the group's name is missing or too long",
                                "give the name of the group");
    }
    return MILLRACE_OK;
}

/* ---- list ---- */

struct list_result {
    struct millrace_groups list;
    struct arena arena;
    struct millrace_group_row **rows; /* Owned. */
    size_t row_count;
};

struct list_call {
    struct admin_wait admin;
    struct list_result *result;
};

static void list_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct kafka_list_groups_request request;
    kafka_list_groups_request_defaults(&request);
    kafka_list_groups_request_encode(&request, op->ask.version, writer);
}

static enum status list_keep(struct list_result *result,
                             const struct kafka_list_groups_response *answer)
{
    size_t count = answer->groups_count > 0 ? (size_t)answer->groups_count : 0;
    struct millrace_group_row **grown =
        realloc(result->rows, (result->row_count + count + 1) * sizeof *grown);
    if (grown == NULL) {
        return STATUS_NO_MEMORY;
    }
    result->rows = grown;
    struct millrace_group_row *rows = arena_take_array(&result->arena, count, sizeof *rows);
    if (rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        const struct kafka_list_groups_response_listed_group *from = &answer->groups[i];
        rows[i].group = admin_wait_keep(&result->arena, from->group_id);
        rows[i].state = admin_wait_keep(&result->arena, from->group_state);
        rows[i].protocol_type = admin_wait_keep(&result->arena, from->protocol_type);
        result->rows[result->row_count++] = &rows[i];
    }
    return STATUS_OK;
}

static enum status list_take(struct admin_op *op)
{
    struct list_call *self = container_of(op, struct list_call, admin.op);
    struct kafka_list_groups_response answer;
    TRY(kafka_list_groups_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                          &answer));
    op->error_code = answer.error_code;
    return op->error_code == ERROR_CODE_NONE ? list_keep(self->result, &answer) : STATUS_OK;
}

static int compare_groups(const void *left, const void *right)
{
    const struct millrace_group_row *const *one = left;
    const struct millrace_group_row *const *other = right;
    return admin_wait_compare((*one)->group, (*other)->group);
}

/* Each broker knows the groups that it coordinates. */
static int list_all(struct millrace_client *client, struct list_result *result,
                    const struct millrace_cluster *cluster, int64_t until_ns,
                    struct millrace_error *error)
{
    int code = trouble_none(error);
    for (size_t i = 0; i < cluster->node_count && code == MILLRACE_OK; i++) {
        struct list_call call = {.admin = {.op = {.api_key = API_KEY_LIST_GROUPS,
                                                  .version_max = LIST_VERSION_MAX,
                                                  .node = cluster->nodes[i]->node,
                                                  .encode = list_encode,
                                                  .take = list_take}},
                                 .result = result};
        if (!cluster->nodes[i]->is_fenced) {
            code = admin_wait_run(client, &call.admin, until_ns, "cannot list groups", error);
        }
    }
    return code;
}

int millrace_groups_list(struct millrace_client *client, int64_t timeout_ms,
                         struct millrace_groups **out_groups, struct millrace_error *error)
{
    *out_groups = NULL;
    int64_t until_ns = session_until_ns(timeout_ms);
    struct millrace_cluster *cluster = NULL;
    int code = millrace_cluster_describe(client, timeout_ms, &cluster, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    struct list_result *result = calloc(1, sizeof *result);
    if (result == NULL) {
        millrace_cluster_free(cluster);
        return trouble_status(error, STATUS_NO_MEMORY, "cannot list groups");
    }
    arena_init(&result->arena, RESULT_BYTES_MAX);
    code = list_all(client, result, cluster, until_ns, error);
    millrace_cluster_free(cluster);
    if (code != MILLRACE_OK) {
        millrace_groups_free(&result->list);
        return code;
    }
    if (result->row_count > 1) {
        qsort(result->rows, result->row_count, sizeof *result->rows, compare_groups);
    }
    result->list = (struct millrace_groups){
        (const struct millrace_group_row *const *)(void *)result->rows, result->row_count};
    *out_groups = &result->list;
    return code;
}

void millrace_groups_free(struct millrace_groups *list)
{
    if (list != NULL) {
        struct list_result *result = container_of(list, struct list_result, list);
        arena_done(&result->arena);
        free(result->rows);
        free(result);
    }
}

/* ---- describe ---- */

struct describe_result {
    struct millrace_group group;
    struct arena arena;
    struct millrace_group_partition **rows; /* Owned. */
    size_t row_count;
    size_t row_room;
    bool is_absent;
};

struct describe_call {
    struct group_wait wait;
    struct describe_result *result;
};

static struct millrace_group_partition *row_for(struct describe_result *result,
                                                struct wire_text topic, int32_t partition)
{
    struct millrace_bytes name = {topic.bytes, (size_t)topic.byte_count};
    for (size_t i = 0; i < result->row_count; i++) {
        if (result->rows[i]->partition == partition &&
            admin_wait_compare(result->rows[i]->topic, name) == 0) {
            return result->rows[i];
        }
    }
    if (result->row_count == result->row_room) {
        size_t room = result->row_room == 0 ? 64 : result->row_room * 2;
        struct millrace_group_partition **grown = realloc(result->rows, room * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        result->rows = grown;
        result->row_room = room;
    }
    struct millrace_group_partition *row = arena_take_array(&result->arena, 1, sizeof *row);
    if (row == NULL) {
        return NULL;
    }
    *row = (struct millrace_group_partition){.topic = admin_wait_keep(&result->arena, topic),
                                             .partition = partition,
                                             .committed = -1,
                                             .end = -1,
                                             .lag = -1};
    result->rows[result->row_count++] = row;
    return row->topic.data == NULL ? NULL : row;
}

static void describe_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct describe_call *self = container_of(op, struct describe_call, wait.admin.op);
    struct wire_text group = admin_wait_text(self->wait.group);
    struct kafka_describe_groups_request request;
    kafka_describe_groups_request_defaults(&request);
    request.groups = &group;
    request.groups_count = 1;
    kafka_describe_groups_request_encode(&request, op->ask.version, writer);
}

static enum status
keep_member(struct describe_result *result, struct arena *scratch,
            const struct kafka_describe_groups_response_described_group_member *member)
{
    struct kafka_consumer_protocol_assignment assignment;
    if (subscription_decode_assignment(scratch, member->member_assignment, &assignment) !=
        STATUS_OK) {
        return STATUS_OK; /* Only its owner understands it. */
    }
    for (int32_t i = 0; i < assignment.assigned_partitions_count; i++) {
        const struct kafka_consumer_protocol_assignment_topic_partition *topic =
            &assignment.assigned_partitions[i];
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            struct millrace_group_partition *row =
                row_for(result, topic->topic, topic->partitions[j]);
            if (row == NULL) {
                return STATUS_NO_MEMORY;
            }
            row->member = admin_wait_keep(&result->arena, member->member_id);
            row->client_id = admin_wait_keep(&result->arena, member->client_id);
            row->host = admin_wait_keep(&result->arena, member->client_host);
        }
    }
    return STATUS_OK;
}

static enum status describe_take(struct admin_op *op)
{
    struct describe_call *self = container_of(op, struct describe_call, wait.admin.op);
    struct describe_result *result = self->result;
    struct kafka_describe_groups_response answer;
    TRY(kafka_describe_groups_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                              &answer));
    if (answer.groups_count != 1) {
        return STATUS_MALFORMED;
    }
    const struct kafka_describe_groups_response_described_group *group = &answer.groups[0];
    op->error_code = group->error_code;
    if (group_wait_moved(&self->wait, op->error_code) || op->error_code != ERROR_CODE_NONE) {
        return STATUS_OK;
    }
    result->is_absent = wire_text_equals(group->group_state, "Dead");
    result->group.group = admin_wait_keep(&result->arena, group->group_id);
    result->group.state = admin_wait_keep(&result->arena, group->group_state);
    result->group.protocol = admin_wait_keep(&result->arena, group->protocol_data);
    result->group.member_count = group->members_count > 0 ? (size_t)group->members_count : 0;
    bool is_consumer = wire_text_equals(group->protocol_type, "consumer");
    for (int32_t i = 0; is_consumer && i < group->members_count; i++) {
        TRY(keep_member(result, &op->ask.arena, &group->members[i]));
    }
    return STATUS_OK;
}

static void offsets_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct describe_call *self = container_of(op, struct describe_call, wait.admin.op);
    struct kafka_offset_fetch_request request;
    kafka_offset_fetch_request_defaults(&request);
    request.group_id = admin_wait_text(self->wait.group);
    request.topics = NULL;
    request.topics_count = -1; /* All. */
    kafka_offset_fetch_request_encode(&request, op->ask.version, writer);
}

static enum status offsets_take(struct admin_op *op)
{
    struct describe_call *self = container_of(op, struct describe_call, wait.admin.op);
    struct kafka_offset_fetch_response answer;
    TRY(kafka_offset_fetch_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                           &answer));
    op->error_code = answer.error_code;
    if (group_wait_moved(&self->wait, op->error_code) || op->error_code != ERROR_CODE_NONE) {
        return STATUS_OK;
    }
    for (int32_t i = 0; i < answer.topics_count; i++) {
        for (int32_t j = 0; j < answer.topics[i].partitions_count; j++) {
            const struct kafka_offset_fetch_response_offset_fetch_response_partition *told =
                &answer.topics[i].partitions[j];
            if (told->error_code != ERROR_CODE_NONE || told->committed_offset < 0) {
                continue;
            }
            struct millrace_group_partition *row =
                row_for(self->result, answer.topics[i].name, told->partition_index);
            if (row == NULL) {
                return STATUS_NO_MEMORY;
            }
            row->committed = told->committed_offset;
        }
    }
    return STATUS_OK;
}

static int compare_partitions(const void *left, const void *right)
{
    const struct millrace_group_partition *const *one = left;
    const struct millrace_group_partition *const *other = right;
    int order = admin_wait_compare((*one)->topic, (*other)->topic);
    return order != 0 ? order
                      : ((*one)->partition > (*other)->partition) -
                            ((*one)->partition < (*other)->partition);
}

/* An end that cannot be told (the topic is gone, say) stays -1. */
static void ask_ends(struct millrace_client *client, struct describe_result *result,
                     int64_t until_ns)
{
    for (size_t i = 0; i < result->row_count; i++) {
        struct millrace_group_partition *row = result->rows[i];
        struct millrace_offset_query query = {.topic = row->topic,
                                              .partition = row->partition,
                                              .start = {.kind = MILLRACE_START_LATEST}};
        int64_t left_ms = (until_ns - session_until_ns(0)) / CLOCK_NS_PER_MS;
        if (left_ms > 0 && millrace_offsets_list(client, &query, 1, MILLRACE_READ_UNCOMMITTED,
                                                 left_ms, NULL) == MILLRACE_OK) {
            row->end = query.offset;
        }
        if (row->end >= 0 && row->committed >= 0) {
            row->lag = row->end > row->committed ? row->end - row->committed : 0;
        }
    }
}

static int describe(struct millrace_client *client, struct describe_result *result,
                    struct millrace_bytes group, int64_t until_ns, struct millrace_error *error)
{
    const char *what = "cannot describe the group";
    struct describe_call call = {.wait = {.admin = {.op = {.api_key = API_KEY_DESCRIBE_GROUPS,
                                                           .version_max = DESCRIBE_VERSION_MAX,
                                                           .encode = describe_encode,
                                                           .take = describe_take}},
                                          .group = group},
                                 .result = result};
    int code = group_wait_run(client, &call.wait, until_ns, what, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    result->group.coordinator = call.wait.coordinator;
    call.wait.admin = (struct admin_wait){.op = {.api_key = API_KEY_OFFSET_FETCH,
                                                 .version_min = FETCH_VERSION_MIN,
                                                 .version_max = FETCH_VERSION_MAX,
                                                 .encode = offsets_encode,
                                                 .take = offsets_take}};
    code = group_wait_run(client, &call.wait, until_ns, what, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    if (result->is_absent && result->row_count == 0) {
        code = trouble_broker(error, ERROR_CODE_GROUP_ID_NOT_FOUND, what, NULL);
        trouble_explain(error, "no member and no offset of it is known",
                        "see the groups that there are: millrace group list");
        return code;
    }
    ask_ends(client, result, until_ns);
    return trouble_none(error);
}

int millrace_group_describe(struct millrace_client *client, struct millrace_bytes group,
                            int64_t timeout_ms, struct millrace_group **out_group,
                            struct millrace_error *error)
{
    *out_group = NULL;
    int code = check_group(group, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    struct describe_result *result = calloc(1, sizeof *result);
    if (result == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, "cannot describe the group");
    }
    arena_init(&result->arena, RESULT_BYTES_MAX);
    code = describe(client, result, group, session_until_ns(timeout_ms), error);
    if (code != MILLRACE_OK) {
        millrace_group_free(&result->group);
        return code;
    }
    if (result->row_count > 1) {
        qsort(result->rows, result->row_count, sizeof *result->rows, compare_partitions);
    }
    result->group.partitions = (const struct millrace_group_partition *const *)(void *)result->rows;
    result->group.partition_count = result->row_count;
    *out_group = &result->group;
    return code;
}

void millrace_group_free(struct millrace_group *group)
{
    if (group != NULL) {
        struct describe_result *result = container_of(group, struct describe_result, group);
        arena_done(&result->arena);
        free(result->rows);
        free(result);
    }
}

/* ---- delete ---- */

static void delete_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct group_wait *self = container_of(op, struct group_wait, admin.op);
    group_delete_encode(admin_wait_text(self->group), op->ask.version, writer);
}

static enum status delete_take(struct admin_op *op)
{
    struct group_wait *self = container_of(op, struct group_wait, admin.op);
    TRY(group_delete_take(&op->ask, op->is_doubtful || self->is_doubtful, &op->error_code));
    (void)group_wait_moved(self, op->error_code);
    return STATUS_OK;
}

int millrace_group_delete(struct millrace_client *client, struct millrace_bytes group,
                          int64_t timeout_ms, struct millrace_error *error)
{
    int code = check_group(group, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    struct group_wait wait = {.admin = {.op = {.api_key = API_KEY_DELETE_GROUPS,
                                               .version_max = GROUP_DELETE_VERSION_MAX,
                                               .encode = delete_encode,
                                               .take = delete_take}},
                              .group = group};
    return group_wait_run(client, &wait, session_until_ns(timeout_ms), "cannot delete the group",
                          error);
}
