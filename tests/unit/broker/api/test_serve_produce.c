/* Goal: a produced batch is judged as facts and design say, kept as it came, and acknowledged only
 * when it is as safe as asked.
 * Method: a whole broker in the simulated world, with one and with two shards; each row of the
 * table of damaged batches is followed by a sound one. */
#include "tests/rig/kafka_talk.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "tests/rig/batch_seal.h"

#include <criterion/criterion.h>
#include <string.h>

static struct broker_world world;
static struct wire_client client;

static void begin(uint32_t shard_count)
{
    struct broker_world_options options = {.shard_count = shard_count};
    broker_world_init(&world, &options, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    cr_assert_eq(kafka_talk_create(&client, "t", 4, 1, NULL), 0);
}

static void set_up(void)
{
    begin(2);
}

static void tear_down(void)
{
    wire_client_close(&client);
    broker_world_stop(&world, 0);
    broker_world_done(&world);
}

TestSuite(serve_produce, .init = set_up, .fini = tear_down, .timeout = 120);

static int16_t code_of(const struct kafka_talk_batch *batch, int16_t acks)
{
    struct kafka_talk_produce produce = {.topic = "t", .acks = acks};
    produce.bytes = kafka_talk_batch(&client, batch, &produce.byte_count);
    return kafka_talk_produce(&client, &produce).error_code;
}

static const struct kafka_fetch_response_partition_data *read_all(int32_t partition)
{
    static struct kafka_fetch_response answer;
    struct kafka_talk_fetch fetch = {.topic = "t", .partition = partition};
    answer = kafka_talk_fetch(&client, &fetch);
    return kafka_talk_fetched(&answer, 0);
}

Test(serve_produce, records_come_back_in_order_from_every_partition)
{
    char last[64];
    for (int32_t partition = 0; partition < 4; partition++) {
        cr_expect_eq(kafka_talk_put(&client, "t", partition, "one"), 0);
        cr_expect_eq(kafka_talk_put(&client, "t", partition, "two"), 1);
        cr_expect_eq(kafka_talk_count(read_all(partition), last), 2);
        cr_expect_str_eq(last, "two");
    }
}

enum damage {
    DAMAGE_NULL,
    DAMAGE_EMPTY,
    DAMAGE_TWO_BATCHES,
    DAMAGE_BYTES_AFTER,
    DAMAGE_MAGIC,
    DAMAGE_BASE_OFFSET,
    DAMAGE_LENGTH_SHORT,
    DAMAGE_LENGTH_LONG,
    DAMAGE_CHECKSUM,
    DAMAGE_CODEC,
    DAMAGE_COUNT_ZERO,
    DAMAGE_COUNT_TWO,
    DAMAGE_LAST_DELTA,
    DAMAGE_CONTROL,
    DAMAGE_SEQUENCE,
    DAMAGE_TRANSACTIONAL,
    DAMAGE_TIMESTAMP,
    DAMAGE_RECORD_LENGTH,
};

struct row {
    enum damage damage;
    int16_t code;
};

static void damage(enum damage what, uint8_t *bytes, struct kafka_talk_produce *produce)
{
    size_t count = produce->byte_count;
    switch (what) {
    case DAMAGE_NULL:
        produce->has_null_records = true;
        return;
    case DAMAGE_EMPTY:
        produce->byte_count = 0;
        return;
    case DAMAGE_TWO_BATCHES:
        memcpy(bytes + count, bytes, count);
        produce->byte_count = 2 * count;
        return;
    case DAMAGE_BYTES_AFTER:
        memset(bytes + count, 0, 8);
        produce->byte_count = count + 8;
        return;
    case DAMAGE_MAGIC:
        bytes[16] = 1;
        return;
    case DAMAGE_BASE_OFFSET:
        big_endian_put64(bytes, 5);
        return;
    case DAMAGE_LENGTH_SHORT:
        big_endian_put32(bytes + 8, 48);
        return;
    case DAMAGE_LENGTH_LONG:
        big_endian_put32(bytes + 8, (uint32_t)count);
        return;
    case DAMAGE_CHECKSUM:
        bytes[count - 1] ^= 1;
        return;
    case DAMAGE_CODEC:
        big_endian_put16(bytes + 21, 5);
        break;
    case DAMAGE_COUNT_ZERO:
        big_endian_put32(bytes + 57, 0);
        break;
    case DAMAGE_COUNT_TWO:
        big_endian_put32(bytes + 57, 2);
        big_endian_put32(bytes + 23, 1);
        break;
    case DAMAGE_LAST_DELTA:
        big_endian_put32(bytes + 23, 7);
        break;
    case DAMAGE_CONTROL:
        big_endian_put16(bytes + 21, 0x20);
        break;
    case DAMAGE_SEQUENCE:
        big_endian_put64(bytes + 43, 9);
        big_endian_put16(bytes + 51, 0);
        break;
    case DAMAGE_TRANSACTIONAL:
        big_endian_put16(bytes + 21, 0x10);
        big_endian_put64(bytes + 43, 9);
        big_endian_put16(bytes + 51, 0);
        big_endian_put32(bytes + 53, 0);
        break;
    case DAMAGE_TIMESTAMP:
        big_endian_put64(bytes + 27, (uint64_t)-5);
        big_endian_put64(bytes + 35, (uint64_t)-5);
        break;
    case DAMAGE_RECORD_LENGTH:
        bytes[61] = 0x7e;
        break;
    }
    batch_seal(bytes, count);
}

Test(serve_produce, damaged_batches_are_refused_with_their_code_and_the_next_is_taken)
{
    static const struct row rows[] = {
        {DAMAGE_NULL, ERROR_CODE_INVALID_RECORD},
        {DAMAGE_EMPTY, ERROR_CODE_INVALID_RECORD},
        {DAMAGE_TWO_BATCHES, ERROR_CODE_INVALID_RECORD},
        {DAMAGE_BYTES_AFTER, ERROR_CODE_INVALID_RECORD},
        {DAMAGE_MAGIC, ERROR_CODE_INVALID_RECORD},
        {DAMAGE_BASE_OFFSET, ERROR_CODE_INVALID_RECORD},
        {DAMAGE_LENGTH_SHORT, ERROR_CODE_CORRUPT_MESSAGE},
        {DAMAGE_LENGTH_LONG, ERROR_CODE_CORRUPT_MESSAGE},
        {DAMAGE_CHECKSUM, ERROR_CODE_CORRUPT_MESSAGE},
        {DAMAGE_CODEC, ERROR_CODE_UNSUPPORTED_COMPRESSION_TYPE},
        {DAMAGE_COUNT_ZERO, ERROR_CODE_INVALID_RECORD},
        {DAMAGE_COUNT_TWO, ERROR_CODE_INVALID_RECORD},
        {DAMAGE_LAST_DELTA, ERROR_CODE_INVALID_RECORD},
        {DAMAGE_CONTROL, ERROR_CODE_INVALID_RECORD},
        {DAMAGE_SEQUENCE, ERROR_CODE_INVALID_RECORD},
        {DAMAGE_TRANSACTIONAL, ERROR_CODE_TRANSACTIONAL_ID_AUTHORIZATION_FAILED},
        {DAMAGE_TIMESTAMP, ERROR_CODE_INVALID_TIMESTAMP},
        {DAMAGE_RECORD_LENGTH, ERROR_CODE_INVALID_RECORD},
    };
    static uint8_t bytes[1024];
    int64_t offset = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kafka_talk_batch plain = {.timestamp_ms = 1000};
        struct kafka_talk_produce produce = {.topic = "t", .acks = -1, .bytes = bytes};
        const uint8_t *sound = kafka_talk_batch(&client, &plain, &produce.byte_count);
        memcpy(bytes, sound, produce.byte_count);
        damage(rows[i].damage, bytes, &produce);

        struct kafka_produce_response_partition_produce_response answer =
            kafka_talk_produce(&client, &produce);

        cr_expect_eq(answer.error_code, rows[i].code, "damage %d: code %d, not %d", rows[i].damage,
                     answer.error_code, rows[i].code);
        cr_expect_eq(answer.base_offset, -1);
        cr_expect_eq(kafka_talk_put(&client, "t", 0, "sound"), offset);
        offset += 1;
    }
}

