#include "processor/plan/plan_copy.h"

#include "proto/sys/check.h"

#include <string.h>

static void *take(void *arena, size_t byte_count)
{
    return arena_take(arena, byte_count);
}

static void give_back(void *arena, void *bytes)
{
    (void)arena;
    (void)bytes;
}

enum status plan_copy_table(struct arena *arena, const Millrace__Plan__Table *table,
                            Millrace__Plan__Table **out_table)
{
    ProtobufCAllocator allocator = {.alloc = take, .free = give_back, .allocator_data = arena};
    size_t byte_count = millrace__plan__table__get_packed_size(table);
    uint8_t *bytes = arena_take(arena, byte_count);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    check(millrace__plan__table__pack(table, bytes) == byte_count);
    Millrace__Plan__Table *copy = millrace__plan__table__unpack(&allocator, byte_count, bytes);
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    *out_table = copy;
    return STATUS_OK;
}

enum status plan_copy_text(struct arena *arena, const char *text, char **out_text)
{
    char *copy = arena_copy_text(arena, text, strlen(text));
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    *out_text = copy;
    return STATUS_OK;
}
