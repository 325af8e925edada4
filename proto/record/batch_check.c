#include "proto/record/batch_check.h"

#include "proto/record/record_walk.h"

static struct batch_verdict verdict_of(const struct batch_view *batch)
{
    return (struct batch_verdict){
        .record_index = -1,
        .batch = *batch,
        .max_timestamp_ms = batch_max_timestamp(batch),
        .max_timestamp_index = -1,
    };
}

static enum batch_fault fault_of_header(const struct batch_view *batch)
{
    if (!batch_has_right_checksum(batch)) {
        return BATCH_FAULT_CHECKSUM;
    }
    if (!compression_is_known(batch_codec(batch))) {
        return BATCH_FAULT_CODEC;
    }
    return batch_record_count(batch) < 0 ? BATCH_FAULT_RECORD_COUNT : BATCH_FAULT_NONE;
}

enum status batch_check_header(const struct batch_view *batch, struct batch_verdict *out_verdict)
{
    *out_verdict = verdict_of(batch);
    out_verdict->fault = fault_of_header(batch);
    return batch_fault_status(out_verdict->fault);
}

static enum batch_fault fault_of_stored(const struct batch_view *batch)
{
    int64_t base_offset = batch_base_offset(batch);
    int32_t last_delta = batch_last_offset_delta(batch);
    /* The next offset must be expressible, too. */
    if (base_offset < 0 || last_delta < 0 || base_offset >= INT64_MAX - last_delta) {
        return BATCH_FAULT_OFFSETS;
    }
    /* Compaction takes records away, so there may be fewer than offsets. */
    if (batch_record_count(batch) - 1 > last_delta) {
        return BATCH_FAULT_RECORD_COUNT;
    }
    return BATCH_FAULT_NONE;
}

enum status batch_check_stored(const struct batch_view *batch, struct batch_verdict *out_verdict)
{
    TRY(batch_check_header(batch, out_verdict));
    out_verdict->fault = fault_of_stored(batch);
    return batch_fault_status(out_verdict->fault);
}

bool batch_check_timestamp(const struct batch_rules *rules, int64_t timestamp_ms)
{
    if (rules->is_append_time || timestamp_ms == -1) {
        return true;
    }
    return timestamp_ms >= 0 && timestamp_ms >= rules->timestamp_ms_min &&
           timestamp_ms <= rules->timestamp_ms_max;
}

/* A whole batch of an allowed size. */
static enum batch_fault fault_of_set(const void *bytes, size_t byte_count,
                                     const struct batch_rules *rules, struct batch_view *out_batch)
{
    if (byte_count == 0) {
        return BATCH_FAULT_EMPTY_SET;
    }
    enum status status = batch_view_init(out_batch, bytes, byte_count);
    if (status != STATUS_OK) {
        bool is_cut = status == STATUS_NOT_FOUND;
        bool is_old = status == STATUS_UNSUPPORTED;
        return is_cut ? BATCH_FAULT_CUT : is_old ? BATCH_FAULT_MAGIC : BATCH_FAULT_LENGTH;
    }
    if (out_batch->byte_count > rules->byte_count_max) {
        return BATCH_FAULT_TOO_LARGE;
    }
    return BATCH_FAULT_NONE;
}

/* Judged after the checksum, since a wrong length leaves bytes over, too. */
static enum batch_fault fault_of_rest(const uint8_t *rest, size_t byte_count)
{
    uint32_t second_bytes = 0;
    if (byte_count == 0) {
        return BATCH_FAULT_NONE;
    }
    bool is_batch = batch_measure(rest, byte_count, &second_bytes) == STATUS_OK;
    return is_batch ? BATCH_FAULT_SEVERAL_BATCHES : BATCH_FAULT_BYTES_AFTER_BATCH;
}

static enum batch_fault fault_of_producer(const struct batch_view *batch,
                                          const struct batch_rules *rules)
{
    int64_t producer_id = batch_producer_id(batch);
    if (producer_id < -1) {
        return BATCH_FAULT_PRODUCER;
    }
    if (producer_id >= 0 && (batch_producer_epoch(batch) < 0 || batch_base_sequence(batch) < 0)) {
        return BATCH_FAULT_PRODUCER;
    }
    if (batch_is_transactional(batch) && !rules->has_transactional_id) {
        return BATCH_FAULT_TXN_WITHOUT_ID;
    }
    if (batch_is_transactional(batch) && producer_id < 0) {
        return BATCH_FAULT_TXN_WITHOUT_PRODUCER;
    }
    return BATCH_FAULT_NONE;
}

/* What the header alone tells about a client's batch. */
static enum batch_fault fault_of_claims(const struct batch_view *batch,
                                        const struct batch_rules *rules)
{
    if (batch_codec(batch) == COMPRESSION_ZSTD && rules->is_zstd_refused) {
        return BATCH_FAULT_CODEC_REFUSED;
    }
    if (batch_base_offset(batch) != 0) {
        return BATCH_FAULT_OFFSETS;
    }
    int32_t record_count = batch_record_count(batch);
    if (record_count <= 0 || batch_last_offset_delta(batch) != record_count - 1) {
        return BATCH_FAULT_RECORD_COUNT;
    }
    if (batch_is_control(batch)) {
        return BATCH_FAULT_CONTROL;
    }
    if (batch_has_delete_horizon(batch)) {
        return BATCH_FAULT_DELETE_HORIZON;
    }
    return fault_of_producer(batch, rules);
}

/* For a batch that is not opened, the two timestamps that can be seen. */
static void judge_timestamps(const struct batch_view *batch, const struct batch_rules *rules,
                             struct batch_verdict *verdict)
{
    const int64_t seen_ms[] = {batch_base_timestamp(batch), batch_max_timestamp(batch)};
    for (size_t i = 0; i < 2 && verdict->fault == BATCH_FAULT_NONE; i++) {
        if (!batch_check_timestamp(rules, seen_ms[i])) {
            verdict->fault = BATCH_FAULT_TIMESTAMP;
            verdict->timestamp_ms = seen_ms[i];
        }
    }
}

enum status batch_check_produce(const void *bytes, size_t byte_count,
                                const struct batch_rules *rules, struct batch_verdict *out_verdict)
{
    struct batch_view batch = {0};
    enum batch_fault fault = fault_of_set(bytes, byte_count, rules, &batch);
    if (fault != BATCH_FAULT_NONE) {
        *out_verdict = (struct batch_verdict){.fault = fault, .record_index = -1};
        return batch_fault_status(fault);
    }
    TRY(batch_check_header(&batch, out_verdict));
    fault = fault_of_rest(batch.bytes + batch.byte_count, byte_count - batch.byte_count);
    out_verdict->fault = fault == BATCH_FAULT_NONE ? fault_of_claims(&batch, rules) : fault;
    if (out_verdict->fault != BATCH_FAULT_NONE) {
        return batch_fault_status(out_verdict->fault);
    }
    bool is_opened =
        batch_codec(&batch) == COMPRESSION_NONE || rules->is_full || rules->is_compacted;
    if (is_opened) {
        record_walk_run(&batch, rules, out_verdict);
    } else {
        judge_timestamps(&batch, rules, out_verdict);
    }
    return batch_fault_status(out_verdict->fault);
}
