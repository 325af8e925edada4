/* Goal: partial results of a group make one group whatever their order, what is late is told alone,
 * and each closed or touched group leaves as promised, into rows and into the changelog.
 * Method: route records written by the writer of the stage before, in windows of 10; what comes out
 * is kept in arrays. Two partitions of the source, four of the route, of which the task has 0
 * and 2.
 */
#include "processor/operator/emission.h"
#include "processor/operator/merging_aggregation.h"
#include "processor/state/changelog.h"
#include "processor/state/group_key.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define BIGINT MILLRACE__PLAN__TYPE__TYPE_BIGINT
#define DOUBLE MILLRACE__PLAN__TYPE__TYPE_DOUBLE
#define ACTIVE MILLRACE__PROCESSOR__MARK_STATE__MARK_ACTIVE
#define ROUTES 4U
#define ROWS_MAX 10000
#define CHANGES_MAX 64

enum { COUNT, SUM, MAX_REAL, CALLS };

struct out_row {
    int64_t window_start;
    int32_t key;
    int64_t count;
    uint64_t sum_low;
    int64_t sum_high;
    double max;
    uint8_t flags;
};

struct out_change {
    uint32_t partition;
    struct grow_buffer key;
    struct grow_buffer value;
    bool is_removed;
};

static struct merging_aggregation subject;
static struct merging_aggregation_options options;
static struct route_record_writer writer;
static struct arena arena;
static Millrace__Plan__Aggregation plan;
static Millrace__Plan__AggregateCall calls[CALLS];
static Millrace__Plan__AggregateCall *call_list[CALLS];
static Millrace__Plan__TypedExpr number, real, time;
static Millrace__Plan__TypedExpr *keys[1] = {&number};
static struct grow_buffer record; /* Of the last flush: what the partition's record is. */
static struct out_row rows[ROWS_MAX];
static uint32_t row_count, batch_count, batch_rows_max;
static struct out_change changes[CHANGES_MAX];
static uint32_t change_count;
static struct late_row late[8];
static uint32_t late_count;
static enum status groups_status;

static int32_t number_of(const struct group *group)
{
    uint32_t turned = 0;
    cr_assert_eq(group->key_byte_count, 9);
    memcpy(&turned, group->key + 5, 4); /* Of eight bytes the last four. */
    return (int32_t)__builtin_bswap32(turned);
}

static enum status on_groups(void *context, struct group *const *groups, uint32_t group_count)
{
    (void)context;
    batch_count += 1;
    batch_rows_max = group_count > batch_rows_max ? group_count : batch_rows_max;
    for (uint32_t i = 0; i < group_count; i++) {
        const struct aggregate_state *states = groups[i]->states;
        cr_assert_lt(row_count, ROWS_MAX);
        rows[row_count++] = (struct out_row){.window_start = groups[i]->window_start,
                                             .key = number_of(groups[i]),
                                             .count = states[COUNT].count,
                                             .sum_low = states[SUM].value.sum.low,
                                             .sum_high = states[SUM].value.sum.high,
                                             .max = states[MAX_REAL].value.real,
                                             .flags = groups[i]->flags};
    }
    return groups_status;
}

static enum status on_change(void *context, uint32_t partition, struct wire_bytes key,
                             struct wire_bytes value)
{
    (void)context;
    if (change_count == CHANGES_MAX) {
        return STATUS_OK; /* Of tests that do not look. */
    }
    struct out_change *change = &changes[change_count++];
    change->partition = partition;
    change->is_removed = value.byte_count < 0;
    grow_buffer_put_raw(&change->key, key.bytes, (size_t)key.byte_count);
    if (!change->is_removed) {
        grow_buffer_put_raw(&change->value, value.bytes, (size_t)value.byte_count);
    }
    return STATUS_OK;
}

static enum status on_late(void *context, const struct late_row *row)
{
    (void)context;
    cr_assert_lt(late_count, 8);
    late[late_count++] = *row;
    return STATUS_OK;
}

static enum status on_record(void *context, uint32_t partition, struct wire_bytes value)
{
    (void)context;
    (void)partition;
    grow_buffer_clear(&record);
    grow_buffer_put_raw(&record, value.bytes, (size_t)value.byte_count);
    return STATUS_OK;
}

