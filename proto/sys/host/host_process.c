#include "proto/sys/host/host_process.h"

#include "proto/sys/check.h"
#include "proto/sys/host/host_status.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESS_MAGIC 0x9c0ce551U
#define STREAM_COUNT 3

struct host_process {
    uint32_t magic;
    pid_t pid;
    int pid_fd; /* Readable when the child has ended. */
    uv_poll_t poll;
    void (*on_exit)(struct host_process *process, const struct host_process_end *end);
    void *context;
};

/* What the child needs, made ready before the fork: after it only async-signal-safe calls. */
struct plan {
    char *const *arguments;
    char *const *environment;
    const char *directory;
    int child_fds[STREAM_COUNT]; /* Above 2; -1: inherited. */
    int our_fds[STREAM_COUNT];   /* Of pipes, else -1. */
    int report_fd;               /* Where a failed start writes its errno. */
    pid_t parent;
    int parent_death_signal;
};

static void close_if_open(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static void plan_close(struct plan *plan)
{
    for (int i = 0; i < STREAM_COUNT; i++) {
        close_if_open(&plan->child_fds[i]);
        close_if_open(&plan->our_fds[i]);
    }
    close_if_open(&plan->report_fd);
}

/* Away from 0 to 2, which the child overwrites. 0 or a negative errno. */
static int lift(int fd, int *out_fd)
{
    if (fd < 0) {
        return -errno;
    }
    *out_fd = fcntl(fd, F_DUPFD_CLOEXEC, STREAM_COUNT);
    int error = *out_fd < 0 ? -errno : 0;
    (void)close(fd);
    return error;
}

static int plan_stream(struct plan *plan, int index, const struct host_process_stream *stream)
{
    int flags = O_CLOEXEC | (index == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_APPEND);
    int pair[2];
    switch (stream->kind) {
    case HOST_PROCESS_NOTHING:
        return lift(open("/dev/null", O_RDWR | O_CLOEXEC), &plan->child_fds[index]);
    case HOST_PROCESS_INHERIT:
        return 0;
    case HOST_PROCESS_FILE:
        return lift(open(stream->path, flags, 0600), &plan->child_fds[index]);
    case HOST_PROCESS_PIPE:
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
            return -errno;
        }
        int error = lift(pair[0], &plan->our_fds[index]);
        int child_error = lift(pair[1], &plan->child_fds[index]);
        return error != 0 ? error : child_error;
    }
    check_unreachable("stream kind outside its enum");
}

static _Noreturn void child_fail(const struct plan *plan)
{
    int error = errno;
    if (write(plan->report_fd, &error, sizeof error) != (ssize_t)sizeof error) {
        _exit(126);
    }
    _exit(127);
}

static _Noreturn void child_run(const struct plan *plan)
{
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL); /* Before the mask opens: our handlers are the parent's. */
    }
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, plan->parent_death_signal) != 0) {
        child_fail(plan);
    }
    if (getppid() != plan->parent) {
        _exit(126); /* The parent died before the line above could see it. */
    }
    for (int i = 0; i < STREAM_COUNT; i++) {
        if (plan->child_fds[i] >= 0 && dup2(plan->child_fds[i], i) < 0) {
            child_fail(plan);
        }
    }
    /* Libraries do not all mark theirs; an old kernel without the call leaves them open. */
    (void)close_range(STREAM_COUNT, ~0U, CLOSE_RANGE_CLOEXEC);
    if (plan->directory != NULL && chdir(plan->directory) != 0) {
        child_fail(plan);
    }
    (void)execve(plan->arguments[0], plan->arguments, plan->environment);
    child_fail(plan);
}

