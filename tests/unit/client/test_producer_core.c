/* Goal: what is reported as delivered is in the log once and in order, whatever the brokers do.
 * Method: three scripted brokers with real batches in a simulated world; connections that break
 * before and after the append, silence, refusals, moving leaders; then the log is compared with the
 * reports. */
#include "client/producer_core.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/record/batch_iterator.h"
#include "tests/rig/scripted_log.h"
#include "tests/unit/client/client_rig.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX 4000

static struct scripted_log cluster;
static struct producer_core subject;
static bool has_closed;
static int sent_count;
static struct producer_delivery reports[RECORDS_MAX];
static int report_counts[RECORDS_MAX];
static int reported_count;
static struct prng chances;
static int spoil_left;

static void on_delivery(void *context, const struct producer_delivery *delivery)
{
    (void)context;
    cr_assert_lt(delivery->number, RECORDS_MAX);
    reports[delivery->number] = *delivery;
    report_counts[delivery->number] += 1;
    reported_count += 1;
}

static void on_closed(void *context)
{
    (void)context;
    has_closed = true;
}

static struct producer_core_options options;

static void set_up(void)
{
    rig_begin(21);
    scripted_log_start(&cluster, rig_loop);
    prng_init(&chances, 5);
    options = (struct producer_core_options){.loop = rig_loop,
                                             .client_id = "test",
                                             .codec = COMPRESSION_LZ4,
                                             .batch_bytes_max = 2000,
                                             .record_bytes_max = 100000,
                                             .buffer_bytes_max = 10 << 20,
                                             .request_timeout_ms = 3000,
                                             .delivery_timeout_ms = 60000,
                                             .on_delivery = on_delivery,
                                             .on_closed = on_closed};
}

static void begin(void)
{
    struct address bootstrap[2] = {rig_address(SCRIPTED_LOG_PORT + 7),
                                   rig_address(SCRIPTED_LOG_PORT + 1)};
    options.bootstrap = bootstrap;
    options.bootstrap_count = 2;
    producer_core_init(&subject, &options);
}

static void tear_down(void)
{
    producer_core_close(&subject);
    rig_run_for(SIM_S);
    cr_expect(has_closed);
    for (int i = 0; i < sent_count; i++) {
        cr_expect_eq(report_counts[i], 1, "record %d: %d reports", i, report_counts[i]);
    }
    scripted_log_stop(&cluster);
    rig_run_for(SIM_S);
    rig_end();
}

TestSuite(producer_core, .init = set_up, .fini = tear_down);

static void send_to(const char *topic, int32_t partition)
{
    char value[64];
    int byte_count = snprintf(value, sizeof value, "record %d with some words in it", sent_count);
    struct producer_record record = {.topic = wire_text_of(topic),
                                     .partition = partition,
                                     .number = (uint64_t)sent_count,
                                     .record = {.timestamp_ms = 1000 + sent_count,
                                                .key = {.byte_count = -1},
                                                .value = {(const uint8_t *)value, byte_count}}};
    cr_assert_eq(producer_core_send(&subject, &record), STATUS_OK);
    sent_count += 1;
}

static bool is_all_reported(void *context)
{
    (void)context;
    return reported_count == sent_count;
}

/* Every record that was reported as delivered is at its offset, none is there twice, and those of
 * one partition stand in the order of their sends. */