static void make_plan(void)
{
    millrace__plan__typed_expr__init(&number);
    millrace__plan__typed_expr__init(&real);
    millrace__plan__typed_expr__init(&time);
    number.type = BIGINT;
    real.type = DOUBLE;
    time.type = MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ;
    for (int i = 0; i < CALLS; i++) {
        millrace__plan__aggregate_call__init(&calls[i]);
        calls[i].type = i == MAX_REAL ? DOUBLE : BIGINT;
        call_list[i] = &calls[i];
    }
    calls[COUNT].function = MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_COUNT_STAR;
    calls[SUM].function = MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_SUM;
    calls[SUM].argument = &number;
    calls[MAX_REAL].function = MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_MAX;
    calls[MAX_REAL].argument = &real;
    millrace__plan__aggregation__init(&plan);
    plan.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_TUMBLE;
    plan.time = &time;
    plan.size_us = 10;
    plan.n_keys = 1;
    plan.keys = keys;
    plan.n_calls = CALLS;
    plan.calls = call_list;
}

static void open_subject(void)
{
    cr_assert_eq(merging_aggregation_init(&subject, &options), STATUS_OK);
    cr_assert_eq(route_record_writer_init(&writer, &subject.aggregation.codec, 1), STATUS_OK);
    writer.on_record = on_record;
}

static void close_subject(void)
{
    route_record_writer_done(&writer);
    merging_aggregation_done(&subject);
}

static void set_up(void)
{
    arena_init(&arena, 64 << 20);
    make_plan();
    options = (struct merging_aggregation_options){.operator_id = 5,
                                                   .plan = &plan,
                                                   .source_partition_count = 2,
                                                   .input_partition_count = ROUTES,
                                                   .task = 0,
                                                   .task_count = 2,
                                                   .state_bytes_max = 16 << 20,
                                                   .on_groups = on_groups,
                                                   .on_change = on_change,
                                                   .on_late = on_late};
    open_subject();
}

static void reopen(void)
{
    close_subject();
    row_count = 0;
    open_subject();
}

static void tear_down(void)
{
    close_subject();
    arena_done(&arena);
    grow_buffer_done(&record);
    for (int i = 0; i < CHANGES_MAX; i++) {
        grow_buffer_done(&changes[i].key);
        grow_buffer_done(&changes[i].value);
    }
}

TestSuite(merging_aggregation, .init = set_up, .fini = tear_down);

/* ---- what the stage before would send */

static struct group *make_group(int64_t window_start, int32_t key, int64_t value, double max)
{
    uint8_t *bytes = arena_take(&arena, 9);
    uint64_t turned = __builtin_bswap64((uint64_t)(int64_t)key ^ UINT64_C(1) << 63);
    bytes[0] = 1;
    memcpy(bytes + 1, &turned, 8);
    struct wire_bytes encoded = {.bytes = bytes, .byte_count = 9};
    struct group *group =
        group_table_make_loose(CALLS, window_start, group_key_hash(encoded), encoded, &arena);
    cr_assert_not_null(group);
    group->input_count = 1;
    group->created_max_ms = 1000 + value % 100;
    group->states[COUNT].count = 1;
    group->states[SUM] = (struct aggregate_state){
        .count = 1, .value.sum = {.low = (uint64_t)value, .high = value >> 63}};
    group->states[MAX_REAL] = (struct aggregate_state){.count = 1, .value.real = max};
    return group;
}

static uint32_t partition_of(const struct group *group)
{
    return group_key_partition(group->hash, ROUTES);
}

/* The nth number whose group lies in the partition. */
static int32_t key_in(uint32_t partition, uint32_t nth)
{
    for (int32_t key = 0;; key++) {
        if (partition_of(make_group(0, key, 0, 0)) == partition && nth-- == 0) {
            return key;
        }
    }
}

static struct wire_bytes record_of_group(const struct group *group)
{
    cr_assert_eq(route_record_put_group(&writer, group), STATUS_OK);
    cr_assert_eq(route_record_flush(&writer), STATUS_OK);
    return grow_buffer_bytes(&record);
}

static enum status push(const struct group *group)
{
    return merging_aggregation_push(&subject, partition_of(group), record_of_group(group));
}

static enum status push_row(const struct group *group, int64_t offset)
{
    struct late_row origin = {
        .key = {.byte_count = -1}, .value = {.byte_count = -1}, .partition = 1, .offset = offset};
    cr_assert_eq(route_record_put_row(&writer, group, &origin), STATUS_OK);
    cr_assert_eq(route_record_flush(&writer), STATUS_OK);
    return merging_aggregation_push(&subject, partition_of(group), grow_buffer_bytes(&record));
}

