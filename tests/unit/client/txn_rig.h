/* What tests of txn_core share: its cluster is scripted, with one transactional id; who has sent
 * what and how its transaction ended is noted, and compared with what the log shows. */
#pragma once

#include "client/txn_core.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/record/batch_iterator.h"
#include "tests/rig/scripted_txn.h"
#include "tests/unit/client/client_rig.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX 20000
#define NEVER INT64_MAX

/* Of transaction.version: the old protocol, and KIP-890. */
static const int16_t levels[] = {0, 2};

enum fate { FATE_OPEN, FATE_COMMITTED, FATE_ABORTED };

static struct scripted_txn cluster;
static struct txn_core subject;
static struct txn_core other;
static struct txn_core_options options;
static uint32_t closed_count;
static int sent_count;
static int reported_count;
static enum status report_statuses[RECORDS_MAX];
static int first_of_txn;
static enum fate fates[RECORDS_MAX];
static struct txn_core_outcome outcome;
static int outcome_count;
static struct prng chances;

static inline void on_delivery(void *context, const struct producer_delivery *delivery)
{
    (void)context;
    report_statuses[delivery->number] = delivery->status;
    reported_count += 1;
}

static inline void on_closed(void *context)
{
    (void)context;
    closed_count += 1;
}

static inline void on_done(void *context, const struct txn_core_outcome *told)
{
    (void)context;
    outcome = *told;
    outcome_count += 1;
}

static inline bool is_done(void *context)
{
    return outcome_count > *(int *)context;
}

/* The outcome of an operation that was accepted. */
static inline struct txn_core_outcome await(enum status status)
{
    cr_assert_eq(status, STATUS_OK, "%s", status_text(status));
    int before = outcome_count;
    cr_assert(rig_run_until(is_done, &before, 60 * SIM_S));
    cr_assert_eq(outcome_count, before + 1);
    return outcome;
}

/* For a test that plays several worlds. */
static inline void forget(void)
{
    sent_count = 0;
    reported_count = 0;
    closed_count = 0;
    memset(fates, 0, sizeof fates);
    other.magic = 0;
}

static inline void begin_with(int16_t level)
{
    rig_begin(77);
    scripted_txn_start(&cluster, rig_loop, level);
    prng_init(&chances, 6);
    options.producer = (struct producer_core_options){.loop = rig_loop,
                                                      .client_id = "test",
                                                      .codec = COMPRESSION_LZ4,
                                                      .batch_bytes_max = 2000,
                                                      .record_bytes_max = 100000,
                                                      .buffer_bytes_max = 10 << 20,
                                                      .request_timeout_ms = 3000,
                                                      .delivery_timeout_ms = 60000,
                                                      .transactional_id = SCRIPTED_TXN_ID,
                                                      .transaction_timeout_ms = 30000,
                                                      .on_delivery = on_delivery,
                                                      .on_closed = on_closed};
}

static inline void init(struct txn_core *core)
{
    struct address bootstrap = rig_address(SCRIPTED_LOG_PORT);
    options.producer.bootstrap = &bootstrap;
    options.producer.bootstrap_count = 1;
    txn_core_init(core, &options);
}

static inline void start(struct txn_core *core)
{
    init(core);
    struct txn_core_outcome got = await(txn_core_start(core, NEVER, on_done, NULL));
    cr_assert_eq(got.status, STATUS_OK, "%s %d", status_text(got.status), got.error_code);
}

static inline void end(void)
{
    cluster.log.spoil = NULL;
    cluster.log.refuse = NULL;
    txn_core_close(&subject);
    if (other.magic != 0) {
        txn_core_close(&other);
    }
    rig_run_for(5 * SIM_S);
    cr_expect_geq(closed_count, 1);
    cr_expect_eq(reported_count, sent_count, "%d of %d", reported_count, sent_count);
    scripted_txn_stop(&cluster);
    rig_run_for(SIM_S);
    rig_end();
}

