/* Randomness that nobody can foresee, from the kernel: seeds, identities, nonces.
 *
 * Owner: nobody. Loop: any. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Cannot fail once the machine has booted; without entropy there is no safe way to go on. */
void host_entropy_fill(void *bytes, size_t byte_count);
uint64_t host_entropy_seed(void);