static enum status push_mark(uint32_t partition, int32_t source_partition, int64_t us)
{
    struct watermark_mark mark = {.state = ACTIVE, .us = us};
    cr_assert_eq(route_record_put_mark(&writer, source_partition, mark), STATUS_OK);
    cr_assert_eq(route_record_flush(&writer), STATUS_OK);
    return merging_aggregation_push(&subject, partition, grow_buffer_bytes(&record));
}

/* Both partitions of the source are so far, in both partitions of the task. */
static void advance(int64_t us)
{
    for (uint32_t partition = 0; partition < ROUTES; partition += 2) {
        cr_assert_eq(push_mark(partition, 0, us), STATUS_OK);
        cr_assert_eq(push_mark(partition, 1, us), STATUS_OK);
    }
}

static void end_epoch(void)
{
    row_count = 0;
    cr_assert_eq(merging_aggregation_end_epoch(&subject), STATUS_OK);
}

/* ---- merging */

Test(merging_aggregation, parts_of_a_group_meet_in_any_order)
{
    static const int64_t values[] = {INT64_MAX, INT64_MAX, INT64_MIN, -1, 7};
    const double maxima[] = {-0.0, 0.0, -1e300, (double)NAN, (double)INFINITY};
    static const int orders[][5] = {
        {0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 0, 4, 1, 3}, {3, 4, 0, 2, 1}};
    int32_t key = key_in(2, 0);
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        for (int k = 0; k < 5; k++) {
            int part = orders[i][k];
            cr_assert_eq(push(make_group(20, key, values[part], maxima[part])), STATUS_OK);
        }
        cr_expect_eq(subject.stats.input_rows, 5);
        advance(30);
        end_epoch();
        cr_assert_eq(row_count, 1);
        cr_expect_eq(rows[0].window_start, 20);
        cr_expect_eq(rows[0].key, key);
        cr_expect_eq(rows[0].count, 5);
        cr_expect_eq(rows[0].sum_low, (uint64_t)INT64_MAX + 5);
        cr_expect_eq(rows[0].sum_high, 0);
        cr_expect(isnan(rows[0].max));
        reopen();
    }
}

Test(merging_aggregation, windows_and_keys_stay_apart_and_leave_in_their_order)
{
    static const int64_t starts[] = {10, 0, 10, -10, 0};
    int32_t wanted[] = {key_in(0, 1), key_in(2, 0), key_in(0, 0), key_in(0, 0), key_in(0, 0)};
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(push(make_group(starts[i], wanted[i], i, 0)), STATUS_OK);
    }
    advance(20);
    end_epoch();

    cr_assert_eq(row_count, 5);
    for (uint32_t i = 1; i < row_count; i++) {
        bool is_after =
            rows[i].window_start > rows[i - 1].window_start ||
            (rows[i].window_start == rows[i - 1].window_start && rows[i].key > rows[i - 1].key);
        cr_expect(is_after, "row %u", i);
    }
    cr_expect_eq(rows[0].window_start, -10);
    cr_expect_eq(rows[0].sum_low, 3);
}

/* ---- lateness */

Test(merging_aggregation, late_row_is_told_alone_and_counts_nowhere_else)
{
    int32_t key = key_in(0, 0);
    cr_assert_eq(push_row(make_group(0, key, 1, 0), 77), STATUS_OK);
    advance(10); /* The end of the window: it is over. */
    cr_assert_eq(push_row(make_group(0, key, 2, 0), 78), STATUS_OK);
    cr_assert_eq(push_row(make_group(10, key, 3, 0), 79), STATUS_OK);

    cr_assert_eq(late_count, 1);
    cr_expect_eq(late[0].partition, 1);
    cr_expect_eq(late[0].offset, 78);
    cr_expect_str_eq(late[0].reason, "late");
    cr_expect_eq(subject.stats.late_rows, 1);
    cr_expect_eq(subject.stats.input_rows, 3);
    end_epoch();
    cr_assert_eq(row_count, 1);
    cr_expect_eq(rows[0].count, 1);
    cr_expect_eq(rows[0].sum_low, 1);
}

