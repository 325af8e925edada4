#include "broker/controller/decision.h"

#include "proto/sys/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[] = {
#define X(name, text) [DECISION_##name] = text,
    DECISION_REASON_TABLE(X)
#undef X
};

const char *decision_reason_text(enum decision_reason reason)
{
    check((size_t)reason < sizeof texts / sizeof texts[0]);
    return texts[reason];
}

void decision_refuse(struct decision_error *self, enum decision_reason reason, const char *format,
                     ...)
{
    va_list arguments;
    check(reason != DECISION_NONE);
    self->reason = reason;
    va_start(arguments, format);
    int written = vsnprintf(self->message, sizeof self->message, format, arguments);
    va_end(arguments);
    check(written >= 0);
}

int decision_text_length(struct wire_text text)
{
    int32_t most = 80;
    if (text.byte_count < 0) {
        return 0;
    }
    return text.byte_count < most ? text.byte_count : most;
}

struct placed_key {
    struct wire_text text;
    uint32_t place;
};

static int compare_keys(const void *left, const void *right)
{
    const struct placed_key *a = left;
    const struct placed_key *b = right;
    if (a->text.byte_count != b->text.byte_count) {
        return a->text.byte_count < b->text.byte_count ? -1 : 1;
    }
    return a->text.byte_count <= 0
               ? 0
               : memcmp(a->text.bytes, b->text.bytes, (size_t)a->text.byte_count);
}

bool *decision_find_repeated(struct arena *arena, const struct wire_text *keys, uint32_t count)
{
    bool *is_repeated = arena_take_array(arena, count, sizeof *is_repeated);
    struct placed_key *sorted = arena_take_array(arena, count, sizeof *sorted);
    if (is_repeated == NULL || sorted == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        sorted[i] = (struct placed_key){.text = keys[i], .place = i};
    }
    qsort(sorted, count, sizeof *sorted, compare_keys);
    for (uint32_t i = 1; i < count; i++) {
        if (compare_keys(&sorted[i - 1], &sorted[i]) == 0) {
            is_repeated[sorted[i - 1].place] = true;
            is_repeated[sorted[i].place] = true;
        }
    }
    return is_repeated;
}
