#include "broker/uplink/uplink_wire.h"

#include "proto/kafka/allocate_producer_ids.h"
#include "proto/kafka/alter_partition.h"
#include "proto/kafka/broker_heartbeat.h"
#include "proto/kafka/broker_registration.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#define REGISTRATION_VERSION 4
#define HEARTBEAT_VERSION 1
#define ALTER_PARTITION_VERSION 3
#define PRODUCER_IDS_VERSION 0

bool uplink_wire_version_of(enum controller_request_kind kind,
                            struct uplink_wire_version *out_version)
{
    switch (kind) {
    case CONTROLLER_REGISTER_BROKER:
        *out_version =
            (struct uplink_wire_version){API_KEY_BROKER_REGISTRATION, REGISTRATION_VERSION};
        return true;
    case CONTROLLER_HEARTBEAT:
        *out_version = (struct uplink_wire_version){API_KEY_BROKER_HEARTBEAT, HEARTBEAT_VERSION};
        return true;
    case CONTROLLER_ALTER_PARTITIONS:
        *out_version =
            (struct uplink_wire_version){API_KEY_ALTER_PARTITION, ALTER_PARTITION_VERSION};
        return true;
    case CONTROLLER_ALLOCATE_PRODUCER_IDS:
        *out_version =
            (struct uplink_wire_version){API_KEY_ALLOCATE_PRODUCER_IDS, PRODUCER_IDS_VERSION};
        return true;
    case CONTROLLER_CREATE_TOPICS:
    case CONTROLLER_DELETE_TOPICS:
    case CONTROLLER_CREATE_PARTITIONS:
    case CONTROLLER_ALTER_CONFIGS:
    case CONTROLLER_ELECT_LEADERS:
    case CONTROLLER_DESCRIBE_QUORUM:
    case CONTROLLER_UPKEEP:
        return false;
    }
    check_unreachable("controller request outside its table");
}

/* The reason that a code stands for; brokers act on few of them, the rest is for the trace. */
static void fill_error(struct decision_error *error, int16_t code)
{
    if (code == ERROR_CODE_NONE) {
        error->reason = DECISION_NONE;
        return;
    }
    enum decision_reason reason =
        code == ERROR_CODE_DUPLICATE_BROKER_REGISTRATION ? DECISION_DUPLICATE_BROKER
        : code == ERROR_CODE_BROKER_ID_NOT_REGISTERED    ? DECISION_UNKNOWN_BROKER
        : code == ERROR_CODE_INCONSISTENT_CLUSTER_ID     ? DECISION_OTHER_CLUSTER
                                                         : DECISION_STALE_BROKER;
    decision_refuse(error, reason, "the controller answered %d: %s", code,
                    decision_reason_text(reason));
}

static enum status whole(int16_t code)
{
    return code == ERROR_CODE_NOT_CONTROLLER      ? STATUS_NOT_LEADER
           : code == ERROR_CODE_REQUEST_TIMED_OUT ? STATUS_UNKNOWN
                                                  : STATUS_OK;
}

/* ---- registration ---- */

static void encode_registration(const struct broker_decisions_register *in,
                                struct wire_writer *writer)
{
    struct kafka_broker_registration_request_listener *listeners =
        arena_take_array(writer->arena, in->endpoint_count, sizeof *listeners);
    struct wire_uuid *directories = arena_take_array(writer->arena, 1, sizeof *directories);
    if (listeners == NULL || directories == NULL) {
        wire_writer_fail(writer, STATUS_FULL);
        return;
    }
    for (uint32_t i = 0; i < in->endpoint_count; i++) {
        listeners[i].name = in->endpoints[i].listener;
        listeners[i].host = in->endpoints[i].host;
        listeners[i].port = in->endpoints[i].port;
    }
    directories[0] = in->directory_id;
    struct kafka_broker_registration_request out;
    kafka_broker_registration_request_defaults(&out);
    out.broker_id = in->broker_id;
    out.cluster_id = wire_text_of("");
    out.incarnation_id = in->incarnation_id;
    out.listeners = listeners;
    out.listeners_count = (int32_t)in->endpoint_count;
    out.rack = in->rack;
    out.log_dirs = directories;
    out.log_dirs_count = 1;
    out.previous_broker_epoch = in->previous_epoch;
    out.is_voter = in->is_voter;
    kafka_broker_registration_request_encode(&out, REGISTRATION_VERSION, writer);
}