Test(merging_aggregation, row_in_front_of_the_mark_in_one_record_is_not_late)
{
    struct group *group = make_group(0, key_in(0, 0), 1, 0);
    struct late_row origin = {.key = {.byte_count = -1}, .value = {.byte_count = -1}};
    struct watermark_mark mark = {.state = ACTIVE, .us = 100};
    cr_assert_eq(route_record_put_row(&writer, group, &origin), STATUS_OK);
    cr_assert_eq(route_record_put_mark(&writer, 0, mark), STATUS_OK);
    cr_assert_eq(route_record_put_mark(&writer, 1, mark), STATUS_OK);
    cr_assert_eq(route_record_put_row(&writer, group, &origin), STATUS_OK);
    cr_assert_eq(route_record_flush(&writer), STATUS_OK);

    cr_assert_eq(merging_aggregation_push(&subject, 0, grow_buffer_bytes(&record)), STATUS_OK);
    cr_expect_eq(late_count, 1);
    cr_expect_eq(subject.store.input_count, 1);
}

Test(merging_aggregation, each_partition_has_its_own_watermark)
{
    cr_assert_eq(push_mark(2, 0, 30), STATUS_OK);
    cr_expect_eq(merging_aggregation_watermark(&subject, 2)->us, WATERMARK_NONE);
    cr_assert_eq(push_mark(2, 1, 50), STATUS_OK);

    cr_expect_eq(merging_aggregation_watermark(&subject, 2)->us, 30);
    cr_expect_eq(merging_aggregation_watermark(&subject, 0)->us, WATERMARK_NONE);
    cr_expect_eq(merging_aggregation_watermark_us(&subject), WATERMARK_NONE);
    cr_assert_eq(push_mark(0, 0, 25), STATUS_OK);
    cr_assert_eq(push_mark(0, 1, 26), STATUS_OK);
    cr_expect_eq(merging_aggregation_watermark_us(&subject), 25);
    cr_expect_null(merging_aggregation_watermark(&subject, 1));
    cr_expect_null(merging_aggregation_watermark(&subject, 3));
    cr_expect_null(merging_aggregation_watermark(&subject, 4));
    cr_expect_null(merging_aggregation_watermark(&subject, -1));
}

static void expect_fault(const char *beginning)
{
    cr_assert_not_null(subject.fault);
    cr_expect_eq(strncmp(subject.fault, beginning, strlen(beginning)), 0, "%s", subject.fault);
}

Test(merging_aggregation, group_behind_its_watermark_stops_the_job)
{
    advance(10);
    cr_expect_eq(push(make_group(0, key_in(0, 0), 1, 0)), STATUS_CORRUPT);
    expect_fault("a group came behind its watermark");
}

Test(merging_aggregation, what_no_stage_before_sends_is_corrupt)
{
    struct group *group = make_group(0, key_in(2, 0), 1, 0);
    cr_expect_eq(merging_aggregation_push(&subject, 0, record_of_group(group)), STATUS_CORRUPT);
    expect_fault("a group of the route has another partition");
    cr_expect_eq(push(make_group(5, key_in(0, 0), 1, 0)), STATUS_CORRUPT);
    expect_fault("a group of the route has another partition or window");
    cr_expect_eq(push_mark(0, 2, 1), STATUS_CORRUPT);
    expect_fault("a mark of a partition");
    cr_expect_eq(push_mark(0, -1, 1), STATUS_CORRUPT);
    struct wire_bytes nothing = {.byte_count = -1};
    cr_expect_eq(merging_aggregation_push(&subject, 0, nothing), STATUS_CORRUPT);
    expect_fault("a record of the route breaks its format");

    struct wire_bytes whole = record_of_group(make_group(0, key_in(0, 0), 1, 0));
    whole.byte_count -= 1;
    cr_expect_eq(merging_aggregation_push(&subject, 0, whole), STATUS_CORRUPT);
    record.bytes[0] += 1; /* The version. */
    cr_expect_eq(merging_aggregation_push(&subject, 0, grow_buffer_bytes(&record)),
                 STATUS_UNSUPPORTED);
}

Test(merging_aggregation, state_beyond_its_limit_is_full)
{
    options.state_bytes_max = 20000;
    reopen();
    enum status status = STATUS_OK;
    for (uint32_t i = 0; status == STATUS_OK && i < 1000; i++) {
        status = push(make_group(0, key_in(0, i), 1, 0));
    }
    cr_expect_eq(status, STATUS_FULL);
    expect_fault("the groups of this task take more memory");
}

/* ---- the end of an epoch */

Test(merging_aggregation, is_due_while_something_is_touched_or_over)
{
    cr_expect_not(merging_aggregation_is_due(&subject));
    cr_assert_eq(push(make_group(0, key_in(2, 0), 1, 0)), STATUS_OK);
    cr_expect(merging_aggregation_is_due(&subject));
    end_epoch();
    cr_expect_not(merging_aggregation_is_due(&subject));
    advance(9);
    cr_expect_not(merging_aggregation_is_due(&subject));
    advance(10);
    cr_expect(merging_aggregation_is_due(&subject));
    end_epoch();
    cr_expect_eq(row_count, 1);
    cr_expect_not(merging_aggregation_is_due(&subject));
}

