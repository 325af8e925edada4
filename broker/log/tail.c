#include "broker/log/tail.h"

#include "broker/log/segment.h"
#include "proto/sys/bulk_copy.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define TAIL_CACHE_MAGIC 0x7a11cac4U
#define TAIL_CHUNK_MAGIC 0x7a11c4a4U
#define BATCH_ROOM_MIN 4U
#define LOOK_COUNT_MAX 16U /* Per new chunk; the store's tick looks at all of them. */

void tail_cache_init(struct tail_cache *self, struct block_pool *pool, size_t byte_count_max)
{
    *self = (struct tail_cache){
        .magic = TAIL_CACHE_MAGIC, .pool = pool, .byte_count_max = byte_count_max};
    list_init(&self->recent);
}

void tail_cache_done(struct tail_cache *self)
{
    if (self->magic == 0) {
        return;
    }
    check(self->magic == TAIL_CACHE_MAGIC);
    check(list_is_empty(&self->recent));
    *self = (struct tail_cache){0};
}

static size_t batches_bytes(uint32_t batch_room)
{
    return (size_t)batch_room * sizeof(struct tail_batch);
}

static void detach(struct tail_chunk *chunk)
{
    check(chunk->tail != NULL);
    list_remove(&chunk->link);
    list_remove(&chunk->recent_link);
    chunk->cache->byte_count -= block_pool_round(chunk->room);
    chunk->tail = NULL;
    chunk->segment = NULL;
    tail_chunk_unref(chunk);
}

/* Everything of it is in the file. */
static bool is_written(const struct tail_chunk *chunk)
{
    return chunk->segment->written_bytes >= chunk->position + chunk->used;
}

/* Looks at `look_count_max` chunks at most. */
static void shrink(struct tail_cache *self, size_t byte_count, uint32_t look_count_max)
{
    list_for_each_removable(link, &self->recent)
    {
        if (self->byte_count <= byte_count || look_count_max == 0) {
            return;
        }
        look_count_max -= 1;
        struct tail_chunk *chunk = container_of(link, struct tail_chunk, recent_link);
        /* Chunks are as old as their place in the tail, so the first here is the first there,
         * unless an older one had to stay. */
        if (is_written(chunk) && chunk->tail->chunks.next == &chunk->link) {
            detach(chunk);
        }
    }
}

void tail_cache_shrink(struct tail_cache *self, size_t byte_count)
{
    check(self->magic == TAIL_CACHE_MAGIC);
    shrink(self, byte_count, UINT32_MAX);
}

void tail_init(struct tail *self, struct tail_cache *cache)
{
    self->cache = cache;
    list_init(&self->chunks);
}

void tail_done(struct tail *self)
{
    if (self->cache == NULL) {
        return;
    }
    list_for_each_removable(link, &self->chunks)
    {
        detach(container_of(link, struct tail_chunk, link));
    }
    *self = (struct tail){0};
}

struct tail_chunk *tail_last(const struct tail *self)
{
    return list_is_empty(&self->chunks)
               ? NULL
               : container_of(self->chunks.previous, struct tail_chunk, link);
}

static bool continues(const struct tail_chunk *last, const struct tail_want *want)
{
    return last != NULL && last->segment == want->segment &&
           last->position + last->used == want->position;
}

bool tail_has_head(const struct tail *self, const struct tail_want *want)
{
    return want->position % DISK_BLOCK_BYTES == 0 || continues(tail_last(self), want);
}

static bool reserve_batches(struct tail_chunk *chunk, uint32_t batch_count)
{
    uint32_t wanted = chunk->batch_count + batch_count;
    if (wanted <= chunk->batch_room) {
        return true;
    }
    uint32_t room = chunk->batch_room < BATCH_ROOM_MIN ? BATCH_ROOM_MIN : chunk->batch_room;
    while (room < wanted) {
        room *= 2;
    }
    size_t growth = batches_bytes(room) - batches_bytes(chunk->batch_room);
    if (!budget_take(chunk->cache->pool->budget, growth)) {
        return false;
    }
    struct tail_batch *batches = realloc(chunk->batches, batches_bytes(room));
    if (batches == NULL) {
        budget_give(chunk->cache->pool->budget, growth);
        return false;
    }
    chunk->batches = batches;
    chunk->batch_room = room;
    return true;
}

