#include "broker/coordinator/group_commit.h"

#include "broker/coordinator/group_codec.h"
#include "broker/coordinator/group_rebalance.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

/* Removals of one upkeep; the rest is found at the next. */
#define EXPIRED_RECORDS_MAX 4000U

/* ---- OffsetCommit ---- */

/* May this caller commit for the group? `group` NULL: there is none yet. Inside a transaction the
 * member may be left out, and a generation that is being made does not matter. */
static int16_t check_committer(struct group *group, const struct group_call *call)
{
    const struct kafka_offset_commit_request *in = call->in.commit;
    int16_t version = call->version;
    bool is_in_txn = call->producer_id >= 0;
    int32_t generation = in->generation_id_or_member_epoch;
    if (in->group_id.byte_count < 0) {
        return ERROR_CODE_INVALID_GROUP_ID;
    }
    if (group == NULL) {
        return generation < 0               ? ERROR_CODE_NONE
               : version >= 9 && !is_in_txn ? ERROR_CODE_GROUP_ID_NOT_FOUND
                                            : ERROR_CODE_ILLEGAL_GENERATION;
    }
    if (generation < 0 && group->phase == GROUP_EMPTY) {
        return ERROR_CODE_NONE; /* A tool, or a consumer that is in no group. */
    }
    bool is_member =
        generation >= 0 || in->member_id.byte_count > 0 || in->group_instance_id.byte_count >= 0;
    if (!is_member) {
        return is_in_txn ? ERROR_CODE_NONE : ERROR_CODE_UNKNOWN_MEMBER_ID;
    }
    struct group_member *member = NULL;
    int16_t code =
        group_rebalance_find_member(group, in->member_id, in->group_instance_id, &member);
    if (code != ERROR_CODE_NONE) {
        return code;
    }
    if (generation != group->generation) {
        return ERROR_CODE_ILLEGAL_GENERATION;
    }
    group_rebalance_heard(member);
    return group->phase == GROUP_COMPLETING && !is_in_txn ? ERROR_CODE_REBALANCE_IN_PROGRESS
                                                          : ERROR_CODE_NONE;
}

static int16_t
check_row(const struct group_book *book,
          const struct kafka_offset_commit_request_offset_commit_request_partition *in)
{
    if (in->committed_metadata.byte_count > book->limits->metadata_bytes_max) {
        return ERROR_CODE_OFFSET_METADATA_TOO_LARGE;
    }
    return in->committed_offset < 0 ? ERROR_CODE_INVALID_REQUEST : ERROR_CODE_NONE;
}

static void add_row(const struct group_book *book, struct group_call *call,
                    const struct kafka_offset_commit_request_offset_commit_request_topic *topic,
                    const struct kafka_offset_commit_request_offset_commit_request_partition *in)
{
    const struct kafka_offset_commit_request *request = call->in.commit;
    int64_t now_ms = group_book_now_ms(book);
    bool has_expiry = request->retention_time_ms >= 0;
    struct group_offset row = {.partition = in->partition_index,
                               .leader_epoch = in->committed_leader_epoch,
                               .offset = in->committed_offset,
                               .commit_ms = now_ms,
                               .expire_ms = has_expiry ? now_ms + request->retention_time_ms : -1,
                               .topic_id = topic->topic_id,
                               .metadata = in->committed_metadata.byte_count < 0
                                               ? wire_text_of("")
                                               : in->committed_metadata};
    struct group_codec_record record;
    group_codec_init(&record);
    group_codec_offset(&record, request->group_id, topic->name, &row);
    ledger_op_add(&call->op, record.key, record.value);
    group_codec_done(&record);
}

enum ledger_verdict group_commit_offsets(struct ledger_op *op, void *machine)
{
    struct group_book *book = machine;
    struct group_call *call = container_of(op, struct group_call, op);
    const struct kafka_offset_commit_request *in = call->in.commit;
    struct group *group = group_book_find(book, in->group_id);
    int16_t code = check_committer(group, call);
    if (code == ERROR_CODE_NONE && group == NULL &&
        book->groups.entry_count >= GROUP_BOOK_GROUPS_MAX) {
        code = ERROR_CODE_GROUP_MAX_SIZE_REACHED;
    }
    for (int32_t i = 0; i < in->topics_count; i++) {
        for (int32_t k = 0; k < in->topics[i].partitions_count; k++) {
            int16_t *out = &call->out.commit->topics[i].partitions[k].error_code;
            if (*out != ERROR_CODE_NONE) {
                continue;
            }
            *out = code != ERROR_CODE_NONE ? code : check_row(book, &in->topics[i].partitions[k]);
            if (*out == ERROR_CODE_NONE) {
                add_row(book, call, &in->topics[i], &in->topics[i].partitions[k]);
            }
        }
    }
    if (call->producer_id >= 0) {
        ledger_op_set_producer(op, call->producer_id, call->producer_epoch, call->pass);
    }
    return LEDGER_ANSWER;
}

/* ---- OffsetFetch ---- */

typedef struct kafka_offset_fetch_response_offset_fetch_response_partitions fetched_row;
typedef struct kafka_offset_fetch_response_offset_fetch_response_topics fetched_topic;

