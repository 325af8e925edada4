/* Random numbers from a seed (xoshiro256**, Blackman and Vigna), seeded by the world. Not for secrets. */
#pragma once

#include <stdint.h>

struct prng {
    uint64_t state[4];
};

void prng_init(struct prng *self, uint64_t seed);
uint64_t prng_next(struct prng *self);
/* Uniform in [0, bound); bound > 0. */
uint64_t prng_below(struct prng *self, uint64_t bound);
/* Uniform in [0, 1). */
double prng_fraction(struct prng *self);
void prng_fill(struct prng *self, void *bytes, uint64_t byte_count);
