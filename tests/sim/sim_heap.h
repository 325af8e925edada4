/* Who owns which block of memory, so that a crash can take back all that a node had.
 *
 * The simulator links its programs with --wrap for malloc and its kin: what our code allocates
 * while a heap is entered belongs to that heap. A crash leaves a node in the middle of anything, by
 * longjmp; sim_heap_drop() then frees every block, so that nothing leaks and a late touch is a
 * use-after-free that the address sanitizer sees (without it, freed blocks are filled with 0xdd).
 * Memory that a shared library allocates inside itself is not seen, and leaks on a crash.
 *
 * Owner: the node. Loop: one thread only. Limits: none of its own. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sim_heap {
    size_t block_count;
    size_t byte_count;
    size_t byte_count_max; /* The most at any time. */
};

/* Enters `heap` (NULL: nobody's) and gives the one that was entered before. */
struct sim_heap *sim_heap_switch(struct sim_heap *heap);
/* Frees all its blocks. */
void sim_heap_drop(struct sim_heap *self);