Test(serve_produce, zstd_needs_version_7)
{
    struct kafka_talk_batch batch = {.codec = COMPRESSION_ZSTD,
                                     .record_count = 20,
                                     .value = "again and again and again and again"};
    struct kafka_talk_produce produce = {.topic = "t", .acks = 1, .version = 6};
    produce.bytes = kafka_talk_batch(&client, &batch, &produce.byte_count);

    cr_expect_eq(kafka_talk_produce(&client, &produce).error_code,
                 ERROR_CODE_UNSUPPORTED_COMPRESSION_TYPE);
    produce.version = 7;
    cr_expect_eq(kafka_talk_produce(&client, &produce).error_code, 0);
}

Test(serve_produce, batches_are_stored_in_the_codec_they_came_in)
{
    for (int32_t codec = 0; codec < (int32_t)COMPRESSION_CODEC_COUNT; codec++) {
        struct kafka_talk_batch batch = {.codec = (enum compression_codec)codec,
                                         .record_count = 50,
                                         .value = "again and again and again and again"};
        struct kafka_talk_produce produce = {.topic = "t", .partition = 1, .acks = 1};
        produce.bytes = kafka_talk_batch(&client, &batch, &produce.byte_count);
        cr_assert_eq(kafka_talk_produce(&client, &produce).error_code, 0);
        struct kafka_talk_fetch fetch = {.topic = "t", .partition = 1, .offset = 50 * codec};

        struct kafka_fetch_response answer = kafka_talk_fetch(&client, &fetch);

        struct batch_view view;
        const struct wire_records *records = &kafka_talk_fetched(&answer, 0)->records;
        cr_assert_eq(batch_view_init(&view, records->single.base, records->single.byte_count),
                     STATUS_OK);
        cr_expect_eq(batch_codec(&view), (enum compression_codec)codec);
        cr_expect_eq(view.byte_count, produce.byte_count);
    }
}

