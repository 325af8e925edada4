/* Goal: a frame is charged for what it holds, never far ahead of the bytes, and freed once.
 * Method: frames of sizes around the borders, grown by hand. */
#include "proto/frame/frame_memory.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

static struct budget budget;

static void set_up(void)
{
    budget_init(&budget, (size_t)64 << 20);
}

TestSuite(frame_memory, .init = set_up);

Test(frame_memory, small_frame_is_whole_at_once)
{
    struct frame *frame = frame_memory_new(&budget, 65536, 1);
    cr_assert_not_null(frame);

    cr_expect_eq(frame->capacity, 65536);
    memset(frame->bytes, 1, 65536);
    cr_expect_geq(budget_taken_bytes(&budget), 65536);
    frame_unref(frame);
    cr_expect_eq(budget_taken_bytes(&budget), 0);
}

Test(frame_memory, large_frame_grows_with_its_bytes)
{
    const size_t size = (size_t)10 << 20;
    const size_t capacities[] = {65537,   1114113, 2162689, 3244033,
                                 4866049, 7299073, 10485760}; /* +64 KiB, +1 MiB, then by half. */
    struct frame *frame = frame_memory_new(&budget, size, 1);
    cr_assert_not_null(frame);

    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        cr_assert_eq(frame->capacity, capacities[i], "step %zu: %zu", i, frame->capacity);
        memset(frame->bytes, 1, frame->capacity);
        cr_expect(frame->capacity == size || frame_memory_grow(frame, frame->capacity));
    }

    frame_unref(frame);
    cr_expect_eq(budget_taken_bytes(&budget), 0);
}

Test(frame_memory, frame_of_a_mebibyte_that_fills_a_read_needs_no_growing)
{
    struct frame *frame = frame_memory_new(&budget, (size_t)1 << 20, 32767);
    cr_expect_eq(frame->capacity, 32767 + 65536);
    frame_unref(frame);

    frame = frame_memory_new(&budget, (size_t)1 << 20, 32768);
    cr_expect_eq(frame->capacity, (size_t)1 << 20);
    frame_unref(frame);
}

Test(frame_memory, refused_memory_leaves_the_frame_as_it_was)
{
    budget_init(&budget, 70000);
    struct frame *frame = frame_memory_new(&budget, 1000000, 1);
    cr_assert_not_null(frame);
    size_t taken = budget_taken_bytes(&budget);

    cr_expect_not(frame_memory_grow(frame, frame->capacity));
    cr_expect_eq(budget_taken_bytes(&budget), taken);
    cr_expect_null(frame_memory_new(&budget, 10000, 10000));
    cr_expect_eq(budget_taken_bytes(&budget), taken);

    frame_unref(frame);
}

Test(frame_memory, last_reference_frees)
{
    struct frame *frame = frame_memory_new(&budget, 10, 10);
    cr_assert_eq(frame_ref(frame), frame);

    frame_unref(frame);
    cr_expect_gt(budget_taken_bytes(&budget), 0);
    frame_unref(frame);
    cr_expect_eq(budget_taken_bytes(&budget), 0);
}