/* What was committed to a topic of this name that has been deleted since says nothing of the one
 * that has the name now. Zero: not told, on either side. */
static bool is_of(const struct group_offset *row, const struct wire_uuid *topic_id)
{
    return wire_uuid_is_zero(topic_id) || wire_uuid_is_zero(&row->topic_id) ||
           wire_uuid_equals(topic_id, &row->topic_id);
}

static bool fill_row(struct group_call *call, const struct group *group, const fetched_topic *topic,
                     fetched_row *out)
{
    const struct group_offset *row =
        group == NULL ? NULL
                      : group_offsets_find(&group->offsets, topic->name, out->partition_index);
    out->committed_offset = -1;
    out->committed_leader_epoch = -1;
    out->metadata = wire_text_of("");
    if (group != NULL && call->is_stable_required &&
        group_offsets_has_pending(&group->offsets, topic->name, out->partition_index)) {
        out->error_code = ERROR_CODE_UNSTABLE_OFFSET_COMMIT;
        return true;
    }
    if (row == NULL || !is_of(row, &topic->topic_id)) {
        return true;
    }
    out->committed_offset = row->offset;
    out->committed_leader_epoch = row->leader_epoch;
    out->metadata.bytes =
        arena_copy_text(&call->arena, row->metadata.bytes, (size_t)row->metadata.byte_count);
    out->metadata.byte_count = row->metadata.byte_count;
    return out->metadata.bytes != NULL;
}

static bool fill_named(struct group_call *call, const struct group *group)
{
    for (int32_t i = 0; i < call->out.fetch->topics_count; i++) {
        fetched_topic *topic = &call->out.fetch->topics[i];
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            if (topic->partitions[k].error_code == ERROR_CODE_NONE &&
                !fill_row(call, group, topic, &topic->partitions[k])) {
                return false;
            }
        }
    }
    return true;
}

/* The topic that the last commit meant, of all that had the name. */
static struct wire_uuid newest_topic_id(const struct group_topic *topic)
{
    const struct group_offset *newest = &topic->rows[0];
    for (uint32_t k = 1; k < topic->row_count; k++) {
        newest = topic->rows[k].record_offset > newest->record_offset ? &topic->rows[k] : newest;
    }
    return newest->topic_id;
}

static bool fill_topic(struct group_call *call, const struct group *group,
                       const struct group_topic *topic, fetched_topic *out)
{
    out->name.bytes = arena_copy_text(&call->arena, topic->entry.name.bytes,
                                      (size_t)topic->entry.name.byte_count);
    out->name.byte_count = topic->entry.name.byte_count;
    out->partitions = arena_take_array(&call->arena, topic->row_count, sizeof *out->partitions);
    if (out->name.bytes == NULL || out->partitions == NULL || topic->row_count == 0) {
        return topic->row_count == 0;
    }
    out->topic_id = newest_topic_id(topic);
    out->partitions_count = 0;
    for (uint32_t k = 0; k < topic->row_count; k++) {
        fetched_row *row = &out->partitions[out->partitions_count];
        row->partition_index = topic->rows[k].partition;
        if (!is_of(&topic->rows[k], &out->topic_id)) {
            continue;
        }
        if (!fill_row(call, group, out, row)) {
            return false;
        }
        out->partitions_count += 1;
    }
    return true;
}

static bool fill_all(struct group_call *call, const struct group *group)
{
    uint32_t count = group == NULL ? 0 : group->offsets.topics.entry_count;
    fetched_topic *topics = arena_take_array(&call->arena, count, sizeof *topics);
    if (topics == NULL) {
        return false;
    }
    call->out.fetch->topics = topics;
    call->out.fetch->topics_count = 0;
    if (group == NULL) {
        return true;
    }
    text_table_for_each(entry, &group->offsets.topics)
    {
        fetched_topic *out = &topics[call->out.fetch->topics_count];
        if (!fill_topic(call, group, container_of(entry, struct group_topic, entry), out)) {
            return false;
        }
        call->out.fetch->topics_count += 1;
    }
    return true;
}

enum ledger_verdict group_commit_fetch(struct ledger_op *op, void *machine)
{
    struct group_call *call = container_of(op, struct group_call, op);
    const struct group *group = group_book_find(machine, call->in.fetch->group_id);
    bool is_filled =
        call->in.fetch->topics_count < 0 ? fill_all(call, group) : fill_named(call, group);
    if (!is_filled) {
        call->out.fetch->topics_count = 0;
        call->out.fetch->error_code = ERROR_CODE_UNKNOWN_SERVER_ERROR;
    }
    return LEDGER_ANSWER;
}

/* ---- removal ---- */

static void remove_row(const struct group *group, struct wire_text topic, int32_t partition,
                       struct ledger_op *op)
{
    struct group_codec_record record;
    group_codec_init(&record);
    group_codec_offset_gone(&record, group->entry.name, topic, partition);
    ledger_op_add(op, record.key, record.value);
    group_codec_done(&record);
}

