#include "proto/sys/host/host_entropy.h"

#include "proto/sys/check.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

void host_entropy_fill(void *bytes, size_t byte_count)
{
    uint8_t *place = bytes;
    while (byte_count > 0) {
        ssize_t count = getrandom(place, byte_count, 0);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        check(count > 0);
        place += count;
        byte_count -= (size_t)count;
    }
}

uint64_t host_entropy_seed(void)
{
    uint64_t seed = 0;
    host_entropy_fill(&seed, sizeof seed);
    return seed;
}
