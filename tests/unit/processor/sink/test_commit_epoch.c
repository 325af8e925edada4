/* Goal: of each epoch a committed reader sees output, changes and progress together, once, whatever
 * breaks on the way, if only the owner starts anew from the last progress that is committed.
 * Method: a scripted coordinator and logs in a simulated world; the test is such an owner. */
#include "processor/sink/commit_epoch.h"
#include "proto/record/batch_iterator.h"
#include "tests/rig/scripted_txn.h"
#include "tests/unit/client/client_rig.h"

#include <stdlib.h>
#include <string.h>

#define EPOCHS_MAX 400
#define OUTPUT_PARTITIONS 2
#define CHANGES_PARTITION 2
#define PROGRESS_PARTITION 3

static struct scripted_txn cluster;
static struct commit_epoch subject;
static struct commit_epoch_options options;
static int epoch;      /* The one under way. */
static int epoch_goal; /* Stops behind it. */
static uint32_t attempt_count;
static uint32_t fenced_count;
static bool is_open;
static bool is_idle;
static bool wants_offset;
static bool wants_claims;
static struct commit_epoch_claim claims[2];
static int claim_count; /* Told. */
static int64_t told_offset;
static char story[4000]; /* What on_part and others said, a letter each. */
static struct prng chances;
static int spoil_left;
static struct timer again;

static void tell(char letter)
{
    size_t length = strlen(story);
    if (length + 1 < sizeof story) {
        story[length] = letter;
        story[length + 1] = '\0';
    }
}

static enum status send_to(enum commit_epoch_part part, int32_t partition)
{
    char value[16];
    int byte_count = snprintf(value, sizeof value, "%d", epoch);
    struct producer_record record = {.topic = wire_text_of(SCRIPTED_LOG_TOPIC),
                                     .partition = partition,
                                     .record = {.timestamp_ms = epoch,
                                                .key = {.byte_count = -1},
                                                .value = {(const uint8_t *)value, byte_count}}};
    return commit_epoch_send(&subject, part, &record);
}

static void run_epoch(void)
{
    if (epoch == epoch_goal) {
        is_idle = true;
        return;
    }
    epoch += 1;
    enum status status = STATUS_OK;
    for (int32_t p = 0; p < OUTPUT_PARTITIONS && status == STATUS_OK; p++) {
        status = send_to(COMMIT_EPOCH_OUTPUT, p);
    }
    if (wants_offset) {
        commit_epoch_note_next_change(&subject, CHANGES_PARTITION);
    }
    if (status == STATUS_OK) {
        status = send_to(COMMIT_EPOCH_CHANGES, CHANGES_PARTITION);
    }
    if (status == STATUS_OK) {
        commit_epoch_end(&subject);
    } else {
        cr_expect(status == STATUS_CANCELED || status == STATUS_FENCED, "%s", status_text(status));
    }
}

static void open_subject(void);

static void close_subject(void)
{
    if (is_open) {
        is_open = false;
        commit_epoch_close(&subject);
    }
}

static bool is_visible(int32_t partition, int64_t offset)
{
    for (uint32_t i = 0; i < cluster.span_count; i++) {
        const struct scripted_span *span = &cluster.spans[i];
        if (span->partition == partition && offset >= span->first && offset < span->next) {
            return span->is_commit;
        }
    }
    return false;
}

/* The committed epochs of a partition, which must follow each other; the last one. */
static int committed_epoch(int32_t partition)
{
    struct decompressor decompressor;
    struct decompressor_output output;
    decompressor_init(&decompressor, NULL);
    decompressor_output_init(&output, NULL, 1 << 20);
    int last = 0;
    struct batch_iterator batches;
    batch_iterator_init(&batches, cluster.log.partitions[partition].bytes,
                        cluster.log.partitions[partition].byte_count);
    struct batch_view view;
    while (batch_iterator_next(&batches, &view) == STATUS_OK) {
        struct record_iterator records;
        cr_assert_eq(record_iterator_init(&records, &view, &decompressor, &output), STATUS_OK);
        struct record record;
        while (record_iterator_next(&records, &record) == STATUS_OK) {
            if (is_visible(partition, record.offset)) {
                char text[16] = "";
                memcpy(text, record.value.bytes, (size_t)record.value.byte_count);
                int number = (int)strtol(text, NULL, 10);
                cr_expect_eq(number, last + 1, "partition %d: %d follows %d", partition, number,
                             last);
                last = number;
            }
        }
    }
    decompressor_output_done(&output);
    decompressor_done(&decompressor);
    return last;
}