static void expect_change(uint32_t index, const struct group *group, bool is_removed)
{
    struct grow_buffer key = {0};
    cr_assert_lt(index, change_count);
    changelog_put_key(5, group, &key);
    cr_expect_eq(changes[index].partition, partition_of(group));
    cr_expect_eq(changes[index].is_removed, is_removed, "change %u", index);
    cr_assert_eq(changes[index].key.byte_count, key.byte_count);
    cr_expect_arr_eq(changes[index].key.bytes, key.bytes, key.byte_count);
    grow_buffer_done(&key);
}

Test(merging_aggregation, changelog_hears_of_what_stays_and_of_what_it_knew)
{
    struct group *stays = make_group(10, key_in(0, 0), 1, 0);
    struct group *closes = make_group(0, key_in(0, 0), 1, 0);
    cr_assert_eq(push(closes), STATUS_OK);
    end_epoch();
    cr_assert_eq(change_count, 1);
    expect_change(0, closes, false);

    cr_assert_eq(push(make_group(0, key_in(2, 0), 1, 0)), STATUS_OK); /* Comes and goes at once. */
    cr_assert_eq(push(stays), STATUS_OK);
    advance(10);
    end_epoch();
    cr_expect_eq(row_count, 2);
    cr_assert_eq(change_count, 3);
    expect_change(1, closes, true);
    expect_change(2, stays, false);
    cr_expect_eq(subject.stats.updated_rows, 3);
    cr_expect_eq(subject.stats.removed_rows, 2);
    cr_expect_eq(subject.store.group_count, 1);

    end_epoch();
    cr_expect_eq(row_count, 0);
    cr_expect_eq(change_count, 3);
}

Test(merging_aggregation, update_tells_a_touched_group_once_and_remembers_that_it_left)
{
    plan.output_mode = MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_UPDATE;
    reopen();
    struct group *group = make_group(0, key_in(0, 0), 4, 0);
    cr_assert_eq(push(group), STATUS_OK);
    cr_assert_eq(push(group), STATUS_OK);
    end_epoch();
    cr_assert_eq(row_count, 1);
    cr_expect_eq(rows[0].sum_low, 8);
    cr_expect_eq(rows[0].flags & GROUP_IS_EMITTED, 0);
    end_epoch();
    cr_expect_eq(row_count, 0);

    cr_assert_eq(push(group), STATUS_OK);
    end_epoch();
    cr_assert_eq(row_count, 1);
    cr_expect_eq(rows[0].sum_low, 12);
    cr_expect_eq(rows[0].flags & GROUP_IS_EMITTED, GROUP_IS_EMITTED);
    advance(10);
    end_epoch();
    cr_expect_eq(row_count, 0); /* It is evicted in silence. */
    cr_expect_eq(subject.store.group_count, 0);
    expect_change(change_count - 1, group, true);
}

Test(merging_aggregation, many_groups_leave_in_batches)
{
    enum { GROUPS = 2 * EMISSION_ROWS_MAX + 10 };
    for (int32_t key = 0; subject.store.group_count < GROUPS; key++) {
        struct group *group = make_group(0, key, key, 0);
        if (merging_aggregation_watermark(&subject, (int32_t)partition_of(group)) != NULL) {
            cr_assert_eq(push(group), STATUS_OK);
        }
    }
    advance(10);
    end_epoch();

    cr_expect_eq(row_count, GROUPS);
    cr_expect_eq(batch_count, 3);
    cr_expect_eq(batch_rows_max, EMISSION_ROWS_MAX);
    for (uint32_t i = 1; i < row_count; i++) {
        cr_assert_gt(rows[i].key, rows[i - 1].key);
    }
}

Test(merging_aggregation, failure_of_who_takes_the_rows_ends_the_epoch)
{
    cr_assert_eq(push(make_group(0, key_in(0, 0), 1, 0)), STATUS_OK);
    advance(10);
    groups_status = STATUS_CANCELED;
    cr_expect_eq(merging_aggregation_end_epoch(&subject), STATUS_CANCELED);
    cr_expect_eq(change_count, 0);
}

/* ---- from the changelog */

