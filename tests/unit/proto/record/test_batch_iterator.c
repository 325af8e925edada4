/* Goal: a run of batches is walked to its end, and a cut last one is that end.
 * Method: three small batches, the run cut at every byte. */
#include "proto/record/batch_iterator.h"
#include "tests/rig/batch_seal.h"

#include <criterion/criterion.h>

#define BATCH_BYTES 70U
#define RUN_BYTES (3 * BATCH_BYTES)

static uint8_t run[RUN_BYTES];

static void set_up(void)
{
    for (size_t i = 0; i < 3; i++) {
        uint8_t *batch = run + i * BATCH_BYTES;
        memset(batch, 0, BATCH_BYTES);
        batch[16] = BATCH_MAGIC;
        batch_stamp_offset(batch, (int64_t)i * 10, 0);
        batch_seal(batch, BATCH_BYTES);
    }
}

TestSuite(batch_iterator, .init = set_up);

Test(batch_iterator, run_cut_anywhere_ends_with_its_last_whole_batch)
{
    for (size_t cut = 0; cut <= RUN_BYTES; cut++) {
        struct batch_iterator iterator;
        struct batch_view batch;
        size_t batch_count = 0;
        batch_iterator_init(&iterator, run, cut);
        enum status status = batch_iterator_next(&iterator, &batch);
        while (status == STATUS_OK) {
            cr_expect_eq(batch_base_offset(&batch), (int64_t)batch_count * 10);
            batch_count += 1;
            status = batch_iterator_next(&iterator, &batch);
        }

        cr_expect_eq(status, STATUS_NOT_FOUND);
        cr_expect_eq(batch_count, cut / BATCH_BYTES);
        cr_expect_eq(batch_iterator_left(&iterator), cut % BATCH_BYTES);
    }
}

Test(batch_iterator, no_bytes_hold_no_batch)
{
    struct batch_iterator iterator;
    struct batch_view batch;
    batch_iterator_init(&iterator, NULL, 0);

    cr_expect_eq(batch_iterator_next(&iterator, &batch), STATUS_NOT_FOUND);
}

Test(batch_iterator, broken_batch_stops_the_walk_for_good)
{
    struct batch_iterator iterator;
    struct batch_view batch;
    big_endian_put32(run + BATCH_BYTES + 8, 5);
    batch_iterator_init(&iterator, run, RUN_BYTES);

    cr_expect_eq(batch_iterator_next(&iterator, &batch), STATUS_OK);
    cr_expect_eq(batch_iterator_next(&iterator, &batch), STATUS_MALFORMED);
    cr_expect_eq(batch_iterator_next(&iterator, &batch), STATUS_MALFORMED);
    cr_expect_eq(batch_iterator_left(&iterator), 2 * BATCH_BYTES);
}