static int compare_with_log(void)
{
    static int seen[RECORDS_MAX];
    memset(seen, 0, sizeof seen);
    int found = 0;
    struct decompressor decompressor;
    struct decompressor_output output;
    decompressor_init(&decompressor, NULL);
    decompressor_output_init(&output, NULL, 1 << 20);
    for (int p = 0; p < SCRIPTED_LOG_PARTITIONS; p++) {
        int last = -1;
        struct batch_iterator batches;
        batch_iterator_init(&batches, cluster.partitions[p].bytes,
                            cluster.partitions[p].byte_count);
        struct batch_view view;
        while (batch_iterator_next(&batches, &view) == STATUS_OK) {
            cr_assert(batch_has_right_checksum(&view));
            struct record_iterator records;
            cr_assert_eq(record_iterator_init(&records, &view, &decompressor, &output), STATUS_OK);
            struct record record;
            while (record_iterator_next(&records, &record) == STATUS_OK) {
                int number =
                    (int)strtol((const char *)record.value.bytes + strlen("record "), NULL, 10);
                seen[number] += 1;
                found += 1;
                cr_expect_gt(number, last, "order in partition %d", p);
                last = number;
                if (reports[number].status == STATUS_OK) {
                    cr_expect_eq(reports[number].partition, p);
                    cr_expect(reports[number].offset == record.offset ||
                              reports[number].offset == -1);
                    cr_expect_eq(record.timestamp_ms, 1000 + number);
                    cr_expect_eq(reports[number].timestamp_ms, 1000 + number);
                }
            }
        }
    }
    for (int i = 0; i < sent_count; i++) {
        cr_expect_leq(seen[i], 1, "record %d is there %d times", i, seen[i]);
        if (report_counts[i] > 0 && reports[i].status == STATUS_OK) {
            cr_expect_eq(seen[i], 1, "record %d was lost", i);
        }
    }
    decompressor_output_done(&output);
    decompressor_done(&decompressor);
    return found;
}

static void expect_all_delivered(void)
{
    cr_assert(rig_run_until(is_all_reported, NULL, 120 * SIM_S), "%d of %d", reported_count,
              sent_count);
    for (int i = 0; i < sent_count; i++) {
        cr_expect_eq(reports[i].status, STATUS_OK, "record %d: %s, %d", i,
                     status_text(reports[i].status), reports[i].error_code);
    }
    cr_expect_eq(compare_with_log(), sent_count);
}

Test(producer_core, records_are_delivered_to_their_partitions_with_their_offsets)
{
    begin();
    for (int i = 0; i < 400; i++) {
        send_to(SCRIPTED_LOG_TOPIC, i % SCRIPTED_LOG_PARTITIONS);
    }

    expect_all_delivered();

    for (int i = 0; i < sent_count; i++) {
        cr_expect_eq(reports[i].partition, i % SCRIPTED_LOG_PARTITIONS);
        cr_expect_eq(reports[i].offset, i / SCRIPTED_LOG_PARTITIONS);
    }
    cr_expect_lt(cluster.partitions[0].batch_count, 20);
    cr_expect_eq(cluster.request_counts[API_KEY_INIT_PRODUCER_ID], 1);
}

Test(producer_core, records_without_key_spread_over_all_partitions)
{
    begin();
    for (int i = 0; i < 100; i++) {
        send_to(SCRIPTED_LOG_TOPIC, -1);
        rig_run_for(20 * SIM_MS);
    }

    expect_all_delivered();
    for (int p = 0; p < SCRIPTED_LOG_PARTITIONS; p++) {
        cr_expect_gt(cluster.partitions[p].end, 5);
    }
}

Test(producer_core, lingering_gathers_a_batch_and_hurry_ends_it)
{
    options.linger_ms = 500;
    begin();
    send_to(SCRIPTED_LOG_TOPIC, 0);
    rig_run_for(SIM_S);
    cr_expect_eq(reported_count, 1);
    send_to(SCRIPTED_LOG_TOPIC, 0);
    rig_run_for(200 * SIM_MS);
    send_to(SCRIPTED_LOG_TOPIC, 0);
    rig_run_for(200 * SIM_MS);
    cr_expect_eq(reported_count, 1);
    rig_run_for(200 * SIM_MS);
    cr_expect_eq(reported_count, 3);
    cr_expect_eq(cluster.partitions[0].batch_count, 2);

    send_to(SCRIPTED_LOG_TOPIC, 0);
    producer_core_hurry(&subject);
    rig_run_for(100 * SIM_MS);

    cr_expect_eq(reported_count, 4);
}