static void restore_changes(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct wire_bytes value = {.byte_count = -1};
        if (!changes[i].is_removed) {
            value = grow_buffer_bytes(&changes[i].value);
        }
        cr_assert_eq(
            merging_aggregation_restore(&subject, grow_buffer_bytes(&changes[i].key), value),
            STATUS_OK);
    }
}

Test(merging_aggregation, changelog_makes_the_groups_that_were)
{
    int32_t key = key_in(0, 0);
    cr_assert_eq(push(make_group(0, key, INT64_MAX, 1)), STATUS_OK);
    cr_assert_eq(push(make_group(10, key, 1, (double)NAN)), STATUS_OK);
    end_epoch();
    cr_assert_eq(push(make_group(10, key, INT64_MAX, 2)), STATUS_OK);
    advance(10);
    end_epoch();
    uint32_t count = change_count;
    reopen();
    restore_changes(count);

    cr_expect_eq(subject.store.group_count, 1);
    cr_expect_eq(subject.store.input_count, 2);
    cr_expect_not(merging_aggregation_is_due(&subject));
    cr_assert_eq(push(make_group(10, key, INT64_MAX, 0)), STATUS_OK);
    advance(20);
    end_epoch();
    cr_assert_eq(row_count, 1);
    cr_expect_eq(rows[0].count, 3);
    cr_expect_eq(rows[0].sum_low, UINT64_MAX); /* 1 and twice the greatest: beyond bigint, exact. */
    cr_expect_eq(rows[0].sum_high, 0);
    cr_expect(isnan(rows[0].max));
    cr_expect(changes[change_count - 1].is_removed); /* The changelog knew it before the start. */
}

Test(merging_aggregation, snapshot_alone_is_the_whole_state_of_its_partition)
{
    for (uint32_t i = 0; i < 6; i++) {
        cr_assert_eq(push(make_group(10 * (int64_t)(i % 3), key_in(2, i), i, 0)), STATUS_OK);
    }
    cr_assert_eq(push(make_group(0, key_in(0, 0), 99, 0)), STATUS_OK); /* Another partition's. */
    end_epoch();
    for (uint32_t i = 0; i < change_count; i++) {
        grow_buffer_clear(&changes[i].key);
        grow_buffer_clear(&changes[i].value);
    }
    change_count = 0;
    cr_assert_eq(merging_aggregation_snapshot(&subject, 2), STATUS_OK);
    cr_assert_eq(change_count, 6);
    reopen();
    restore_changes(6);

    cr_expect_eq(subject.store.group_count, 6);
    advance(100);
    end_epoch();
    cr_assert_eq(row_count, 6);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < row_count; i++) {
        sum += rows[i].sum_low;
    }
    cr_expect_eq(sum, 15);
}

Test(merging_aggregation, changelog_of_others_is_refused)
{
    cr_assert_eq(push(make_group(0, key_in(0, 0), 1, 0)), STATUS_OK);
    end_epoch();
    struct wire_bytes value = grow_buffer_bytes(&changes[0].value);
    struct wire_bytes key = grow_buffer_bytes(&changes[0].key);
    struct wire_bytes cut = {.bytes = value.bytes, .byte_count = value.byte_count - 1};
    cr_expect_eq(merging_aggregation_restore(&subject, key, cut), STATUS_CORRUPT);
    expect_fault("a record of the changelog is none of this operator");
    changes[0].value.bytes[0] = 2;
    cr_expect_eq(merging_aggregation_restore(&subject, key, value), STATUS_UNSUPPORTED);
    changes[0].value.bytes[0] = 1;

    struct grow_buffer other = {0};
    changelog_put_key(5, make_group(0, key_in(1, 0), 1, 0), &other);
    cr_expect_eq(merging_aggregation_restore(&subject, grow_buffer_bytes(&other), value),
                 STATUS_CORRUPT);
    expect_fault("a group of the changelog belongs to another task");
    grow_buffer_clear(&other);
    changelog_put_key(5, make_group(3, key_in(0, 0), 1, 0), &other);
    cr_expect_eq(merging_aggregation_restore(&subject, grow_buffer_bytes(&other), value),
                 STATUS_CORRUPT);
    grow_buffer_clear(&other);
    changelog_put_key(6, make_group(0, key_in(0, 0), 1, 0), &other);
    cr_expect_eq(merging_aggregation_restore(&subject, grow_buffer_bytes(&other), value),
                 STATUS_CORRUPT);
    grow_buffer_done(&other);
    cr_expect_eq(merging_aggregation_restore(&subject, key, value), STATUS_OK);
}
