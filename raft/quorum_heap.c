#include "raft/quorum_heap.h"

#include "proto/sys/check.h"

#include <raft.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct block {
    struct list link;
    struct quorum_heap *heap;
    size_t byte_count;
    alignas(max_align_t) uint8_t bytes[];
};

static _Thread_local struct quorum_heap *current;

static void *heap_malloc(void *data, size_t size)
{
    (void)data;
    check(current != NULL);
    struct block *block = calloc(1, sizeof *block + size);
    check(block != NULL);
    block->heap = current;
    block->byte_count = size;
    list_append(&current->blocks, &block->link);
    current->byte_count += size;
    return block->bytes;
}

static void heap_free(void *data, void *pointer)
{
    (void)data;
    if (pointer == NULL) {
        return;
    }
    struct block *block = container_of(pointer, struct block, bytes);
    block->heap->byte_count -= block->byte_count;
    list_remove(&block->link);
    free(block);
}

static void *heap_calloc(void *data, size_t count, size_t size)
{
    check(size == 0 || count <= SIZE_MAX / 2 / size);
    return heap_malloc(data, count * size);
}

static void *heap_realloc(void *data, void *pointer, size_t size)
{
    void *moved = heap_malloc(data, size);
    if (pointer != NULL) {
        struct block *block = container_of(pointer, struct block, bytes);
        memcpy(moved, pointer, block->byte_count < size ? block->byte_count : size);
        heap_free(data, pointer);
    }
    return moved;
}

static void *heap_aligned_alloc(void *data, size_t alignment, size_t size)
{
    check(alignment <= alignof(max_align_t)); /* Only raft_uv asks for more. */
    return heap_malloc(data, size);
}

static void heap_aligned_free(void *data, size_t alignment, void *pointer)
{
    (void)alignment;
    heap_free(data, pointer);
}

static struct raft_heap hooks = {
    .malloc = heap_malloc,
    .free = heap_free,
    .calloc = heap_calloc,
    .realloc = heap_realloc,
    .aligned_alloc = heap_aligned_alloc,
    .aligned_free = heap_aligned_free,
};

void quorum_heap_init(struct quorum_heap *self)
{
    raft_heap_set(&hooks);
    *self = (struct quorum_heap){0};
    list_init(&self->blocks);
}

void quorum_heap_drop(struct quorum_heap *self)
{
    if (self->blocks.next == NULL) {
        return;
    }
    struct list *link;
    while ((link = list_take_first(&self->blocks)) != NULL) {
        free(container_of(link, struct block, link));
    }
    self->byte_count = 0;
}

struct quorum_heap *quorum_heap_enter(struct quorum_heap *self)
{
    struct quorum_heap *before = current;
    current = self;
    return before;
}