static enum scripted_fault spoil_at_random(struct scripted_log *self, uint32_t broker,
                                           int16_t api_key)
{
    (void)self;
    (void)broker;
    (void)api_key;
    static const enum scripted_fault faults[] = {SCRIPTED_BREAK_BEFORE, SCRIPTED_BREAK_AFTER,
                                                 SCRIPTED_SILENT_AFTER, SCRIPTED_GARBAGE};
    if (spoil_left == 0 || prng_below(&chances, 3) != 0) {
        return SCRIPTED_WELL;
    }
    spoil_left -= 1;
    return faults[prng_below(&chances, 4)];
}

static int16_t refuse_at_random(struct scripted_log *self, int16_t api_key, int32_t partition)
{
    (void)self;
    (void)partition;
    static const int16_t codes[] = {ERROR_CODE_NOT_LEADER_OR_FOLLOWER,
                                    ERROR_CODE_NOT_ENOUGH_REPLICAS, ERROR_CODE_KAFKA_STORAGE_ERROR,
                                    ERROR_CODE_REQUEST_TIMED_OUT,
                                    ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION};
    if (api_key != API_KEY_PRODUCE || prng_below(&chances, 4) != 0) {
        return ERROR_CODE_NONE;
    }
    return codes[prng_below(&chances, 5)];
}

Test(producer_core, lost_answers_and_broken_links_lose_nothing_and_double_nothing)
{
    cluster.spoil = spoil_at_random;
    spoil_left = 30;
    begin();
    for (int i = 0; i < 2000; i++) {
        send_to(SCRIPTED_LOG_TOPIC, i % SCRIPTED_LOG_PARTITIONS);
        if (i % 50 == 49) {
            rig_run_for(5 * SIM_MS);
        }
    }

    expect_all_delivered();
}

Test(producer_core, refusals_of_one_batch_among_several_in_flight_keep_the_order)
{
    cluster.refuse = refuse_at_random;
    begin();
    for (int i = 0; i < 2000; i++) {
        send_to(SCRIPTED_LOG_TOPIC, i % SCRIPTED_LOG_PARTITIONS);
        if (i % 50 == 49) {
            rig_run_for(2 * SIM_MS);
        }
    }

    expect_all_delivered();
}

Test(producer_core, a_leader_that_dies_is_replaced_within_a_second)
{
    begin();
    for (int i = 0; i < 200; i++) {
        send_to(SCRIPTED_LOG_TOPIC, i % SCRIPTED_LOG_PARTITIONS);
    }
    expect_all_delivered();

    scripted_log_kill(&cluster, 0);
    for (int i = 0; i < 200; i++) {
        send_to(SCRIPTED_LOG_TOPIC, i % SCRIPTED_LOG_PARTITIONS);
    }
    cr_assert(rig_run_until(is_all_reported, NULL, SIM_S));
    scripted_log_revive(&cluster, 0);
    scripted_log_kill(&cluster, 1);
    for (int i = 0; i < 200; i++) {
        send_to(SCRIPTED_LOG_TOPIC, i % SCRIPTED_LOG_PARTITIONS);
    }
    cr_assert(rig_run_until(is_all_reported, NULL, SIM_S));

    expect_all_delivered();
}

static enum scripted_fault be_silent_on_0(struct scripted_log *self, uint32_t broker,
                                          int16_t api_key)
{
    (void)self;
    return broker == 0 && api_key == API_KEY_PRODUCE ? SCRIPTED_SILENT_AFTER : SCRIPTED_WELL;
}

Test(producer_core, a_silent_node_is_given_up_when_others_lead_what_it_led)
{
    options.request_timeout_ms = 60000;
    cluster.spoil = be_silent_on_0;
    begin();
    send_to(SCRIPTED_LOG_TOPIC, 0);
    rig_run_for(SIM_S / 2);
    cr_expect_eq(reported_count, 0);
    cluster.partitions[0].leader = 1;
    cluster.partitions[0].leader_epoch = 1;

    cr_assert(rig_run_until(is_all_reported, NULL, 3 * SIM_S));

    expect_all_delivered();
}

