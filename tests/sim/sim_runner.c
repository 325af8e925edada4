#include "tests/sim/sim_runner.h"

#include "proto/sys/check.h"
#include "tests/sim/sim_heap.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLICE_SEEDS 25U
#define FAILURES_TOLD_MAX 5U
#define TWICE_LINE_BYTES 512 /* A cut line would look like a seed of its own. */

/* What a child says about one seed; smaller than a pipe's atomic write. */
struct report {
    uint64_t seed;
    uint64_t trace_hash;
    uint64_t event_count;
    int64_t virtual_ns;
    bool has_failed;
    char failure[256];
};

struct job {
    pid_t process; /* 0: free. */
    int pipe;
    uint64_t seed_next; /* The one the child plays now. */
    uint64_t seed_last;
};

struct totals {
    uint64_t seed_count;
    uint64_t failure_count;
    uint64_t event_count;
    int64_t virtual_ns;
    struct report first_failure; /* By number, since slices end in any order. */
};

/* --- In the child --- */

static const struct sim_world *world_playing;

/* A failed check aborts in the middle of anything; telling the story allocates nothing of note. */
static void on_abort(int number)
{
    (void)number;
    signal(SIGABRT, SIG_DFL);
    if (world_playing != NULL) {
        sim_world_tell(world_playing, stderr);
        fflush(stderr);
    }
    raise(SIGABRT);
}

static struct report play(const struct sim_runner *self, uint64_t seed, bool tells)
{
    struct sim_world *world =
        sim_world_new(&(struct sim_world_options){.seed = seed, .is_verbose = self->is_verbose});
    world_playing = world;
    self->workload->run(world, &self->options);
    check(world->inside == NULL);
    if (world->has_failed && tells) {
        sim_world_tell(world, stderr);
    }
    struct report report = {.seed = seed,
                            .trace_hash = world->trace_hash,
                            .event_count = world->event_count,
                            .virtual_ns = world->now_ns,
                            .has_failed = world->has_failed};
    snprintf(report.failure, sizeof report.failure, "%.250s", world->failure);
    world_playing = NULL;
    sim_world_free(world);
    return report;
}

static void child_run(const struct sim_runner *self, const struct job *job, uint64_t told_count)
{
    signal(SIGABRT, on_abort);
    /* Worlds come and go: giving their memory back to the kernel each time costs a tenth. */
    mallopt(M_MMAP_THRESHOLD, 1 << 28);
    mallopt(M_TRIM_THRESHOLD, 1 << 28);
    for (uint64_t seed = job->seed_next; seed <= job->seed_last; seed++) {
        bool tells =
            !self->expects_failure && !self->prints_hashes && told_count < FAILURES_TOLD_MAX;
        struct report report = play(self, seed, tells);
        told_count += report.has_failed;
        check(write(job->pipe, &report, sizeof report) == (ssize_t)sizeof report);
    }
    fflush(NULL);
    _exit(0);
}

/* --- In the parent --- */

static void job_start(const struct sim_runner *self, struct job *job, const struct totals *totals)
{
    int ends[2];
    check(pipe(ends) == 0);
    fflush(NULL);
    pid_t process = fork();
    check(process >= 0);
    if (process == 0) {
        close(ends[0]);
        struct job own = *job;
        own.pipe = ends[1];
        child_run(self, &own, totals->failure_count);
    }
    close(ends[1]);
    job->process = process;
    job->pipe = ends[0];
}

static void count_report(const struct sim_runner *self, struct totals *totals,
                         const struct report *report)
{
    totals->seed_count += 1;
    totals->event_count += report->event_count;
    totals->virtual_ns += report->virtual_ns;
    if (self->prints_hashes) {
        printf("%llu %016llx\n", (unsigned long long)report->seed,
               (unsigned long long)report->trace_hash);
    }
    if (!report->has_failed) {
        return;
    }
    if (totals->failure_count == 0 || report->seed < totals->first_failure.seed) {
        totals->first_failure = *report;
    }
    totals->failure_count += 1;
    if (!self->expects_failure) {
        printf("seed %llu FAILED: %s\n", (unsigned long long)report->seed, report->failure);
        printf("  again: sim --workload %s --seeds %llu --verbose\n", self->workload->name,
               (unsigned long long)report->seed);
    }
}