Test(serve_produce, a_clients_append_time_flag_does_not_stay_on_a_create_time_topic)
{
    static uint8_t bytes[1024];
    for (int32_t codec = 0; codec < (int32_t)COMPRESSION_CODEC_COUNT; codec++) {
        struct kafka_talk_batch plain = {.timestamp_ms = 1000,
                                         .codec = (enum compression_codec)codec,
                                         .record_count = 20,
                                         .value = "again and again and again"};
        struct kafka_talk_produce produce = {
            .topic = "t", .partition = 2, .acks = 1, .bytes = bytes};
        const uint8_t *sound = kafka_talk_batch(&client, &plain, &produce.byte_count);
        memcpy(bytes, sound, produce.byte_count);
        big_endian_put16(bytes + 21, (uint16_t)(big_endian_get16(bytes + 21) | 0x08));
        batch_seal(bytes, produce.byte_count);
        cr_assert_eq(kafka_talk_produce(&client, &produce).error_code, 0);
        struct kafka_talk_fetch fetch = {.topic = "t", .partition = 2, .offset = 20 * codec};

        struct kafka_fetch_response answer = kafka_talk_fetch(&client, &fetch);

        struct batch_view view;
        const struct wire_records *records = &kafka_talk_fetched(&answer, 0)->records;
        cr_assert_eq(batch_view_init(&view, records->single.base, records->single.byte_count),
                     STATUS_OK);
        cr_expect_not(batch_has_append_time(&view));
        cr_expect(batch_has_right_checksum(&view));
        cr_expect_eq(batch_max_timestamp(&view), 1000);
    }
}

