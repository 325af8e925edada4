#include "broker/log/entry_room.h"

#include "proto/sys/check.h"

#include <stdlib.h>

#define ENTRY_ROOM_FIRST 16U

enum status entry_room_reserve(void **entries, uint32_t *room, uint32_t needed, uint32_t room_max,
                               size_t entry_bytes)
{
    check(entry_bytes > 0);
    check((*entries == NULL) == (*room == 0));
    if (needed <= *room) {
        return STATUS_OK;
    }
    if (needed > room_max) {
        return STATUS_FULL;
    }

    uint64_t wanted = *room == 0 ? ENTRY_ROOM_FIRST : (uint64_t)*room * 2;
    if (wanted < needed) {
        wanted = needed;
    }
    if (wanted > room_max) {
        wanted = room_max;
    }
    void *grown = reallocarray(*entries, (size_t)wanted, entry_bytes);
    if (grown == NULL) {
        return STATUS_NO_MEMORY;
    }
    *entries = grown;
    *room = (uint32_t)wanted;
    return STATUS_OK;
}