static void on_started(void *context, const struct commit_epoch_outcome *outcome)
{
    (void)context;
    if (outcome->status != STATUS_OK) {
        fenced_count += outcome->status == STATUS_FENCED;
        close_subject();
        return;
    }
    if (wants_claims) {
        claims[0] = (struct commit_epoch_claim){SCRIPTED_LOG_TOPIC, PROGRESS_PARTITION, -1};
        claims[1] = (struct commit_epoch_claim){SCRIPTED_LOG_TOPIC, CHANGES_PARTITION, -1};
        commit_epoch_claim(&subject, claims, 2);
        return;
    }
    epoch = committed_epoch(PROGRESS_PARTITION);
    run_epoch();
}

static void on_claimed(void *context)
{
    (void)context;
    claim_count += 1;
    epoch = committed_epoch(PROGRESS_PARTITION);
    for (int i = 0; i < 2; i++) {
        int32_t partition = claims[i].partition;
        cr_expect_geq(claims[i].offset, epoch, "one record of each epoch lies before it");
        cr_expect_lt(claims[i].offset, cluster.log.partitions[partition].end);
        cr_expect(!is_visible(partition, claims[i].offset), "it is aborted");
        for (int64_t o = claims[i].offset; o < cluster.log.partitions[partition].end; o++) {
            cr_expect(!is_visible(partition, o), "nothing committed lies behind it");
        }
    }
    run_epoch();
}

static enum status on_progress_due(void *context)
{
    (void)context;
    told_offset = commit_epoch_noted_offset(&subject);
    return send_to(COMMIT_EPOCH_PROGRESS, PROGRESS_PARTITION);
}

static void on_committed(void *context, const struct commit_epoch_outcome *outcome)
{
    (void)context;
    cr_expect_eq(outcome->status, STATUS_OK);
    tell('c');
    run_epoch();
}

static void on_failed(void *context, const struct commit_epoch_outcome *outcome)
{
    (void)context;
    cr_expect_neq(outcome->status, STATUS_OK);
    fenced_count += outcome->status == STATUS_FENCED;
    close_subject();
}

static void on_part(void *context, enum commit_epoch_part part)
{
    (void)context;
    tell((char)('0' + (int)part));
    int32_t partition = part == COMMIT_EPOCH_OUTPUT    ? 0
                        : part == COMMIT_EPOCH_CHANGES ? CHANGES_PARTITION
                                                       : PROGRESS_PARTITION;
    int64_t later = cluster.log.partitions[PROGRESS_PARTITION].end;
    cr_expect_gt(cluster.log.partitions[partition].end, 0, "it is in the log");
    cr_expect(part != COMMIT_EPOCH_OUTPUT || later < 2 * epoch, "what follows is not");
}

static void on_end_sent(void *context)
{
    (void)context;
    tell('e');
}

static void on_closed(void *context)
{
    (void)context;
    if (epoch_goal > 0) {
        timer_start_after(&again, 100 * CLOCK_NS_PER_MS);
    }
}

static void open_subject(void)
{
    struct address bootstrap = rig_address(SCRIPTED_LOG_PORT);
    options.bootstrap = &bootstrap;
    options.bootstrap_count = 1;
    is_open = true;
    is_idle = false;
    attempt_count += 1;
    commit_epoch_init(&subject, &options);
    commit_epoch_start(&subject);
}

static void again_on_fire(struct timer *timer)
{
    (void)timer;
    open_subject();
}

static void begin(int16_t level)
{
    rig_begin(5);
    scripted_txn_start(&cluster, rig_loop, level);
    prng_init(&chances, 9);
    timer_init(&again, &rig_loop->timers, again_on_fire);
    options = (struct commit_epoch_options){.loop = rig_loop,
                                            .client_id = "test",
                                            .transactional_id = SCRIPTED_TXN_ID,
                                            .transaction_timeout_ms = 10000,
                                            .request_timeout_ms = 2000,
                                            .buffer_bytes_max = 1 << 20,
                                            .on_started = on_started,
                                            .on_claimed = on_claimed,
                                            .on_progress_due = on_progress_due,
                                            .on_committed = on_committed,
                                            .on_failed = on_failed,
                                            .on_closed = on_closed};
}

