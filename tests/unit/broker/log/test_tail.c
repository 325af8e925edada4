/* Goal: a cache of tails keeps what is not written and what is pinned, and of the rest no more than
 * its limit, at every moment.
 * Method: one log's tail over a segment whose written bytes the test sets. */
#include "broker/log/tail.h"

#include "broker/log/segment.h"

#include <criterion/criterion.h>
#include <string.h>

#define CHUNK_BYTES (1U << 20)
#define CACHE_CHUNKS 8U
#define CACHE_BYTES ((size_t)CACHE_CHUNKS * CHUNK_BYTES)

static struct budget budget;
static struct block_pool pool;
static struct tail_cache cache;
static struct tail tail;
static struct segment segment;
static uint8_t bytes[CHUNK_BYTES];

static void set_up(void)
{
    budget_init(&budget, 4 * CACHE_BYTES);
    block_pool_init(&pool, &budget);
    tail_cache_init(&cache, &pool, CACHE_BYTES);
    tail_init(&tail, &cache);
    segment = (struct segment){.base_offset = 0};
}

static void tear_down(void)
{
    tail_done(&tail);
    tail_cache_done(&cache);
    block_pool_done(&pool);
    cr_expect_eq(budget_taken_bytes(&budget), 0);
}

TestSuite(tail, .init = set_up, .fini = tear_down);

/* One batch of one offset that fills a chunk. */
static void put(uint32_t index)
{
    memset(bytes, (int)(index & 255), sizeof bytes);
    const struct tail_want want = {.segment = &segment,
                                   .position = index * CHUNK_BYTES,
                                   .byte_count = CHUNK_BYTES,
                                   .batch_count = 1};
    const struct tail_batch batch = {
        .base_offset = index, .next_offset = index + 1, .byte_count = CHUNK_BYTES};
    cr_assert_eq(tail_reserve(&tail, &want), STATUS_OK);
    tail_put(&tail, bytes, CHUNK_BYTES, &batch, 1);
}

static bool has(uint32_t index)
{
    struct tail_chunk *chunk = NULL;
    uint32_t batch = 0;
    if (!tail_find(&tail, index, &chunk, &batch)) {
        return false;
    }
    cr_expect_eq(chunk->bytes[chunk->batches[batch].start], index & 255);
    return true;
}

Test(tail, written_chunks_make_room_as_new_ones_come)
{
    for (uint32_t i = 0; i < 3 * CACHE_CHUNKS; i++) {
        put(i);
        segment.written_bytes = i * CHUNK_BYTES;
        cr_assert_leq(cache.byte_count, CACHE_BYTES);
    }
    cr_expect_not(has(2 * CACHE_CHUNKS - 1));
    cr_expect(has(2 * CACHE_CHUNKS));
    cr_expect_leq(budget_taken_bytes(&budget), CACHE_BYTES + CHUNK_BYTES);
}

Test(tail, chunks_that_are_not_written_stay_beyond_the_limit)
{
    for (uint32_t i = 0; i < 2 * CACHE_CHUNKS; i++) {
        put(i);
    }
    cr_expect(has(0));

    segment.written_bytes = (CACHE_CHUNKS + 4) * CHUNK_BYTES;
    put(2 * CACHE_CHUNKS);
    cr_expect_not(has(0));
    tail_cache_shrink(&cache, 0);
    cr_expect_not(has(CACHE_CHUNKS + 3));
    cr_expect(has(CACHE_CHUNKS + 4));
}

Test(tail, pinned_chunk_outlives_its_place)
{
    put(0);
    struct tail_chunk *pinned = tail_chunk_ref(tail_last(&tail));
    segment.written_bytes = CHUNK_BYTES;
    tail_cache_shrink(&cache, 0);

    cr_expect_not(has(0));
    put(1);
    cr_expect_eq(pinned->bytes[0], 0);
    tail_chunk_unref(pinned);
}
