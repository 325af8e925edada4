/* Counted, immutable pieces that images share, and the memory they are made of.
 *
 * A node starts with one reference that belongs to its maker. Applying a committed command cannot
 * be refused, so memory that is not there ends the node: shared_node_memory() never returns NULL.
 *
 * Owner: shared, counted (atomic). Loop: any. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct shared_node {
    atomic_uint reference_count;
    void (*free_node)(struct shared_node *self);
};

void shared_node_init(struct shared_node *self, void (*free_node)(struct shared_node *self));
struct shared_node *shared_node_ref(struct shared_node *self);
void shared_node_unref(struct shared_node *self); /* Accepts NULL. */

/* Cleared memory, freed with free(). */
void *shared_node_memory(size_t count, size_t size);
void *shared_node_grow(void *memory, size_t count, size_t size); /* Not cleared. */
char *shared_node_text(const char *bytes, size_t byte_count);    /* NUL-terminated copy. */
