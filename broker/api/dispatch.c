#include "broker/api/dispatch.h"

#include "broker/api/serve_api_versions.h"
#include "broker/api/peer_frames.h"
#include "broker/api/serve_add_offsets.h"
#include "broker/api/serve_add_partitions.h"
#include "broker/api/serve_alter_configs.h"
#include "broker/api/serve_controller.h"
#include "broker/api/serve_create_partitions.h"
#include "broker/api/serve_create_topics.h"
#include "broker/api/serve_delete_records.h"
#include "broker/api/serve_delete_topics.h"
#include "broker/api/serve_describe_cluster.h"
#include "broker/api/serve_describe_configs.h"
#include "broker/api/serve_describe_groups.h"
#include "broker/api/serve_describe_producers.h"
#include "broker/api/serve_describe_quorum.h"
#include "broker/api/serve_describe_transactions.h"
#include "broker/api/serve_end_txn.h"
#include "broker/api/serve_epoch_end.h"
#include "broker/api/serve_fetch.h"
#include "broker/api/serve_find_coordinator.h"
#include "broker/api/serve_heartbeat.h"
#include "broker/api/serve_init_producer_id.h"
#include "broker/api/serve_join_group.h"
#include "broker/api/serve_list_groups.h"
#include "broker/api/serve_list_offsets.h"
#include "broker/api/serve_list_transactions.h"
#include "broker/api/serve_metadata.h"
#include "broker/api/serve_metadata_pull.h"
#include "broker/api/serve_offset_commit.h"
#include "broker/api/serve_offset_delete.h"
#include "broker/api/serve_offset_fetch.h"
#include "broker/api/serve_own_address.h"
#include "broker/api/serve_produce.h"
#include "broker/api/serve_txn_offset_commit.h"
#include "broker/api/serve_write_txn_markers.h"
#include "broker/uplink/metadata_pull.h"
#include "broker/uplink/own_address.h"
#include "broker/uplink/uplink_wire.h"
#include "proto/kafka/api_key.h"
#include "proto/sys/check.h"
#include "raft/peer_transport.h"

struct row {
    struct dispatch_range range;
    void (*serve)(struct request *request);
};

/* Ascending by key. Floors and ceilings are those that clients of every age work with: the floor of
 * Produce is 0 although only 3 and later are taken, because old librdkafka compresses only then;
 * ListTransactions ends before 2, which came with a pattern that nothing here matches. */
static const struct row rows[] = {
    {{API_KEY_PRODUCE, 0, 13}, serve_produce},
    {{API_KEY_FETCH, 4, 18}, serve_fetch},
    {{API_KEY_LIST_OFFSETS, 1, 11}, serve_list_offsets},
    {{API_KEY_METADATA, 0, 13}, serve_metadata},
    {{API_KEY_OFFSET_COMMIT, 2, 10}, serve_offset_commit},
    {{API_KEY_OFFSET_FETCH, 1, 10}, serve_offset_fetch},
    {{API_KEY_FIND_COORDINATOR, 0, 6}, serve_find_coordinator},
    {{API_KEY_JOIN_GROUP, 0, 9}, serve_join_group},
    {{API_KEY_HEARTBEAT, 0, 4}, serve_heartbeat},
    {{API_KEY_LEAVE_GROUP, 0, 5}, serve_heartbeat_leave},
    {{API_KEY_SYNC_GROUP, 0, 5}, serve_join_group_sync},
    {{API_KEY_DESCRIBE_GROUPS, 0, 6}, serve_describe_groups},
    {{API_KEY_LIST_GROUPS, 0, 5}, serve_list_groups},
    {{API_KEY_API_VERSIONS, 0, 4}, serve_api_versions},
    {{API_KEY_CREATE_TOPICS, 0, 7}, serve_create_topics},
    {{API_KEY_DELETE_TOPICS, 1, 6}, serve_delete_topics},
    {{API_KEY_DELETE_RECORDS, 0, 2}, serve_delete_records},
    {{API_KEY_INIT_PRODUCER_ID, 0, 5}, serve_init_producer_id},
    {{API_KEY_OFFSET_FOR_LEADER_EPOCH, 2, 4}, serve_epoch_end},
    {{API_KEY_ADD_PARTITIONS_TO_TXN, 0, 5}, serve_add_partitions},
    {{API_KEY_ADD_OFFSETS_TO_TXN, 0, 4}, serve_add_offsets},
    {{API_KEY_END_TXN, 0, 5}, serve_end_txn},
    {{API_KEY_WRITE_TXN_MARKERS, 1, 2}, serve_write_txn_markers},
    {{API_KEY_TXN_OFFSET_COMMIT, 0, 6}, serve_txn_offset_commit},
    {{API_KEY_DESCRIBE_CONFIGS, 1, 4}, serve_describe_configs},
    {{API_KEY_ALTER_CONFIGS, 0, 2}, serve_alter_configs},
    {{API_KEY_CREATE_PARTITIONS, 0, 3}, serve_create_partitions},
    {{API_KEY_DELETE_GROUPS, 0, 2}, serve_describe_groups_delete},
    {{API_KEY_INCREMENTAL_ALTER_CONFIGS, 0, 1}, serve_alter_configs_incremental},
    {{API_KEY_OFFSET_DELETE, 0, 0}, serve_offset_delete},
    {{API_KEY_DESCRIBE_QUORUM, 0, 2}, serve_describe_quorum},
    {{API_KEY_ALTER_PARTITION, 2, 3}, serve_controller_alter_partition},
    {{API_KEY_DESCRIBE_CLUSTER, 0, 2}, serve_describe_cluster},
    {{API_KEY_DESCRIBE_PRODUCERS, 0, 0}, serve_describe_producers},
    {{API_KEY_BROKER_REGISTRATION, 0, 4}, serve_controller_registration},
    {{API_KEY_BROKER_HEARTBEAT, 0, 1}, serve_controller_heartbeat},
    {{API_KEY_DESCRIBE_TRANSACTIONS, 0, 0}, serve_describe_transactions},
    {{API_KEY_LIST_TRANSACTIONS, 0, 1}, serve_list_transactions},
    {{API_KEY_ALLOCATE_PRODUCER_IDS, 0, 0}, serve_controller_producer_ids},
    {{METADATA_PULL_KEY, 0, 0}, serve_metadata_pull},
    {{OWN_ADDRESS_KEY, 0, 0}, serve_own_address},
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

/* Brokers ask these of each other; a client that saw them would only wonder. */
static bool is_between_nodes(int16_t api_key)
{
    return api_key == API_KEY_ALTER_PARTITION || api_key == API_KEY_BROKER_REGISTRATION ||
           api_key == API_KEY_BROKER_HEARTBEAT || api_key == API_KEY_ALLOCATE_PRODUCER_IDS ||
           api_key == METADATA_PULL_KEY || api_key == OWN_ADDRESS_KEY;
}

_Static_assert(ROW_COUNT <= DISPATCH_RANGES_MAX, "callers have room for every row");

uint32_t dispatch_ranges(struct dispatch_range out_ranges[DISPATCH_RANGES_MAX])
{
    uint32_t count = 0;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        check(i == 0 || rows[i].range.api_key > rows[i - 1].range.api_key);
        if (!is_between_nodes(rows[i].range.api_key)) {
            out_ranges[count] = rows[i].range;
            count += 1;
        }
    }
    return count;
}