static enum status decode_registration(struct broker_decisions_register *out,
                                       struct wire_reader *reader, struct arena *arena)
{
    struct kafka_broker_registration_response in;
    TRY(kafka_broker_registration_response_decode(reader, REGISTRATION_VERSION, arena, &in));
    TRY(whole(in.error_code));
    fill_error(&out->error, in.error_code);
    out->epoch = in.broker_epoch;
    return STATUS_OK;
}

/* ---- heartbeat ---- */

static void encode_heartbeat(const struct broker_decisions_heartbeat *in,
                             struct wire_writer *writer)
{
    struct kafka_broker_heartbeat_request out;
    kafka_broker_heartbeat_request_defaults(&out);
    out.broker_id = in->broker_id;
    out.broker_epoch = in->broker_epoch;
    out.current_metadata_offset = (int64_t)in->applied_index;
    out.want_fence = in->wants_fence;
    out.want_shut_down = in->wants_shut_down;
    kafka_broker_heartbeat_request_encode(&out, HEARTBEAT_VERSION, writer);
}

static enum status decode_heartbeat(struct broker_decisions_heartbeat *out,
                                    struct wire_reader *reader, struct arena *arena)
{
    struct kafka_broker_heartbeat_response in;
    TRY(kafka_broker_heartbeat_response_decode(reader, HEARTBEAT_VERSION, arena, &in));
    TRY(whole(in.error_code));
    fill_error(&out->error, in.error_code);
    out->is_caught_up = in.is_caught_up;
    out->is_fenced = in.is_fenced;
    out->should_shut_down = in.should_shut_down;
    return STATUS_OK;
}

/* ---- alter partition ---- */

/* One topic entry per partition: simple, and the message allows it. */
static void encode_alter_partition(const struct isr_decisions_request *in,
                                   struct wire_writer *writer)
{
    struct arena *arena = writer->arena;
    struct kafka_alter_partition_request_topic_data *topics =
        arena_take_array(arena, in->item_count, sizeof *topics);
    struct kafka_alter_partition_request_partition_data *partitions =
        arena_take_array(arena, in->item_count, sizeof *partitions);
    if (topics == NULL || partitions == NULL) {
        wire_writer_fail(writer, STATUS_FULL);
        return;
    }
    for (uint32_t i = 0; i < in->item_count; i++) {
        const struct isr_decisions_item *item = &in->items[i];
        struct kafka_alter_partition_request_broker_state *isr =
            arena_take_array(arena, item->isr_count, sizeof *isr);
        if (isr == NULL) {
            wire_writer_fail(writer, STATUS_FULL);
            return;
        }
        for (uint32_t j = 0; j < item->isr_count; j++) {
            isr[j].broker_id = item->isr[j].broker_id;
            isr[j].broker_epoch = item->isr[j].broker_epoch;
        }
        kafka_alter_partition_request_partition_data_defaults(&partitions[i]);
        partitions[i].partition_index = item->index;
        partitions[i].leader_epoch = item->leader_epoch;
        partitions[i].new_isr_with_epochs = isr;
        partitions[i].new_isr_with_epochs_count = (int32_t)item->isr_count;
        partitions[i].leader_recovery_state = item->is_recovering ? 1 : 0;
        partitions[i].partition_epoch = item->partition_epoch;
        topics[i].topic_id = item->topic_id;
        topics[i].partitions = &partitions[i];
        topics[i].partitions_count = 1;
    }
    struct kafka_alter_partition_request out;
    kafka_alter_partition_request_defaults(&out);
    out.broker_id = in->broker_id;
    out.broker_epoch = in->broker_epoch;
    out.topics = topics;
    out.topics_count = (int32_t)in->item_count;
    kafka_alter_partition_request_encode(&out, ALTER_PARTITION_VERSION, writer);
}

