#include "proto/frame/frame_memory.h"

#include "proto/sys/check.h"

#include <stdlib.h>

/* What a frame is charged for. */
static size_t charge(size_t capacity)
{
    return sizeof(struct frame) + capacity;
}

/* Whole frames stand behind their head; those that grow have memory of their own. */
static uint8_t *inline_bytes(struct frame *self)
{
    return (uint8_t *)(self + 1);
}

static size_t capacity_for(size_t byte_count, size_t here_count)
{
    size_t ahead = FRAME_MEMORY_AHEAD_FIRST_BYTES;
    if (here_count >= FRAME_MEMORY_PROOF_BYTES) {
        /* By half, so that the copies of growing stay a fixed part of the work. */
        ahead =
            here_count / 2 > FRAME_MEMORY_AHEAD_BYTES ? here_count / 2 : FRAME_MEMORY_AHEAD_BYTES;
    }
    return byte_count - here_count > ahead ? here_count + ahead : byte_count;
}

static struct frame *new_charged(size_t byte_count, size_t capacity)
{
    bool is_whole = capacity == byte_count;
    struct frame *self = malloc(sizeof *self + (is_whole ? capacity : 0));
    if (self == NULL) {
        return NULL;
    }
    *self = (struct frame){.byte_count = byte_count, .capacity = capacity};
    self->bytes = is_whole ? inline_bytes(self) : malloc(capacity);
    if (self->bytes == NULL) {
        free(self);
        return NULL;
    }
    atomic_init(&self->reference_count, 1);
    return self;
}

struct frame *frame_memory_new(struct budget *budget, size_t byte_count, size_t here_count)
{
    check(here_count <= byte_count);

    size_t capacity = capacity_for(byte_count, here_count);
    if (!budget_take(budget, charge(capacity))) {
        return NULL;
    }
    struct frame *self = new_charged(byte_count, capacity);
    if (self == NULL) {
        budget_give(budget, charge(capacity));
        return NULL;
    }
    self->budget = budget;
    return self;
}

bool frame_memory_grow(struct frame *self, size_t here_count)
{
    check(here_count == self->capacity);
    check(self->capacity < self->byte_count);
    check(self->bytes != inline_bytes(self));

    size_t capacity = capacity_for(self->byte_count, here_count);
    if (!budget_take(self->budget, capacity - self->capacity)) {
        return false;
    }
    uint8_t *bytes = realloc(self->bytes, capacity);
    if (bytes == NULL) {
        budget_give(self->budget, capacity - self->capacity);
        return false;
    }
    self->bytes = bytes;
    self->capacity = capacity;
    return true;
}

struct frame *frame_ref(struct frame *self)
{
    uint32_t before = atomic_fetch_add_explicit(&self->reference_count, 1, memory_order_relaxed);
    check(before > 0);
    return self;
}

void frame_unref(struct frame *self)
{
    /* The last one frees what the others wrote: release before, acquire by the last. */
    uint32_t before = atomic_fetch_sub_explicit(&self->reference_count, 1, memory_order_acq_rel);
    check(before > 0);
    if (before > 1) {
        return;
    }
    budget_give(self->budget, charge(self->capacity));
    if (self->bytes != inline_bytes(self)) {
        free(self->bytes);
    }
    free(self);
}