static void end(void)
{
    epoch_goal = 0;
    timer_done(&again);
    cluster.log.spoil = NULL;
    close_subject();
    rig_run_for(5 * SIM_S);
    scripted_txn_stop(&cluster);
    rig_run_for(SIM_S);
    rig_end();
}

static bool is_at_goal(void *context)
{
    (void)context;
    return is_idle;
}

static void run_to(int goal)
{
    epoch_goal = goal;
    open_subject();
    cr_assert(rig_run_until(is_at_goal, NULL, 3600 * SIM_S), "epoch %d", epoch);
    for (int32_t p = 0; p < SCRIPTED_LOG_PARTITIONS; p++) {
        cr_expect_eq(committed_epoch(p), goal, "partition %d", p);
    }
}

Test(commit_epoch, epochs_follow_each_other)
{
    begin(2);
    run_to(50);
    cr_expect_eq(attempt_count, 1);
    cr_expect_eq(cluster.end_count[1], 50);
    end();
}

Test(commit_epoch, a_claim_lies_behind_all_that_was_committed_and_nobody_sees_it)
{
    begin(2);
    run_to(3);
    wants_claims = true;
    epoch_goal = 0;
    close_subject();
    rig_run_for(SIM_S);
    run_to(5);
    cr_expect_eq(claim_count, 1);
    cr_expect_eq(cluster.end_count[0], 1);
    end();
}

Test(commit_epoch, parts_leave_one_after_the_other_for_a_listener)
{
    begin(2);
    options.on_part = on_part;
    options.on_end_sent = on_end_sent;
    run_to(3);
    cr_expect_str_eq(story, "012ec012ec012ec");
    end();
}

Test(commit_epoch, offset_of_a_change_is_known_when_the_progress_is_due)
{
    begin(2);
    wants_offset = true;
    run_to(2);
    cr_expect_eq(told_offset, 1, "one record came before");
    end();
}

static enum scripted_fault break_often(struct scripted_log *log, uint32_t broker, int16_t api_key)
{
    (void)log;
    (void)broker;
    (void)api_key;
    if (spoil_left == 0 || prng_below(&chances, 12) > 0) {
        return SCRIPTED_WELL;
    }
    spoil_left -= 1;
    return (enum scripted_fault)(1 + prng_below(&chances, 3));
}

static void expire_on_fire(struct timer *timer)
{
    if (cluster.is_open) {
        scripted_txn_expire(&cluster);
    }
    timer_start_after(timer, (int64_t)(1 + prng_below(&chances, 3000)) * CLOCK_NS_PER_MS);
}

static void run_spoilt(int16_t level)
{
    begin(level);
    wants_claims = true;
    spoil_left = 300;
    cluster.log.spoil = break_often;
    struct timer expire;
    timer_init(&expire, &rig_loop->timers, expire_on_fire);
    timer_start_after(&expire, SIM_S);
    run_to(EPOCHS_MAX);
    timer_done(&expire);
    cr_expect_gt(attempt_count, 3, "%u attempts", attempt_count);
    cr_expect_lt(spoil_left, 260, "%d", spoil_left);
    cr_expect_gt(claim_count, 3, "%d claims", claim_count);
    end();
}

Test(commit_epoch, nothing_is_lost_or_doubled_when_everything_breaks)
{
    run_spoilt(2);
}

Test(commit_epoch, nothing_is_lost_or_doubled_on_an_old_cluster)
{
    run_spoilt(0);
}

Test(commit_epoch, close_aborts_what_is_open)
{
    begin(2);
    run_to(1);
    epoch = 1;
    cr_assert_eq(send_to(COMMIT_EPOCH_OUTPUT, 0), STATUS_OK);
    rig_run_for(SIM_S);
    epoch_goal = 0;
    close_subject();
    rig_run_for(SIM_S);
    cr_expect_eq(cluster.end_count[0], 1);
    cr_expect_eq(committed_epoch(0), 1);
    end();
}