Test(serve_produce, sequences_are_kept_repeats_answered_and_gaps_refused)
{
    struct kafka_talk_batch batch = {.producer_id = 7, .producer_epoch = 2};

    cr_expect_eq(code_of(&batch, -1), 0);
    batch.base_sequence = 1;
    cr_expect_eq(code_of(&batch, -1), 0);
    struct kafka_talk_produce produce = {.topic = "t", .acks = -1};
    produce.bytes = kafka_talk_batch(&client, &batch, &produce.byte_count);
    cr_expect_eq(kafka_talk_produce(&client, &produce).base_offset, 1, "a repeat is the original");
    batch.base_sequence = 3;
    cr_expect_eq(code_of(&batch, -1), ERROR_CODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    batch.base_sequence = 2;
    batch.producer_epoch = 1;
    cr_expect_eq(code_of(&batch, -1), ERROR_CODE_INVALID_PRODUCER_EPOCH);
    batch.producer_epoch = 3;
    cr_expect_eq(code_of(&batch, -1), ERROR_CODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    batch.base_sequence = 0;
    cr_expect_eq(code_of(&batch, -1), 0);
    batch.producer_id = 8;
    batch.base_sequence = 5;
    cr_expect_eq(code_of(&batch, -1), 0, "its state may have expired");
}

Test(serve_produce, wrong_acks_unknown_places_and_repeats_have_their_codes)
{
    struct kafka_talk_batch batch = {.record_count = 1};
    struct kafka_talk_produce produce = {.topic = "t", .acks = 2};
    produce.bytes = kafka_talk_batch(&client, &batch, &produce.byte_count);

    cr_expect_eq(kafka_talk_produce(&client, &produce).error_code,
                 ERROR_CODE_INVALID_REQUIRED_ACKS);
    produce.acks = 1;
    produce.partition = 4;
    cr_expect_eq(kafka_talk_produce(&client, &produce).error_code,
                 ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
    produce.partition = -1;
    cr_expect_eq(kafka_talk_produce(&client, &produce).error_code,
                 ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
    produce.partition = 0;
    produce.topic = "nobody";
    cr_expect_eq(kafka_talk_produce(&client, &produce).error_code,
                 ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
}

Test(serve_produce, one_partition_twice_in_a_request_writes_nothing)
{
    struct kafka_talk_batch batch = {.record_count = 1};
    size_t byte_count;
    uint8_t *bytes = kafka_talk_batch(&client, &batch, &byte_count);
    struct kafka_produce_request_partition_produce_data data[2];
    for (int i = 0; i < 2; i++) {
        data[i].index = 3;
        data[i].records = (struct wire_records){
            .slice_count = 1, .single = {bytes, byte_count}, .byte_count = (int32_t)byte_count};
    }
    struct kafka_produce_request_topic_produce_data topic = {
        .name = wire_text_of("t"), .partition_data = data, .partition_data_count = 2};
    struct kafka_produce_request request;
    kafka_produce_request_defaults(&request);
    request.transactional_id = wire_text_of(NULL);
    request.acks = 1;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    struct kafka_produce_response answer;

    cr_assert(wire_client_call(&client, API_KEY_PRODUCE, 9, &request, &answer));

    for (int i = 0; i < 2; i++) {
        cr_expect_eq(answer.responses[0].partition_responses[i].error_code,
                     ERROR_CODE_INVALID_REQUEST);
    }
    cr_expect_eq(kafka_talk_offset(&client, "t", 3, -1), 0);
}

Test(serve_produce, acks_0_is_silent_and_a_failure_closes)
{
    struct kafka_talk_batch batch = {.record_count = 1};
    struct kafka_talk_produce produce = {.topic = "t", .acks = 0};
    produce.bytes = kafka_talk_batch(&client, &batch, &produce.byte_count);

    kafka_talk_ask_produce(&client, &produce);
    cr_expect(wire_client_is_quiet_for(&client, 500));
    cr_expect_eq(kafka_talk_offset(&client, "t", 0, -1), 1);
    produce.partition = 99;
    kafka_talk_ask_produce(&client, &produce);
    broker_world_run_ms(&world, 500);
    cr_expect(client.has_ended);
}

Test(serve_produce, acks_1_is_not_answered_before_the_journals_flush)
{
    struct sim_disk *disk = broker_world_disk(&world, 0);
    disk->faults.slow_flush = 1;
    disk->faults.slow_flush_ns_max = 1;
    struct kafka_talk_batch batch = {.value = "kept"};
    struct kafka_talk_produce produce = {.topic = "t", .acks = 1};
    produce.bytes = kafka_talk_batch(&client, &batch, &produce.byte_count);

    cr_assert_eq(kafka_talk_produce(&client, &produce).error_code, 0);
    sim_node_lose_power(world.brokers[0].node);
    broker_world_start_all(&world);
    wire_client_close(&client);
    wire_client_open(&client, &world, 0);

    char last[64];
    cr_expect_eq(kafka_talk_count(read_all(0), last), 1);
    cr_expect_str_eq(last, "kept");
}

static const char *long_value(int mark)
{
    static char value[(300 << 10) + 1];
    for (size_t i = 0; i + 1 < sizeof value; i++) {
        value[i] = (char)('a' + (i / 7 + (size_t)mark) % 26);
    }
    return value;
}

/* What a large request came in is used again before its answer: nothing may look there. */
Test(serve_produce, large_requests_are_kept_as_they_came_by_every_shard)
{
    for (int i = 0; i < 12; i++) {
        cr_expect_eq(kafka_talk_put(&client, "t", i % 4, long_value(i)), i / 4);
    }
    for (int i = 0; i < 12; i++) {
        static struct kafka_fetch_response answer;
        struct kafka_talk_fetch fetch = {.topic = "t", .partition = i % 4, .offset = i / 4};
        fetch.partition_bytes = 1;
        answer = kafka_talk_fetch(&client, &fetch);
        const struct kafka_fetch_response_partition_data *data = kafka_talk_fetched(&answer, 0);
        struct batch_view batch;
        cr_assert_eq(
            batch_view_init(&batch, data->records.single.base, data->records.single.byte_count),
            STATUS_OK);
        cr_expect(batch_has_right_checksum(&batch));
        cr_expect_eq(batch_base_offset(&batch), i / 4);
        cr_expect_not_null(memmem(batch.bytes, batch.byte_count, long_value(i), 300 << 10));
    }
}

static int16_t code_of_named(const struct kafka_talk_produce *produce)
{
    struct kafka_produce_response answer;
    kafka_talk_ask_produce(&client, produce);
    cr_assert(wire_client_answer(&client, API_KEY_PRODUCE, KAFKA_TALK_PRODUCE_VERSION,
                                 client.correlation_id, &answer));
    cr_assert_eq(answer.responses_count, 1);
    cr_expect(wire_text_equals(answer.responses[0].name, "t"));
    cr_expect_eq(answer.responses[0].partition_responses[0].index, produce->partition);
    return answer.responses[0].partition_responses[0].error_code;
}

Test(serve_produce, large_request_is_answered_by_name_also_when_it_fails)
{
    struct kafka_talk_batch batch = {.value = long_value(0)};
    struct kafka_talk_produce produce = {.topic = "t", .acks = -1, .partition = 9};
    uint8_t *bytes = kafka_talk_batch(&client, &batch, &produce.byte_count);
    produce.bytes = bytes;
    cr_expect_eq(code_of_named(&produce), ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
    produce.partition = 2;
    bytes[produce.byte_count - 1] ^= 1;
    cr_expect_eq(code_of_named(&produce), ERROR_CODE_CORRUPT_MESSAGE);
    bytes[produce.byte_count - 1] ^= 1;
    cr_expect_eq(code_of_named(&produce), 0);
}

Test(serve_produce, a_failed_flush_acknowledges_nothing_and_stops_the_node)
{
    sim_disk_fail(broker_world_disk(&world, 0), SIM_DISK_FLUSH, 1, STATUS_IO);
    struct kafka_talk_batch batch = {.record_count = 1};
    struct kafka_talk_produce produce = {.topic = "t", .acks = -1};
    produce.bytes = kafka_talk_batch(&client, &batch, &produce.byte_count);

    kafka_talk_ask_produce(&client, &produce);
    struct kafka_produce_response answer;
    bool is_answered =
        wire_client_answer(&client, API_KEY_PRODUCE, 9, client.correlation_id, &answer);

    cr_expect(!is_answered || answer.responses[0].partition_responses[0].error_code != 0);
    broker_world_run_ms(&world, 100);
    cr_expect_eq(world.brokers[0].failure_count, 1);
    sim_disk_calm(broker_world_disk(&world, 0));
    broker_world_start_all(&world);
}

Test(serve_produce, a_stop_answers_what_waits_and_a_restart_keeps_everything)
{
    for (int32_t i = 0; i < 40; i++) {
        cr_assert_geq(kafka_talk_put(&client, "t", i % 4, "before"), 0);
    }

    wire_client_close(&client);
    broker_world_stop(&world, 0);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);

    char last[64];
    for (int32_t partition = 0; partition < 4; partition++) {
        cr_expect_eq(kafka_talk_count(read_all(partition), last), 10);
        cr_expect_eq(kafka_talk_put(&client, "t", partition, "after"), 10);
    }
}

Test(serve_produce,
     a_topic_made_anew_at_once_does_not_lose_its_directory_to_the_former_ones_removal)
{
    for (int32_t life = 0; life < 5; life++) {
        for (int32_t partition = 0; partition < 4; partition++) {
            cr_expect_eq(kafka_talk_put(&client, "t", partition, "value"), 0);
        }
        cr_assert_eq(kafka_talk_delete(&client, "t"), 0);
        cr_assert_eq(kafka_talk_create(&client, "t", 4, 1, NULL), 0);
    }
}

Test(serve_produce,
     a_batch_that_the_journal_cannot_take_is_not_a_storage_error_to_be_tried_for_ever)
{
    static const struct kafka_talk_config configs[] = {{"max.message.bytes", "2000000"}, {NULL}};
    static char value[1500001];
    memset(value, 'v', sizeof value - 1);
    cr_assert_eq(kafka_talk_create(&client, "big", 1, 1, configs), 0);
    struct kafka_talk_batch batch = {.value = value};
    struct kafka_talk_produce produce = {.topic = "big", .acks = -1};
    produce.bytes = kafka_talk_batch(&client, &batch, &produce.byte_count);

    cr_expect_eq(kafka_talk_produce(&client, &produce).error_code, ERROR_CODE_MESSAGE_TOO_LARGE);
    cr_expect_eq(kafka_talk_put(&client, "big", 0, "small"), 0);
}