struct partition_map *dispatch_map_of(const struct api_node *node, const struct wire_uuid *topic_id,
                                      int32_t index)
{
    uint32_t shard = partition_map_shard_of(topic_id, index, node->shard_count);
    return node->shards[shard].map;
}

struct api_shard *dispatch_shard_of(struct api_node *node, const struct wire_uuid *topic_id,
                                    int32_t index)
{
    return &node->shards[partition_map_shard_of(topic_id, index, node->shard_count)];
}

static const struct row *find(int16_t api_key)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].range.api_key == api_key) {
            return &rows[i];
        }
    }
    return NULL;
}

static void dispatch(struct request *request)
{
    const struct row *row = find(request->context.api_key);
    if (row == NULL) {
        request_close(request, "its API key is not served here");
        return;
    }
    int16_t version = request->context.api_version;
    bool is_served = version >= row->range.version_min && version <= row->range.version_max;
    if (!is_served && request->context.api_key != API_KEY_API_VERSIONS) {
        request_close(request, "its API version is not served here");
        return;
    }
    row->serve(request);
}

static bool is_peer_frame(const struct frame *frame)
{
    struct wire_reader reader;
    wire_reader_init(&reader, frame->bytes, frame->byte_count);
    return wire_read_int16(&reader) == PEER_TRANSPORT_API_KEY;
}

void dispatch_on_frame(struct connection *connection, struct frame *frame, struct ticket *ticket)
{
    struct api_shard *shard = connection_context(connection);
    if (!shard->node->is_open) {
        /* The listener opens before the quorum does, which must know the listener's port. */
        connection_close(connection, "the broker is starting");
        connection_forget(ticket);
        frame_unref(frame);
        return;
    }
    if (is_peer_frame(frame)) {
        peer_frames_take(shard, frame, ticket);
        return;
    }
    struct request *request;
    enum status status = request_new(shard, frame, ticket, &request);
    if (status != STATUS_OK) {
        connection_close(connection, status == STATUS_NO_MEMORY ? status_text(status)
                                                                : "malformed request header");
        connection_forget(ticket);
        frame_unref(frame);
        return;
    }
    if (partition_map_image(shard->map) == NULL) {
        /* Before the first image nothing can be told; the listener opens later than that. */
        request_close(request, "the broker is starting");
        return;
    }
    bool is_forwarded = request->context.api_key == UPLINK_WIRE_FORWARD_KEY;
    if (is_forwarded && request_unwrap(request) != STATUS_OK) {
        request_close(request, "malformed forwarded request");
        return;
    }
    dispatch(request);
}
