#include "proto/sys/budget.h"

#include "proto/sys/check.h"

void budget_init(struct budget *self, size_t limit_bytes)
{
    atomic_init(&self->taken_bytes, 0);
    self->limit_bytes = limit_bytes;
}

/* A loop and not one addition, so that a refused take is never seen by others as a full budget. */
bool budget_take(struct budget *self, size_t byte_count)
{
    size_t taken = atomic_load_explicit(&self->taken_bytes, memory_order_relaxed);
    do {
        if (taken > self->limit_bytes || byte_count > self->limit_bytes - taken) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&self->taken_bytes, &taken, taken + byte_count,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void budget_give(struct budget *self, size_t byte_count)
{
    size_t taken = atomic_fetch_sub_explicit(&self->taken_bytes, byte_count, memory_order_relaxed);
    check(taken >= byte_count);
}

size_t budget_taken_bytes(const struct budget *self)
{
    return atomic_load_explicit(&self->taken_bytes, memory_order_relaxed);
}