static enum decision_reason reason_of_partition(int16_t code)
{
    switch (code) {
    case ERROR_CODE_NONE:
        return DECISION_NONE;
    case ERROR_CODE_NEW_LEADER_ELECTED:
        return DECISION_LEADER_MOVED;
    case ERROR_CODE_FENCED_LEADER_EPOCH:
        return DECISION_OLD_LEADER_EPOCH;
    case ERROR_CODE_INELIGIBLE_REPLICA:
        return DECISION_INELIGIBLE_REPLICA;
    case ERROR_CODE_UNKNOWN_TOPIC_ID:
        return DECISION_UNKNOWN_TOPIC_ID;
    case ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION:
        return DECISION_UNKNOWN_PARTITION;
    default:
        return DECISION_OLD_PARTITION_EPOCH;
    }
}

static enum status decode_alter_partition(struct isr_decisions_request *out,
                                          struct wire_reader *reader, struct arena *arena)
{
    struct kafka_alter_partition_response in;
    TRY(kafka_alter_partition_response_decode(reader, ALTER_PARTITION_VERSION, arena, &in));
    TRY(whole(in.error_code));
    fill_error(&out->error, in.error_code);
    if (in.error_code != ERROR_CODE_NONE) {
        return STATUS_OK;
    }
    if (in.topics_count != (int32_t)out->item_count) {
        return STATUS_MALFORMED;
    }
    for (uint32_t i = 0; i < out->item_count; i++) {
        /* The state itself comes with the next image; the verdict is all that is needed. */
        if (in.topics[i].partitions_count != 1 ||
            in.topics[i].partitions[0].partition_index != out->items[i].index) {
            return STATUS_MALFORMED;
        }
        out->items[i].reason = reason_of_partition(in.topics[i].partitions[0].error_code);
    }
    return STATUS_OK;
}

/* ---- producer ids ---- */

static void encode_producer_ids(const struct producer_id_decisions_request *in,
                                struct wire_writer *writer)
{
    struct kafka_allocate_producer_ids_request out;
    kafka_allocate_producer_ids_request_defaults(&out);
    out.broker_id = in->broker_id;
    out.broker_epoch = in->broker_epoch;
    kafka_allocate_producer_ids_request_encode(&out, PRODUCER_IDS_VERSION, writer);
}

static enum status decode_producer_ids(struct producer_id_decisions_request *out,
                                       struct wire_reader *reader, struct arena *arena)
{
    struct kafka_allocate_producer_ids_response in;
    TRY(kafka_allocate_producer_ids_response_decode(reader, PRODUCER_IDS_VERSION, arena, &in));
    TRY(whole(in.error_code));
    fill_error(&out->error, in.error_code);
    if (in.error_code == ERROR_CODE_NONE && (in.producer_id_start < 0 || in.producer_id_len <= 0)) {
        return STATUS_MALFORMED;
    }
    out->first_id = in.producer_id_start;
    out->id_count = in.producer_id_len;
    return STATUS_OK;
}

void uplink_wire_encode(const struct controller_request *request, struct wire_writer *writer)
{
    switch ((int)request->kind) {
    case CONTROLLER_REGISTER_BROKER:
        encode_registration(request->command.register_broker, writer);
        return;
    case CONTROLLER_HEARTBEAT:
        encode_heartbeat(request->command.heartbeat, writer);
        return;
    case CONTROLLER_ALTER_PARTITIONS:
        encode_alter_partition(request->command.alter_partitions, writer);
        return;
    case CONTROLLER_ALLOCATE_PRODUCER_IDS:
        encode_producer_ids(request->command.producer_ids, writer);
        return;
    default:
        check_unreachable("this kind is not sent on");
    }
}

enum status uplink_wire_decode(struct controller_request *request, struct wire_reader *reader,
                               struct arena *arena)
{
    switch ((int)request->kind) {
    case CONTROLLER_REGISTER_BROKER:
        return decode_registration(request->command.register_broker, reader, arena);
    case CONTROLLER_HEARTBEAT:
        return decode_heartbeat(request->command.heartbeat, reader, arena);
    case CONTROLLER_ALTER_PARTITIONS:
        return decode_alter_partition(request->command.alter_partitions, reader, arena);
    case CONTROLLER_ALLOCATE_PRODUCER_IDS:
        return decode_producer_ids(request->command.producer_ids, reader, arena);
    default:
        check_unreachable("this kind is not sent on");
    }
}