static inline enum status try_send(struct txn_core *core, int32_t partition)
{
    char value[64];
    int byte_count = snprintf(value, sizeof value, "record %d with some words in it", sent_count);
    struct producer_record record = {.topic = wire_text_of(SCRIPTED_LOG_TOPIC),
                                     .partition = partition,
                                     .number = (uint64_t)sent_count,
                                     .record = {.timestamp_ms = 1000 + sent_count,
                                                .key = {.byte_count = -1},
                                                .value = {(const uint8_t *)value, byte_count}}};
    enum status status = txn_core_send(core, &record);
    if (status == STATUS_OK) {
        cr_assert_lt(sent_count, RECORDS_MAX - 1);
        sent_count += 1;
    }
    return status;
}

static inline void send_to(struct txn_core *core, int32_t partition)
{
    cr_assert_eq(try_send(core, partition), STATUS_OK);
}

static inline void begin(struct txn_core *core)
{
    cr_assert_eq(txn_core_begin(core), STATUS_OK);
    first_of_txn = sent_count;
}

static inline void settle(enum fate fate)
{
    for (int i = first_of_txn; i < sent_count; i++) {
        fates[i] = fate;
    }
}

static inline struct txn_core_outcome commit(struct txn_core *core)
{
    struct txn_core_outcome got = await(txn_core_commit(core, NEVER, on_done, NULL));
    if (got.status == STATUS_OK) {
        settle(FATE_COMMITTED);
    }
    return got;
}

static inline struct txn_core_outcome roll_back(struct txn_core *core)
{
    struct txn_core_outcome got = await(txn_core_abort(core, NEVER, on_done, NULL));
    if (got.status == STATUS_OK) {
        settle(FATE_ABORTED);
    }
    return got;
}

static inline bool is_visible(int32_t partition, int64_t offset)
{
    for (uint32_t i = 0; i < cluster.span_count; i++) {
        const struct scripted_span *span = &cluster.spans[i];
        if (span->partition == partition && offset >= span->first && offset < span->next) {
            return span->is_commit;
        }
    }
    return false;
}

/* Every record of a committed transaction is visible once and in order, no other one is. */
static inline void compare_with_log(void)
{
    static int seen[RECORDS_MAX];
    memset(seen, 0, sizeof seen);
    struct decompressor decompressor;
    struct decompressor_output output;
    decompressor_init(&decompressor, NULL);
    decompressor_output_init(&output, NULL, 1 << 20);
    for (int p = 0; p < SCRIPTED_LOG_PARTITIONS; p++) {
        int last = -1;
        struct batch_iterator batches;
        batch_iterator_init(&batches, cluster.log.partitions[p].bytes,
                            cluster.log.partitions[p].byte_count);
        struct batch_view view;
        while (batch_iterator_next(&batches, &view) == STATUS_OK) {
            struct record_iterator records;
            cr_assert_eq(record_iterator_init(&records, &view, &decompressor, &output), STATUS_OK);
            struct record record;
            while (record_iterator_next(&records, &record) == STATUS_OK) {
                int number =
                    (int)strtol((const char *)record.value.bytes + strlen("record "), NULL, 10);
                if (is_visible(p, record.offset)) {
                    seen[number] += 1;
                    cr_expect_gt(number, last, "order in partition %d", p);
                    last = number;
                }
            }
        }
    }
    for (int i = 0; i < sent_count; i++) {
        cr_expect_eq(seen[i], fates[i] == FATE_COMMITTED,
                     "record %d of fate %d is visible %d times", i, fates[i], seen[i]);
    }
    decompressor_output_done(&output);
    decompressor_done(&decompressor);
}

/* Of partitions 0 and 1 for the group. */
static inline struct txn_core_outcome send_offset(int64_t offset)
{
    struct txn_core_group group = {.group = wire_text_of(SCRIPTED_TXN_GROUP), .generation = -1};
    struct txn_core_offset offsets[2] = {
        {.topic = wire_text_of(SCRIPTED_LOG_TOPIC), .offset = offset, .leader_epoch = -1},
        {.topic = wire_text_of(SCRIPTED_LOG_TOPIC),
         .partition = 1,
         .offset = offset,
         .leader_epoch = -1}};
    return await(txn_core_send_offsets(&subject, &group, offsets, 2,
                                       loop_now_ns(rig_loop) + 20 * SIM_S, on_done, NULL));
}
