/* Goal: memory that was freed serves the next request without fresh pages from the system.
 * Method: eight large buffers, used and freed twice; the kernel counts the pages. */
#include "proto/sys/host/host_memory.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static long use_and_free(void)
{
    struct rusage before;
    struct rusage after;
    char *buffers[8];
    cr_assert_eq(getrusage(RUSAGE_SELF, &before), 0);
    for (int i = 0; i < 8; i++) {
        buffers[i] = malloc(1 << 20);
        cr_assert_not_null(buffers[i]);
        memset(buffers[i], i, 1 << 20);
    }
    for (int i = 0; i < 8; i++) {
        free(buffers[i]);
    }
    cr_assert_eq(getrusage(RUSAGE_SELF, &after), 0);
    return after.ru_minflt - before.ru_minflt;
}

Test(host_memory, freed_buffers_are_used_again_without_fresh_pages)
{
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("the sanitizer brings its own allocator");
#endif
    host_memory_keep_freed();
    long first = use_and_free();

    long second = use_and_free();

    cr_expect_gt(first, 1000);
    cr_expect_lt(second, 100, "%ld fresh pages, %ld at first", second, first);
}
