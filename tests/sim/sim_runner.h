/* Plays a range of seeds in child processes and sums up.
 *
 * A child plays a slice of the seeds and reports each through a pipe; when it dies (a failed check,
 * a sanitizer, a signal), the seed it was playing has failed and another child goes on behind it.
 * A child tells its story on stderr before it dies.
 *
 * Owner: main. Loop: none; it works with processes. Limits: SIM_RUNNER_JOBS_MAX. */
#pragma once

#include "tests/sim/sim_workload.h"

#define SIM_RUNNER_JOBS_MAX 64U

struct sim_runner {
    const struct sim_workload *workload; /* Borrowed. */
    struct sim_workload_options options;
    uint64_t seed_first;
    uint64_t seed_last;
    uint32_t job_count; /* 0: one per core. */
    bool is_verbose;
    bool is_twice;
    bool prints_hashes;
    bool expects_failure;
};

/* True: it went as expected. Prints the totals. */
bool sim_runner_run(const struct sim_runner *self);
