/* One memory budget per process: every pool that a peer can fill takes from it before it allocates.
 *
 * Taking never waits: at the bound the caller stops reading its socket, or refuses, and tries again
 * when something was given back. Owner: the process. Loop: any (atomic). */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
    _Atomic size_t taken_bytes;
    size_t limit_bytes;
};

void budget_init(struct budget *self, size_t limit_bytes);
/* False: nothing was taken. */
__attribute__((warn_unused_result)) bool budget_take(struct budget *self, size_t byte_count);
void budget_give(struct budget *self, size_t byte_count);
size_t budget_taken_bytes(const struct budget *self);
