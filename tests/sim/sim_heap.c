#include "tests/sim/sim_heap.h"

#include "proto/sys/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_COUNT_MIN 4096U
#define POISON 0xdd

/* The linker turns each call of malloc in our objects into __wrap_malloc, and __real_malloc into
 * the allocator's own. */
void *__real_malloc(size_t byte_count);
void *__real_calloc(size_t count, size_t byte_count);
void *__real_realloc(void *block, size_t byte_count);
void *__real_aligned_alloc(size_t alignment, size_t byte_count);
int __real_posix_memalign(void **out_block, size_t alignment, size_t byte_count);
void __real_free(void *block);
void *__wrap_malloc(size_t byte_count);
void *__wrap_calloc(size_t count, size_t byte_count);
void *__wrap_realloc(void *block, size_t byte_count);
void *__wrap_reallocarray(void *block, size_t count, size_t byte_count);
void *__wrap_aligned_alloc(size_t alignment, size_t byte_count);
int __wrap_posix_memalign(void **out_block, size_t alignment, size_t byte_count);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t byte_count);
int __wrap_vasprintf(char **out_text, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
int __wrap_asprintf(char **out_text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __wrap_free(void *block);

struct slot {
    void *block; /* NULL: empty. */
    struct sim_heap *heap;
    size_t byte_count;
};

/* Open addressing, linear probing; one table for all heaps, since a block tells no owner. */
static struct slot *slots;
static size_t slot_count;
static size_t used_count;
static struct sim_heap *entered;

static size_t home_of(const void *block)
{
    return (size_t)(((uintptr_t)block >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20) &
           (slot_count - 1);
}

static struct slot *slot_find(const void *block)
{
    if (used_count == 0) {
        return NULL;
    }
    for (size_t i = home_of(block);; i = (i + 1) & (slot_count - 1)) {
        if (slots[i].block == block) {
            return &slots[i];
        }
        if (slots[i].block == NULL) {
            return NULL;
        }
    }
}

static void slot_put(struct slot slot)
{
    size_t i = home_of(slot.block);
    while (slots[i].block != NULL) {
        i = (i + 1) & (slot_count - 1);
    }
    slots[i] = slot;
}

static void table_grow(void)
{
    struct slot *old = slots;
    size_t old_count = slot_count;
    slot_count = old_count == 0 ? SLOT_COUNT_MIN : old_count * 2;
    slots = __real_calloc(slot_count, sizeof *slots);
    check(slots != NULL);
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].block != NULL) {
            slot_put(old[i]);
        }
    }
    __real_free(old);
}

static void *own(void *block, size_t byte_count)
{
    if (block == NULL || entered == NULL) {
        return block;
    }
    if (used_count * 2 >= slot_count) {
        table_grow();
    }
    slot_put((struct slot){.block = block, .heap = entered, .byte_count = byte_count});
    used_count += 1;
    entered->block_count += 1;
    entered->byte_count += byte_count;
    if (entered->byte_count > entered->byte_count_max) {
        entered->byte_count_max = entered->byte_count;
    }
    return block;
}

/* Empties a slot and moves what probing had pushed behind it. */
static void slot_remove(struct slot *slot)
{
    slot->heap->block_count -= 1;
    slot->heap->byte_count -= slot->byte_count;
    used_count -= 1;
    size_t hole = (size_t)(slot - slots);
    for (size_t i = (hole + 1) & (slot_count - 1); slots[i].block != NULL;
         i = (i + 1) & (slot_count - 1)) {
        size_t home = home_of(slots[i].block);
        if (((i - home) & (slot_count - 1)) >= ((i - hole) & (slot_count - 1))) {
            slots[hole] = slots[i];
            hole = i;
        }
    }
    slots[hole].block = NULL;
}

struct sim_heap *sim_heap_switch(struct sim_heap *heap)
{
    struct sim_heap *before = entered;
    entered = heap;
    return before;
}

static void block_poison(void *block, size_t byte_count)
{
#ifndef __SANITIZE_ADDRESS__
    memset(block, POISON, byte_count);
#else
    (void)block;
    (void)byte_count;
#endif
}

void sim_heap_drop(struct sim_heap *self)
{
    for (size_t i = 0; i < slot_count && self->block_count > 0;) {
        if (slots[i].block == NULL || slots[i].heap != self) {
            i += 1;
            continue;
        }
        void *block = slots[i].block;
        block_poison(block, slots[i].byte_count);
        slot_remove(&slots[i]); /* May move another block into this slot: look at it again. */
        __real_free(block);
    }
    /* Probing wraps around: a block moved from the front to the back is met in a second pass. */
    if (self->block_count > 0) {
        sim_heap_drop(self);
    }
}

void *__wrap_malloc(size_t byte_count)
{
    return own(__real_malloc(byte_count), byte_count);
}

void *__wrap_calloc(size_t count, size_t byte_count)
{
    return own(__real_calloc(count, byte_count), count * byte_count);
}

void *__wrap_realloc(void *block, size_t byte_count)
{
    if (block == NULL) {
        return __wrap_malloc(byte_count);
    }
    struct slot *slot = slot_find(block);
    if (slot == NULL) {
        return __real_realloc(block, byte_count);
    }
    check(byte_count > 0);
    struct sim_heap *heap = slot->heap;
    void *moved = __real_realloc(block, byte_count);
    if (moved != NULL) {
        slot_remove(slot);
        struct sim_heap *before = sim_heap_switch(heap);
        own(moved, byte_count);
        sim_heap_switch(before);
    }
    return moved;
}

void *__wrap_reallocarray(void *block, size_t count, size_t byte_count)
{
    size_t total = 0;
    if (__builtin_mul_overflow(count, byte_count, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return __wrap_realloc(block, total);
}

void *__wrap_aligned_alloc(size_t alignment, size_t byte_count)
{
    return own(__real_aligned_alloc(alignment, byte_count), byte_count);
}

int __wrap_posix_memalign(void **out_block, size_t alignment, size_t byte_count)
{
    int failure = __real_posix_memalign(out_block, alignment, byte_count);
    if (failure == 0) {
        own(*out_block, byte_count);
    }
    return failure;
}

char *__wrap_strndup(const char *text, size_t byte_count)
{
    size_t length = strnlen(text, byte_count);
    char *copy = __wrap_malloc(length + 1);
    if (copy != NULL) {
        memcpy(copy, text, length);
        copy[length] = 0;
    }
    return copy;
}

char *__wrap_strdup(const char *text)
{
    return __wrap_strndup(text, strlen(text));
}

int __wrap_vasprintf(char **out_text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) {
        return -1;
    }
    char *text = __wrap_malloc((size_t)length + 1);
    if (text == NULL) {
        return -1;
    }
    vsnprintf(text, (size_t)length + 1, format, arguments);
    *out_text = text;
    return length;
}

int __wrap_asprintf(char **out_text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = __wrap_vasprintf(out_text, format, arguments);
    va_end(arguments);
    return length;
}

void __wrap_free(void *block)
{
    struct slot *slot = block == NULL ? NULL : slot_find(block);
    if (slot != NULL) {
        slot_remove(slot);
    }
    __real_free(block);
}
