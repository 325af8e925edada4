/* A child process: started with its streams where they shall go, told when it ends.
 *
 * The child dies with the thread that started it (so start it from a thread that lives as long as
 * the process), stands in a process group of its own, so that the terminal's Ctrl-C is the parent's
 * alone, and begins with default signal handling. It is watched and signalled by a descriptor, so a
 * number that the system has given to another process is never hit.
 *
 * Owner: a main. Loop: the one it was opened on, which must not end before on_exit. */
#pragma once

#include "proto/sys/host/host_loop.h"

struct host_process;

enum host_process_stream_kind {
    HOST_PROCESS_NOTHING, /* Reads the end of the file, writes into the void. */
    HOST_PROCESS_INHERIT,
    HOST_PROCESS_FILE, /* Appended to, created when missing; stream 0 only reads it. */
    HOST_PROCESS_PIPE, /* Our end is a stream: adopt it on any loop, or drop it. */
};

struct host_process_stream {
    enum host_process_stream_kind kind;
    const char *path;               /* FILE only. */
    struct socket_token *out_token; /* PIPE only; filled on success. */
};

/* Exactly one of the two is not 0, or both are. */
struct host_process_end {
    int exit_code;
    int signal_number;
};

struct host_process_options {
    struct host_loop *loop;
    const char *const *arguments;   /* NULL-terminated; the first is the path of the program. */
    const char *const *environment; /* NULL-terminated; NULL: our own. */
    const char *directory;          /* NULL: ours. */
    struct host_process_stream streams[3];
    int parent_death_signal; /* What our death sends it; 0: SIGKILL. */
    /* Once; `process` is gone when it returns. */
    void (*on_exit)(struct host_process *process, const struct host_process_end *end);
    void *context;
};

/* STATUS_NOT_FOUND: no such program or directory; STATUS_INVALID: it cannot be executed. */
MUST_USE enum status host_process_open(const struct host_process_options *options,
                                       struct host_process **out_process);
/* Until on_exit. `signal_number` as in SIGTERM. */
void host_process_signal(struct host_process *self, int signal_number);
int host_process_id(const struct host_process *self);
void *host_process_context(const struct host_process *self);
