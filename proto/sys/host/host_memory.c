#include "proto/sys/host/host_memory.h"

#include <malloc.h>

/* Buffers up to this come from the heap, which is kept, and not from mappings of their own. It is
 * the most that the allocator takes. */
#define MAPPED_FROM_BYTES (32 << 20)
#define KEPT_BYTES_MAX (1 << 30)

void host_memory_keep_freed(void)
{
    /* Another allocator (a sanitizer's) refuses, and then knows better. */
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES_MAX);
}
