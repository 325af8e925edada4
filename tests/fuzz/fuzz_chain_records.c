/* Goal: neither a route's record nor a changelog's, whatever its bytes, breaks the operator that
 * keeps the groups; and what it took it tells in records that bring the same groups back.
 * Method: the first byte chooses. 0: the rest is pushed as the value of a route record, then the
 * epoch ends. Else: two bytes say how long the key is, the rest is the value of a changelog record,
 * which is restored. Groups that are left are given as a snapshot to a second operator, whose own
 * snapshot must be the same bytes. */
#include "processor/operator/emission.h"
#include "processor/operator/merging_aggregation.h"
#include "proto/record/record_iterator.h"
#include "proto/sys/check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

struct side {
    struct merging_aggregation merging;
    struct side *follower; /* Restores what this one says; NULL: nobody. */
    struct grow_buffer said;
};

static Millrace__Plan__Aggregation plan;
static Millrace__Plan__AggregateCall calls[4];
static Millrace__Plan__AggregateCall *call_list[4];
static Millrace__Plan__TypedExpr exprs[4]; /* Only their types count here. */
static Millrace__Plan__TypedExpr *key_list[1];
static struct arena arena;

static void make_call(int index, Millrace__Plan__AggregateFunction function, int argument,
                      Millrace__Plan__Type type)
{
    millrace__plan__aggregate_call__init(&calls[index]);
    calls[index].function = function;
    calls[index].argument = argument < 0 ? NULL : &exprs[argument];
    calls[index].type = type;
    call_list[index] = &calls[index];
}

static void make_plan(void)
{
    static const Millrace__Plan__Type types[4] = {
        MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ, MILLRACE__PLAN__TYPE__TYPE_TEXT,
        MILLRACE__PLAN__TYPE__TYPE_INT, MILLRACE__PLAN__TYPE__TYPE_BIGINT};
    for (int i = 0; i < 4; i++) {
        millrace__plan__typed_expr__init(&exprs[i]);
        exprs[i].type = types[i];
    }
    make_call(0, MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_COUNT_STAR, -1,
              MILLRACE__PLAN__TYPE__TYPE_BIGINT);
    make_call(1, MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_MAX, 2,
              MILLRACE__PLAN__TYPE__TYPE_INT);
    make_call(2, MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_SUM, 3,
              MILLRACE__PLAN__TYPE__TYPE_BIGINT);
    make_call(3, MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_MIN, 1,
              MILLRACE__PLAN__TYPE__TYPE_TEXT);
    millrace__plan__aggregation__init(&plan);
    plan.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_TUMBLE;
    plan.time = &exprs[0];
    plan.size_us = 1000;
    key_list[0] = &exprs[1];
    plan.n_keys = 1;
    plan.keys = key_list;
    plan.n_calls = 4;
    plan.calls = call_list;
}

static enum status on_groups(void *context, struct group *const *groups, uint32_t group_count)
{
    struct side *self = context;
    struct row_batch rows;
    struct emission_fault fault;
    arena_reset(&arena);
    enum status status =
        emission_make_rows(&self->merging.aggregation, groups, group_count, &arena, &rows, &fault);
    check(status == STATUS_OK || status == STATUS_INVALID); /* A sum beyond bigint. */
    return status;
}

static enum status on_change(void *context, uint32_t partition, struct wire_bytes key,
                             struct wire_bytes value)
{
    struct side *self = context;
    check(partition == 0);
    grow_buffer_put_raw(&self->said, key.bytes, (size_t)key.byte_count);
    if (value.byte_count >= 0) {
        grow_buffer_put_raw(&self->said, value.bytes, (size_t)value.byte_count);
    }
    if (self->follower != NULL) {
        enum status status = merging_aggregation_restore(&self->follower->merging, key, value);
        check(status == STATUS_OK);
    }
    return STATUS_OK;
}

static enum status on_late(void *context, const struct late_row *late)
{
    (void)context;
    check(late->header_count >= 0);
    check(late->headers <= late->headers_end);
    /* As the sink goes through them. */
    struct record whole = {.headers = late->headers,
                           .headers_end = late->headers_end,
                           .header_count = late->header_count};
    struct record_header header;
    record_header_init(&header, &whole);
    while (record_header_next(&header)) {
        check(header.key.byte_count >= 0);
    }
    return STATUS_OK;
}

static void side_init(struct side *self)
{
    *self = (struct side){0};
    struct merging_aggregation_options options = {.operator_id = 7,
                                                  .plan = &plan,
                                                  .source_partition_count = 4,
                                                  .input_partition_count = 1,
                                                  .task_count = 1,
                                                  .state_bytes_max = (size_t)16 << 20,
                                                  .on_groups = on_groups,
                                                  .on_change = on_change,
                                                  .on_late = on_late,
                                                  .context = self};
    enum status status = merging_aggregation_init(&self->merging, &options);
    check(status == STATUS_OK);
}

static void side_done(struct side *self)
{
    merging_aggregation_done(&self->merging);
    grow_buffer_done(&self->said);
}

static enum status feed(struct side *side, const uint8_t *bytes, size_t byte_count)
{
    struct merging_aggregation *merging = &side->merging;
    if (bytes[0] == 0) {
        struct wire_bytes value = {.bytes = bytes + 1, .byte_count = (int32_t)(byte_count - 1)};
        TRY(merging_aggregation_push(merging, 0, value));
        return merging_aggregation_end_epoch(merging);
    }
    size_t key_count = byte_count < 3 ? 0 : (size_t)bytes[1] << 8 | bytes[2];
    if (byte_count < 3 + key_count) {
        return STATUS_INVALID;
    }
    struct wire_bytes key = {.bytes = bytes + 3, .byte_count = (int32_t)key_count};
    struct wire_bytes value = {.bytes = bytes + 3 + key_count,
                               .byte_count = (int32_t)(byte_count - 3 - key_count)};
    return merging_aggregation_restore(merging, key, value);
}

static void compare_snapshots(struct side *first)
{
    struct side second;
    side_init(&second);
    first->follower = &second;
    grow_buffer_clear(&first->said);
    enum status status = merging_aggregation_snapshot(&first->merging, 0);
    check(status == STATUS_OK);
    status = merging_aggregation_snapshot(&second.merging, 0);
    check(status == STATUS_OK);
    check(first->said.byte_count == second.said.byte_count);
    check(first->said.byte_count == 0 ||
          memcmp(first->said.bytes, second.said.bytes, first->said.byte_count) == 0);
    check(first->merging.store.group_count == second.merging.store.group_count);
    check(first->merging.store.input_count == second.merging.store.input_count);
    side_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    if (byte_count == 0) {
        return 0;
    }
    if (plan.n_calls == 0) {
        make_plan();
        arena_init(&arena, (size_t)64 << 20);
    }
    struct side first;
    side_init(&first);
    enum status status = feed(&first, bytes, byte_count);
    if (status == STATUS_OK) {
        compare_snapshots(&first);
    }
    side_done(&first);
    arena_reset(&arena);
    return 0;
}