Test(producer_core, younger_batches_overtake_those_unanswered_at_a_former_leader)
{
    options.request_timeout_ms = 60000;
    options.batch_bytes_max = 100; /* A batch of each record. */
    cluster.spoil = be_silent_on_0;
    begin();
    for (int i = 0; i < 3; i++) {
        send_to(SCRIPTED_LOG_TOPIC, 0);
    }
    rig_run_for(SIM_S / 2);
    cr_assert_eq(cluster.partitions[0].batch_count, 3); /* Written, and nobody says so. */
    cr_assert_eq(reported_count, 0);
    cluster.partitions[0].leader = 1;
    cluster.partitions[0].leader_epoch = 1;

    cluster_refresh(&subject.cluster);
    rig_run_for(SIM_S / 5);

    /* More than the five that a leader remembers. */
    for (int i = 0; i < 20; i++) {
        send_to(SCRIPTED_LOG_TOPIC, 0);
    }

    expect_all_delivered();
}

static int16_t refuse_record_30(struct scripted_log *self, int16_t api_key, int32_t partition)
{
    (void)partition;
    bool is_it = api_key == API_KEY_PRODUCE && self->partitions[0].end >= 30 && spoil_left > 0;
    spoil_left -= is_it;
    return is_it ? ERROR_CODE_INVALID_RECORD : ERROR_CODE_NONE;
}

Test(producer_core, a_batch_refused_for_good_does_not_stop_those_behind_it)
{
    cluster.refuse = refuse_record_30;
    spoil_left = 1;
    options.batch_bytes_max = 500;
    begin();
    for (int i = 0; i < 300; i++) {
        send_to(SCRIPTED_LOG_TOPIC, 0);
    }

    cr_assert(rig_run_until(is_all_reported, NULL, 60 * SIM_S));

    int failed_count = 0;
    for (int i = 0; i < sent_count; i++) {
        failed_count += reports[i].status != STATUS_OK;
        cr_expect(reports[i].status == STATUS_OK ||
                  reports[i].error_code == ERROR_CODE_INVALID_RECORD);
    }
    cr_expect_gt(failed_count, 0);
    cr_expect_lt(failed_count, 50);
    cr_expect_eq(compare_with_log(), sent_count - failed_count);
}

Test(producer_core, a_broker_that_forgot_the_producer_does_not_stop_it)
{
    begin();
    send_to(SCRIPTED_LOG_TOPIC, 0);
    send_to(SCRIPTED_LOG_TOPIC, 1);
    expect_all_delivered();
    cluster.partitions[0].producer_count = 0;
    struct scripted_producer *known = &cluster.partitions[0].producers[0];
    memset(known, 0, sizeof *known);

    for (int i = 0; i < 100; i++) {
        send_to(SCRIPTED_LOG_TOPIC, 0);
    }

    expect_all_delivered();
}

Test(producer_core, records_whose_time_is_over_are_reported_and_later_ones_go_on)
{
    options.delivery_timeout_ms = 2000;
    begin();
    send_to(SCRIPTED_LOG_TOPIC, 0);
    expect_all_delivered();
    int32_t leader = cluster.partitions[0].leader;
    cluster.partitions[0].leader = -1;
    cluster.partitions[0].leader_epoch += 1;

    send_to(SCRIPTED_LOG_TOPIC, 0);
    send_to(SCRIPTED_LOG_TOPIC, 1);
    rig_run_for(3 * SIM_S);
    cr_expect_eq(reported_count, 3);
    /* Who says that he does not lead may have written it before he lost the lead. */
    cr_expect_eq(reports[1].status, STATUS_UNKNOWN);
    cr_expect_eq(reports[2].status, STATUS_OK);
    cluster.partitions[0].leader = leader;
    cluster.partitions[0].leader_epoch += 1;
    send_to(SCRIPTED_LOG_TOPIC, 0);
    cr_assert(rig_run_until(is_all_reported, NULL, 2 * SIM_S));

    cr_expect_eq(reports[3].status, STATUS_OK);
    cr_expect_eq(compare_with_log(), 3);
}

