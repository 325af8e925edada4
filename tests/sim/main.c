/* sim: plays seeds of a workload, prints the failing ones and the totals. See README.md. */
#include "proto/sys/check.h"
#include "tests/sim/sim_runner.h"
#include "tests/sim/sim_workload.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const struct sim_workload *const rows[] = {
    workload_disk, workload_net, workload_quorum, workload_controller,
    workload_cluster, workload_job,
    workload_log,
};

#define SEEDS_DEFAULT 500U

static const char usage[] =
    "usage: sim --workload NAME [--seeds A-B] [options]\n"
    "  --workload NAME   one of those below\n"
    "  --seeds A-B       also a single number; else 1 up to MILLRACE_SIM_SEEDS, or 500\n"
    "  --shards N        loops per node; when not given the seed decides\n"
    "  --jobs N          processes side by side; one per core when not given\n"
    "  --verbose         tell the whole story of each seed, in this process\n"
    "  --twice           each seed in two processes with different memory; equal hashes wanted\n"
    "  --hashes          print seed and trace hash\n"
    "  --expect-failure  succeed when a seed fails (default for broken workloads)\n"
    "example: sim --workload disk --seeds 1-10000\n"
    "workloads:\n";

static void print_usage(FILE *out)
{
    fputs(usage, out);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (const struct sim_workload *row = rows[i]; row->name != NULL; row++) {
            fprintf(out, "  %-26s %s%s\n", row->name, row->is_broken ? "(broken) " : "",
                    row->purpose);
        }
    }
}

static const struct sim_workload *workload_find(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (const struct sim_workload *row = rows[i]; row->name != NULL; row++) {
            if (strcmp(row->name, name) == 0) {
                return row;
            }
        }
    }
    return NULL;
}

static bool parse_seeds(const char *text, struct sim_runner *runner)
{
    char *rest = NULL;
    runner->seed_first = strtoull(text, &rest, 10);
    runner->seed_last = runner->seed_first;
    if (rest != text && *rest == '-') {
        const char *last = rest + 1;
        runner->seed_last = strtoull(last, &rest, 10);
        if (rest == last) {
            return false;
        }
    }
    return rest != text && *rest == 0 && runner->seed_first <= runner->seed_last;
}

enum flag {
    FLAG_WORKLOAD = 1,
    FLAG_SEEDS,
    FLAG_SHARDS,
    FLAG_JOBS,
    FLAG_VERBOSE,
    FLAG_TWICE,
    FLAG_HASHES,
    FLAG_EXPECT_FAILURE,
};

static const struct option options[] = {
    {"workload", required_argument, NULL, FLAG_WORKLOAD},
    {"seeds", required_argument, NULL, FLAG_SEEDS},
    {"shards", required_argument, NULL, FLAG_SHARDS},
    {"jobs", required_argument, NULL, FLAG_JOBS},
    {"verbose", no_argument, NULL, FLAG_VERBOSE},
    {"twice", no_argument, NULL, FLAG_TWICE},
    {"hashes", no_argument, NULL, FLAG_HASHES},
    {"expect-failure", no_argument, NULL, FLAG_EXPECT_FAILURE},
    {0},
};

/* False: the command line makes no sense. */
static bool parse_option(int option, struct sim_runner *runner)
{
    switch (option) {
    case FLAG_WORKLOAD:
        runner->workload = workload_find(optarg);
        return runner->workload != NULL;
    case FLAG_SEEDS:
        return parse_seeds(optarg, runner);
    case FLAG_SHARDS:
        runner->options.loop_count = (uint32_t)strtoul(optarg, NULL, 10);
        return runner->options.loop_count <= 8;
    case FLAG_JOBS:
        runner->job_count = (uint32_t)strtoul(optarg, NULL, 10);
        return runner->job_count > 0 && runner->job_count <= SIM_RUNNER_JOBS_MAX;
    case FLAG_VERBOSE:
        runner->is_verbose = true;
        return true;
    case FLAG_TWICE:
        runner->is_twice = true;
        return true;
    case FLAG_HASHES:
        runner->prints_hashes = true;
        return true;
    case FLAG_EXPECT_FAILURE:
        runner->expects_failure = true;
        return true;
    default:
        return false;
    }
}

int main(int argument_count, char **arguments)
{
    struct sim_runner runner = {.seed_first = 1, .seed_last = SEEDS_DEFAULT};
    setvbuf(stdout, NULL, _IOLBF, 0); /* Long runs are looked at while they last. */
    const char *seeds = getenv("MILLRACE_SIM_SEEDS"); /* tests/run says how many. */
    if (seeds != NULL && strtoull(seeds, NULL, 10) > 0) {
        runner.seed_last = strtoull(seeds, NULL, 10);
    }
    for (;;) {
        int option = getopt_long(argument_count, arguments, "", options, NULL);
        if (option == -1) {
            break;
        }
        if (!parse_option(option, &runner)) {
            print_usage(stderr);
            return 2;
        }
    }
    if (runner.workload == NULL || optind < argument_count) {
        print_usage(stderr);
        return 2;
    }
    runner.expects_failure |= runner.workload->is_broken;
    return sim_runner_run(&runner) ? 0 : 1;
}
