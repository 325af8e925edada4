/* A text that grows, in an arena.
 *
 * A failure sticks: what follows is dropped, and text_builder_end() tells.
 *
 * Owner: who builds. Loop: any. Limits: the arena's. */
#pragma once

#include "proto/sys/arena.h"
#include "proto/sys/status.h"

#include <stdbool.h>
#include <stddef.h>

struct text_builder {
    struct arena *arena; /* Borrowed. */
    char *bytes;
    size_t byte_count;
    size_t room;
    bool is_failed;
};

void text_builder_init(struct text_builder *self, struct arena *arena);
void text_builder_add(struct text_builder *self, const char *text);
void text_builder_add_bytes(struct text_builder *self, const char *bytes, size_t byte_count);
__attribute__((format(printf, 2, 3))) void text_builder_print(struct text_builder *self,
                                                              const char *format, ...);
/* NUL-terminated. NO_MEMORY: the arena was full at some time. */
MUST_USE enum status text_builder_end(struct text_builder *self, const char **out_text);