static int16_t check_deletion(const struct group *group)
{
    if (group == NULL) {
        return ERROR_CODE_GROUP_ID_NOT_FOUND;
    }
    bool is_consumer = wire_text_equals(group->protocol_type, "consumer");
    return group->phase == GROUP_EMPTY || is_consumer ? ERROR_CODE_NONE
                                                      : ERROR_CODE_NON_EMPTY_GROUP;
}

enum ledger_verdict group_commit_delete(struct ledger_op *op, void *machine)
{
    struct group_call *call = container_of(op, struct group_call, op);
    const struct kafka_offset_delete_request *in = call->in.delete_offsets;
    const struct group *group = group_book_find(machine, in->group_id);
    call->out.delete_offsets->error_code = check_deletion(group);
    if (call->out.delete_offsets->error_code != ERROR_CODE_NONE) {
        call->out.delete_offsets->topics_count = 0;
        return LEDGER_ANSWER;
    }
    for (int32_t i = 0; i < in->topics_count; i++) {
        struct wire_text topic = in->topics[i].name;
        bool is_read = group->phase != GROUP_EMPTY && group_state_subscribes(group, topic);
        for (int32_t k = 0; k < in->topics[i].partitions_count; k++) {
            int16_t *out = &call->out.delete_offsets->topics[i].partitions[k].error_code;
            int32_t partition = in->topics[i].partitions[k].partition_index;
            if (*out == ERROR_CODE_NONE && is_read) {
                *out = ERROR_CODE_GROUP_SUBSCRIBED_TO_TOPIC;
            } else if (*out == ERROR_CODE_NONE &&
                       group_offsets_find(&group->offsets, topic, partition) != NULL) {
                remove_row(group, topic, partition, op);
            }
        }
    }
    return LEDGER_ANSWER;
}

void group_commit_erase(struct group *group, struct ledger_op *op)
{
    text_table_for_each(entry, &group->offsets.topics)
    {
        const struct group_topic *topic = container_of(entry, struct group_topic, entry);
        for (uint32_t i = 0; i < topic->row_count; i++) {
            remove_row(group, entry->name, topic->rows[i].partition, op);
        }
    }
    if (group->stored.byte_count >= 0) {
        struct group_codec_record record;
        group_codec_init(&record);
        group_codec_group_gone(&record, group->entry.name);
        ledger_op_add(op, record.key, record.value);
        group_codec_done(&record);
    }
}

/* ---- expiry ---- */

/* From when on an offset of this group grows old; -1: it does not while things are as they are.
 * A group in use keeps what its members read; an empty one all, counted from when it became so. */
static int64_t aging_since(const struct group *group, struct wire_text topic)
{
    if (group->protocol_type.byte_count <= 0) {
        return 0; /* Nobody ever joined: each commit counts from itself. */
    }
    if (group->phase == GROUP_EMPTY) {
        return group->phase_since_ms < 0 ? 0 : group->phase_since_ms;
    }
    bool is_consumer = wire_text_equals(group->protocol_type, "consumer");
    return group->phase == GROUP_STABLE && is_consumer && !group_state_subscribes(group, topic)
               ? 0
               : -1;
}

static uint32_t expire_topic(const struct group *group, const struct group_topic *topic,
                             struct ledger_op *op)
{
    int64_t since_ms = aging_since(group, topic->entry.name);
    if (since_ms < 0) {
        return 0;
    }
    int64_t now_ms = group_book_now_ms(group->book);
    uint32_t count = 0;
    for (uint32_t i = 0; i < topic->row_count; i++) {
        const struct group_offset *row = &topic->rows[i];
        if (ledger_op_record_count(op) < EXPIRED_RECORDS_MAX &&
            group_offsets_is_expired(row, since_ms, now_ms, group->book->limits->retention_ms) &&
            !group_offsets_has_pending(&group->offsets, topic->entry.name, row->partition)) {
            remove_row(group, topic->entry.name, row->partition, op);
            count += 1;
        }
    }
    return count;
}

static void expire_group(struct group *group, struct ledger_op *op)
{
    uint32_t expired_count = 0;
    text_table_for_each(entry, &group->offsets.topics)
    {
        expired_count += expire_topic(group, container_of(entry, struct group_topic, entry), op);
    }
    bool is_bare = expired_count == group->offsets.row_count &&
                   list_is_empty(&group->offsets.pending) && group->phase == GROUP_EMPTY &&
                   group->candidates.entry_count == 0;
    if (is_bare && group->stored.byte_count >= 0) {
        struct group_codec_record record;
        group_codec_init(&record);
        group_codec_group_gone(&record, group->entry.name);
        ledger_op_add(op, record.key, record.value);
        group_codec_done(&record);
    }
}

enum ledger_verdict group_commit_expire(struct ledger_op *op, void *machine)
{
    struct group_book *book = machine;
    text_table_for_each(entry, &book->groups)
    {
        struct group *group = container_of(entry, struct group, entry);
        if (ledger_op_record_count(op) < EXPIRED_RECORDS_MAX) {
            expire_group(group, op);
        }
    }
    return LEDGER_ANSWER;
}