/* Signals wait while the child still has our handlers, which would act for the parent. */
static pid_t fork_child(const struct plan *plan)
{
    sigset_t all;
    sigset_t before;
    check(sigfillset(&all) == 0);
    check(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        child_run(plan);
    }
    int error = errno;
    check(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    errno = error;
    return pid;
}

static enum status status_of_start(int error)
{
    switch (error) {
    case 0:
        return STATUS_OK;
    case ENOENT:
    case ENOTDIR:
        return STATUS_NOT_FOUND;
    case ENOMEM:
        return STATUS_NO_MEMORY;
    case EAGAIN:
    case EMFILE:
    case ENFILE:
        return STATUS_FULL;
    default:
        return STATUS_INVALID;
    }
}

/* Waits until the child runs its program or has told why it cannot. Returns that errno or 0. */
static int start_child(struct plan *plan, pid_t *out_pid)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
        return errno;
    }
    int error = -lift(report[1], &plan->report_fd);
    if (error != 0) {
        (void)close(report[0]);
        return error;
    }
    pid_t pid = fork_child(plan);
    error = pid < 0 ? errno : 0;
    close_if_open(&plan->report_fd);
    if (pid > 0) {
        ssize_t count = 0;
        do {
            count = read(report[0], &error, sizeof error);
        } while (count < 0 && errno == EINTR);
        if (count > 0) {
            check(count == (ssize_t)sizeof error);
            check(waitpid(pid, NULL, 0) == pid);
        }
    }
    (void)close(report[0]);
    *out_pid = pid;
    return error;
}

static void free_on_closed(uv_handle_t *handle)
{
    free(container_of(handle, struct host_process, poll));
}

static void reap_on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct host_process *self = container_of(poll, struct host_process, poll);
    check(self->magic == PROCESS_MAGIC);
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)self->pid_fd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) {
        return;
    }
    struct host_process_end end = {0};
    if (info.si_code == CLD_EXITED) {
        end.exit_code = info.si_status;
    } else {
        end.signal_number = info.si_status;
    }
    check(uv_poll_stop(poll) == 0);
    self->on_exit(self, &end);
    self->magic = 0;
    uv_close((uv_handle_t *)poll, free_on_closed);
    (void)close(self->pid_fd);
}

static enum status open_planned(struct host_process *self, struct plan *plan,
                                const struct host_process_options *options)
{
    for (int i = 0; i < STREAM_COUNT; i++) {
        int error = plan_stream(plan, i, &options->streams[i]);
        if (error != 0) {
            return status_of_start(-error);
        }
    }
    enum status status = status_of_start(start_child(plan, &self->pid));
    if (status != STATUS_OK) {
        return status;
    }
    /* The number is ours until we reap it, so this cannot mean another process. */
    self->pid_fd = pidfd_open(self->pid, 0);
    int error = self->pid_fd < 0 ? -errno : 0;
    if (error == 0) {
        error = uv_poll_init(&options->loop->uv, &self->poll, self->pid_fd);
    }
    if (error != 0) {
        (void)kill(self->pid, SIGKILL);
        check(waitpid(self->pid, NULL, 0) == self->pid);
        close_if_open(&self->pid_fd);
        return status_of_start(-error);
    }
    check(uv_poll_start(&self->poll, UV_READABLE, reap_on_readable) == 0);
    return STATUS_OK;
}

enum status host_process_open(const struct host_process_options *options,
                              struct host_process **out_process)
{
    struct host_process *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    *self = (struct host_process){.magic = PROCESS_MAGIC,
                                  .pid_fd = -1,
                                  .on_exit = options->on_exit,
                                  .context = options->context};
    struct plan plan = {.environment = environ,
                        .directory = options->directory,
                        .child_fds = {-1, -1, -1},
                        .our_fds = {-1, -1, -1},
                        .report_fd = -1,
                        .parent = getpid(),
                        .parent_death_signal = options->parent_death_signal == 0
                                                   ? SIGKILL
                                                   : options->parent_death_signal};
    /* execve() only reads them, whatever its prototype says. */
    memcpy(&plan.arguments, &options->arguments, sizeof plan.arguments);
    if (options->environment != NULL) {
        memcpy(&plan.environment, &options->environment, sizeof plan.environment);
    }
    enum status status = open_planned(self, &plan, options);
    for (int i = 0; i < STREAM_COUNT && status == STATUS_OK; i++) {
        if (plan.our_fds[i] >= 0) {
            options->streams[i].out_token->value = plan.our_fds[i];
            plan.our_fds[i] = -1;
        }
    }
    plan_close(&plan);
    if (status != STATUS_OK) {
        free(self);
        return status;
    }
    *out_process = self;
    return STATUS_OK;
}

void host_process_signal(struct host_process *self, int signal_number)
{
    check(self->magic == PROCESS_MAGIC);
    /* It may have ended already; then on_exit is under way. */
    (void)pidfd_send_signal(self->pid_fd, signal_number, NULL, 0);
}

int host_process_id(const struct host_process *self)
{
    return self->pid;
}

void *host_process_context(const struct host_process *self)
{
    return self->context;
}