/* The child is gone before its slice was: the seed it played killed it. */
static void count_dead_child(const struct sim_runner *self, struct job *job, struct totals *totals,
                             int wait_status)
{
    struct report report = {.seed = job->seed_next, .has_failed = true};
    if (WIFSIGNALED(wait_status)) {
        snprintf(report.failure, sizeof report.failure, "killed by signal %d (%s)",
                 WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
    } else {
        snprintf(report.failure, sizeof report.failure, "exited with %d", WEXITSTATUS(wait_status));
    }
    count_report(self, totals, &report);
    job->seed_next += 1;
}

/* False: the child has said all it will. */
static bool job_listen(const struct sim_runner *self, struct job *job, struct totals *totals)
{
    struct report report;
    ssize_t byte_count = read(job->pipe, &report, sizeof report);
    if (byte_count == (ssize_t)sizeof report) {
        check(report.seed == job->seed_next);
        job->seed_next += 1;
        count_report(self, totals, &report);
        return true;
    }
    close(job->pipe);
    int wait_status = 0;
    check(waitpid(job->process, &wait_status, 0) == job->process);
    job->process = 0;
    if (job->seed_next <= job->seed_last) {
        count_dead_child(self, job, totals, wait_status);
    }
    if (job->seed_next <= job->seed_last) {
        job_start(self, job, totals);
        return true;
    }
    return false;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Of this process and its children, on all cores. */
static double cpu_s(void)
{
    double total = 0;
    const int whose[2] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    for (size_t i = 0; i < 2; i++) {
        struct rusage usage;
        check(getrusage(whose[i], &usage) == 0);
        total += (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
        total += (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
    }
    return total;
}

static uint32_t job_count_of(const struct sim_runner *self)
{
    long cores = self->job_count > 0 ? (long)self->job_count : sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1                           ? 1
           : cores > (long)SIM_RUNNER_JOBS_MAX ? SIM_RUNNER_JOBS_MAX
                                               : (uint32_t)cores;
}

static void play_all(const struct sim_runner *self, struct totals *totals)
{
    struct job jobs[SIM_RUNNER_JOBS_MAX] = {0};
    struct pollfd polls[SIM_RUNNER_JOBS_MAX];
    uint32_t job_count = job_count_of(self);
    uint64_t seed_next = self->seed_first;
    for (;;) {
        /* One failure is all that a broken workload is asked for. */
        bool is_enough = self->expects_failure && totals->failure_count > 0;
        nfds_t poll_count = 0;
        for (uint32_t i = 0; i < job_count; i++) {
            if (jobs[i].process == 0 && seed_next <= self->seed_last && !is_enough) {
                jobs[i].seed_next = seed_next;
                seed_next += SLICE_SEEDS;
                jobs[i].seed_last =
                    seed_next - 1 < self->seed_last ? seed_next - 1 : self->seed_last;
                job_start(self, &jobs[i], totals);
            }
            polls[i] =
                (struct pollfd){.fd = jobs[i].process == 0 ? -1 : jobs[i].pipe, .events = POLLIN};
            poll_count += jobs[i].process != 0;
        }
        if (poll_count == 0) {
            return;
        }
        check(poll(polls, job_count, -1) > 0);
        for (uint32_t i = 0; i < job_count; i++) {
            if (jobs[i].process != 0 && polls[i].revents != 0) {
                job_listen(self, &jobs[i], totals);
            }
        }
    }
}

/* --- Every seed in this process, for people and debuggers --- */

static void play_here(const struct sim_runner *self, struct totals *totals)
{
    signal(SIGABRT, on_abort);
    for (uint64_t seed = self->seed_first; seed <= self->seed_last; seed++) {
        struct report report = play(self, seed, false);
        count_report(self, totals, &report);
    }
}

/* --- Twice --- */

static FILE *start_pass(const struct sim_runner *self, unsigned perturb)
{
    char own[512];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    check(length > 0);
    own[length] = 0;
    char command[1024];
    snprintf(
        command, sizeof command,
        "MALLOC_PERTURB_=%u '%s' --workload %s --seeds %llu-%llu --shards %u --jobs 1 --hashes",
        perturb, own, self->workload->name, (unsigned long long)self->seed_first,
        (unsigned long long)self->seed_last, self->options.loop_count);
    FILE *pass = popen(command, "r");
    check(pass != NULL);
    return pass;
}

static bool run_twice(const struct sim_runner *self)
{
    FILE *passes[2] = {start_pass(self, 85), start_pass(self, 170)};
    uint64_t seed_count = 0;
    bool is_equal = true;
    for (bool is_open = true; is_open;) {
        char lines[2][TWICE_LINE_BYTES] = {"", ""};
        for (size_t i = 0; i < 2; i++) {
            is_open &= fgets(lines[i], sizeof lines[i], passes[i]) != NULL;
        }
        if (strspn(lines[0], "0123456789") == 0) {
            continue; /* Totals hold times. */
        }
        seed_count += 1;
        if (strcmp(lines[0], lines[1]) != 0) {
            printf("not the same twice: %s                 and %s", lines[0], lines[1]);
            is_equal = false;
        }
    }
    bool has_passed = pclose(passes[0]) == 0;
    has_passed &= pclose(passes[1]) == 0;
    printf("%s: %llu seeds played twice, trace hashes %s\n", self->workload->name,
           (unsigned long long)seed_count, is_equal ? "equal" : "DIFFER");
    return is_equal && has_passed && seed_count == self->seed_last - self->seed_first + 1;
}

static bool print_totals(const struct sim_runner *self, const struct totals *totals, double real_s)
{
    double virtual_s = (double)totals->virtual_ns / 1e9;
    double used_s = cpu_s();
    printf("%s: %llu seeds, %llu failed; %llu events and %.0f virtual s in %.1f s (%.1f s of CPU); "
           "per CPU second %.1f seeds, %.0f events, %.0f virtual s\n",
           self->workload->name, (unsigned long long)totals->seed_count,
           (unsigned long long)totals->failure_count, (unsigned long long)totals->event_count,
           virtual_s, real_s, used_s, (double)totals->seed_count / used_s,
           (double)totals->event_count / used_s, virtual_s / used_s);
    if (!self->expects_failure) {
        return totals->failure_count == 0;
    }
    if (totals->failure_count == 0) {
        printf("%s: no seed failed, and one must\n", self->workload->name);
        return false;
    }
    printf("%s: found by seed %llu: %s\n", self->workload->name,
           (unsigned long long)totals->first_failure.seed, totals->first_failure.failure);
    return true;
}

bool sim_runner_run(const struct sim_runner *self)
{
    if (self->is_twice) {
        return run_twice(self);
    }
    struct totals totals = {0};
    double start_s = now_s();
    if (self->is_verbose) {
        play_here(self, &totals);
    } else {
        play_all(self, &totals);
    }
    return print_totals(self, &totals, now_s() - start_s);
}