/* Twice the predecessor, so that a busy log has large chunks and a quiet one a block. */
static size_t room_of(const struct tail_chunk *last, uint32_t head_bytes, uint32_t byte_count)
{
    size_t needed = (size_t)head_bytes + byte_count;
    size_t wanted = last == NULL ? 0 : (size_t)last->room * 2;
    if (wanted > TAIL_CHUNK_BYTES_MAX) {
        wanted = TAIL_CHUNK_BYTES_MAX;
    }
    return block_pool_round(needed > wanted ? needed : wanted);
}

static struct tail_chunk *chunk_new(struct tail_cache *cache, size_t room)
{
    struct tail_chunk *chunk = calloc(1, sizeof *chunk);
    if (chunk == NULL) {
        return NULL;
    }
    /* What goes now is the memory that comes back at once. */
    size_t kept = cache->byte_count_max > room ? cache->byte_count_max - room : 0;
    shrink(cache, kept, LOOK_COUNT_MAX);
    chunk->bytes = block_pool_take(cache->pool, room);
    if (chunk->bytes == NULL && cache->byte_count > 0) {
        tail_cache_shrink(cache, cache->byte_count > room ? cache->byte_count - room : 0);
        chunk->bytes = block_pool_take(cache->pool, room);
    }
    if (chunk->bytes == NULL) {
        free(chunk);
        return NULL;
    }
    chunk->magic = TAIL_CHUNK_MAGIC;
    chunk->reference_count = 1;
    chunk->cache = cache;
    chunk->room = (uint32_t)room;
    list_init(&chunk->link);
    list_init(&chunk->recent_link);
    return chunk;
}

/* `last` is NULL when the bytes before `position` are not here. */
static void copy_head(struct tail_chunk *chunk, const struct tail_chunk *last,
                      const struct tail_want *want)
{
    uint32_t head_bytes = want->position % DISK_BLOCK_BYTES;
    chunk->position = want->position - head_bytes;
    chunk->used = head_bytes;
    if (head_bytes == 0) {
        return;
    }
    if (last != NULL) {
        /* A chunk begins at a block border, so what is before `position` in its block is there. */
        memcpy(chunk->bytes, last->bytes + (last->used - head_bytes), head_bytes);
    } else {
        check(want->head != NULL);
        memcpy(chunk->bytes, want->head, head_bytes);
    }
}

enum status tail_reserve(struct tail *self, const struct tail_want *want)
{
    check(self->cache != NULL);
    struct tail_chunk *last = tail_last(self);
    if (continues(last, want) && !last->is_sealed && want->byte_count <= last->room - last->used) {
        return reserve_batches(last, want->batch_count) ? STATUS_OK : STATUS_BUSY;
    }
    uint32_t head_bytes = want->position % DISK_BLOCK_BYTES;
    /* Making room may evict `last`; the head is copied from it afterwards. */
    struct tail_chunk *pinned = last == NULL ? NULL : tail_chunk_ref(last);
    bool is_continued = continues(last, want);
    struct tail_chunk *chunk = chunk_new(self->cache, room_of(last, head_bytes, want->byte_count));
    if (chunk != NULL) {
        chunk->segment = want->segment;
        copy_head(chunk, is_continued ? pinned : NULL, want);
        if (!reserve_batches(chunk, want->batch_count)) {
            tail_chunk_unref(chunk);
            chunk = NULL;
        }
    }
    if (chunk != NULL && pinned != NULL && pinned->tail != NULL && pinned->batch_count == 0) {
        detach(pinned); /* Made for an append that came to nothing. */
    }
    if (pinned != NULL) {
        tail_chunk_unref(pinned);
    }
    if (chunk == NULL) {
        return STATUS_BUSY;
    }
    chunk->tail = self;
    list_append(&self->chunks, &chunk->link);
    list_append(&self->cache->recent, &chunk->recent_link);
    self->cache->byte_count += block_pool_round(chunk->room);
    return STATUS_OK;
}