Test(producer_core, a_topic_that_does_not_exist_is_told_after_the_delivery_timeout)
{
    options.delivery_timeout_ms = 2000;
    begin();
    send_to("absent", -1);

    rig_run_for(SIM_S);
    cr_expect_eq(reported_count, 0);
    rig_run_for(2 * SIM_S);

    cr_expect_eq(reports[0].status, STATUS_NOT_FOUND);
    cr_expect_eq(reports[0].error_code, ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
}

Test(producer_core, a_topic_that_appears_takes_what_waited_for_it)
{
    cluster.has_topic = false;
    begin();
    for (int i = 0; i < 50; i++) {
        send_to(SCRIPTED_LOG_TOPIC, i % 2);
    }
    rig_run_for(2 * SIM_S);
    cr_expect_eq(reported_count, 0);

    cluster.has_topic = true;

    expect_all_delivered();
}

Test(producer_core, the_buffer_is_bounded_and_empties)
{
    options.buffer_bytes_max = 5000;
    begin();
    struct producer_record record = {
        .topic = wire_text_of(SCRIPTED_LOG_TOPIC),
        .record = {.key = {.byte_count = -1}, .value = {.byte_count = -1}}};
    cr_assert_lt(producer_core_record_bytes(&record), 200);
    for (int i = 0; i < 20; i++) {
        send_to(SCRIPTED_LOG_TOPIC, 0);
    }
    uint8_t bytes[4000] = {0};
    record.record.value = (struct wire_bytes){bytes, sizeof bytes};

    cr_expect_eq(producer_core_send(&subject, &record), STATUS_FULL);
    expect_all_delivered();
    cr_expect_eq(subject.buffered_bytes, 0);
}

Test(producer_core, a_record_that_is_too_large_or_of_no_topic_is_refused_at_once)
{
    begin();
    static uint8_t bytes[100001];
    struct producer_record record = {
        .topic = wire_text_of(SCRIPTED_LOG_TOPIC),
        .record = {.key = {.byte_count = -1}, .value = {bytes, sizeof bytes}}};

    cr_expect_eq(producer_core_send(&subject, &record), STATUS_INVALID);
    record.record.value.byte_count = 5;
    record.topic = wire_text_of("");
    cr_expect_eq(producer_core_send(&subject, &record), STATUS_INVALID);
}

Test(producer_core, closing_reports_what_is_left)
{
    cluster.spoil = be_silent_on_0;
    begin();
    send_to(SCRIPTED_LOG_TOPIC, 0);
    rig_run_for(SIM_S / 2);
    send_to("absent", 0);

    producer_core_close(&subject);
    rig_run_for(SIM_S);

    cr_expect(has_closed);
    cr_expect_eq(reports[0].status, STATUS_UNKNOWN);
    cr_expect_eq(reports[1].status, STATUS_CANCELED);
    begin();
    has_closed = false;
}

static int16_t refuse_identity(struct scripted_log *self, int16_t api_key, int32_t partition)
{
    (void)self;
    (void)partition;
    return api_key == API_KEY_INIT_PRODUCER_ID ? ERROR_CODE_CLUSTER_AUTHORIZATION_FAILED
                                               : ERROR_CODE_NONE;
}

Test(producer_core, without_an_identity_everything_fails_with_the_reason)
{
    cluster.refuse = refuse_identity;
    begin();
    send_to(SCRIPTED_LOG_TOPIC, 0);

    rig_run_for(SIM_S);

    cr_expect_eq(reports[0].status, STATUS_INVALID);
    cr_expect_eq(reports[0].error_code, ERROR_CODE_CLUSTER_AUTHORIZATION_FAILED);
}

Test(producer_core, records_that_wait_for_their_topic_are_hurried_as_well)
{
    options.linger_ms = 5000;
    begin();
    send_to(SCRIPTED_LOG_TOPIC, 0);
    producer_core_hurry(&subject);
    rig_run_for(SIM_S);

    cr_expect_eq(reported_count, 1);
}
