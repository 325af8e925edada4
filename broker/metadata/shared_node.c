#include "broker/metadata/shared_node.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

void shared_node_init(struct shared_node *self, void (*free_node)(struct shared_node *self))
{
    atomic_init(&self->reference_count, 1);
    self->free_node = free_node;
}

struct shared_node *shared_node_ref(struct shared_node *self)
{
    unsigned before = atomic_fetch_add_explicit(&self->reference_count, 1, memory_order_relaxed);
    check(before > 0);
    return self;
}

void shared_node_unref(struct shared_node *self)
{
    if (self == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&self->reference_count, 1, memory_order_acq_rel);
    check(before > 0);
    if (before == 1) {
        self->free_node(self);
    }
}

void *shared_node_memory(size_t count, size_t size)
{
    void *memory = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
    check(memory != NULL);
    return memory;
}

void *shared_node_grow(void *memory, size_t count, size_t size)
{
    check(count > 0);
    check(size > 0);
    check(count <= SIZE_MAX / size);
    void *grown = realloc(memory, count * size);
    check(grown != NULL);
    return grown;
}

char *shared_node_text(const char *bytes, size_t byte_count)
{
    check(byte_count < SIZE_MAX);
    char *text = shared_node_memory(byte_count + 1, 1);
    if (byte_count > 0) {
        memcpy(text, bytes, byte_count);
    }
    return text;
}
