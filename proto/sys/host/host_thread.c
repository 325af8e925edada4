#include "proto/sys/host/host_thread.h"

#include "proto/sys/check.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

enum status host_thread_start(uv_thread_t *out_thread, const char *name, void (*run)(void *context),
                              void *context)
{
    sigset_t all;
    sigset_t before;
    check(sigfillset(&all) == 0);
    check(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    uv_thread_t thread;
    int error = uv_thread_create(&thread, run, context);
    check(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (error != 0) {
        return STATUS_FULL;
    }
    char short_name[HOST_THREAD_NAME_BYTES_MAX];
    (void)snprintf(short_name, sizeof short_name, "%s", name);
    (void)pthread_setname_np(thread, short_name);
    *out_thread = thread;
    return STATUS_OK;
}