void tail_put(struct tail *self, const uint8_t *bytes, uint32_t byte_count,
              const struct tail_batch *batches, uint32_t batch_count)
{
    struct tail_chunk *chunk = tail_last(self);
    check(chunk != NULL);
    check(byte_count <= chunk->room - chunk->used);
    check(batch_count <= chunk->batch_room - chunk->batch_count);
    bulk_copy(chunk->bytes + chunk->used, bytes, byte_count);
    for (uint32_t i = 0; i < batch_count; i++) {
        struct tail_batch *batch = &chunk->batches[chunk->batch_count + i];
        *batch = batches[i];
        batch->start += chunk->used;
    }
    chunk->used += byte_count;
    chunk->batch_count += batch_count;
}

static uint32_t find_batch(const struct tail_chunk *chunk, int64_t offset)
{
    /* Invariant: batches below `low` end at or before `offset`; those from `high` on do not. */
    uint32_t low = 0;
    uint32_t high = chunk->batch_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (chunk->batches[middle].next_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool tail_find(const struct tail *self, int64_t offset, struct tail_chunk **out_chunk,
               uint32_t *out_batch)
{
    /* Backwards: readers are mostly at the end. */
    struct tail_chunk *found = NULL;
    for (struct list *link = self->chunks.previous; link != &self->chunks; link = link->previous) {
        struct tail_chunk *chunk = container_of(link, struct tail_chunk, link);
        if (chunk->batch_count == 0) {
            continue;
        }
        if (chunk->batches[chunk->batch_count - 1].next_offset <= offset) {
            break;
        }
        found = chunk;
        if (chunk->batches[0].base_offset <= offset) {
            break;
        }
    }
    if (found == NULL) {
        return false;
    }
    uint32_t batch = find_batch(found, offset);
    bool is_first = batch == 0 && (found->link.previous == &self->chunks);
    if (is_first && found->batches[0].base_offset > offset) {
        return false;
    }
    *out_chunk = found;
    *out_batch = batch;
    return true;
}

void tail_truncate(struct tail *self, int64_t end)
{
    while (!list_is_empty(&self->chunks)) {
        struct tail_chunk *chunk = tail_last(self);
        while (chunk->batch_count > 0 &&
               chunk->batches[chunk->batch_count - 1].base_offset >= end) {
            chunk->batch_count -= 1;
            chunk->used = chunk->batches[chunk->batch_count].start;
        }
        if (chunk->batch_count > 0) {
            check(chunk->batches[chunk->batch_count - 1].next_offset <= end);
            chunk->is_sealed = chunk->is_sealed || chunk->reference_count > 1;
            return;
        }
        detach(chunk);
    }
}

void tail_drop_segment(struct tail *self, const struct segment *segment)
{
    list_for_each_removable(link, &self->chunks)
    {
        struct tail_chunk *chunk = container_of(link, struct tail_chunk, link);
        if (chunk->segment == segment) {
            detach(chunk);
        }
    }
}

struct tail_chunk *tail_chunk_ref(struct tail_chunk *chunk)
{
    check(chunk->magic == TAIL_CHUNK_MAGIC);
    chunk->reference_count += 1;
    return chunk;
}

void tail_chunk_unref(struct tail_chunk *chunk)
{
    check(chunk->magic == TAIL_CHUNK_MAGIC);
    check(chunk->reference_count > 0);
    chunk->reference_count -= 1;
    if (chunk->reference_count > 0) {
        return;
    }
    check(chunk->tail == NULL);
    budget_give(chunk->cache->pool->budget, batches_bytes(chunk->batch_room));
    free(chunk->batches);
    block_pool_give(chunk->cache->pool, chunk->bytes, chunk->room);
    *chunk = (struct tail_chunk){0};
    free(chunk);
}
