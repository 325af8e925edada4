#include "proto/sys/prng.h"

#include "proto/sys/check.h"

#include <string.h>

/* SplitMix64, the seeding its authors recommend: similar seeds give unrelated states. */
static uint64_t init_mix(uint64_t *seed)
{
    *seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

void prng_init(struct prng *self, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        self->state[i] = init_mix(&seed);
    }
}

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

uint64_t prng_next(struct prng *self)
{
    uint64_t *state = self->state;
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;

    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

uint64_t prng_below(struct prng *self, uint64_t bound)
{
    check(bound > 0);

    /* The lowest 2^64 mod bound values are refused, so that every remainder is equally likely. */
    uint64_t refused = (0 - bound) % bound;
    uint64_t value = 0;
    do {
        value = prng_next(self);
    } while (value < refused);
    return value % bound;
}

double prng_fraction(struct prng *self)
{
    return (double)(prng_next(self) >> 11) * 0x1.0p-53;
}

void prng_fill(struct prng *self, void *bytes, uint64_t byte_count)
{
    uint8_t *place = bytes;
    while (byte_count > 0) {
        uint64_t value = prng_next(self);
        size_t part = byte_count < sizeof value ? (size_t)byte_count : sizeof value;
        memcpy(place, &value, part);
        place += part;
        byte_count -= part;
    }
}
