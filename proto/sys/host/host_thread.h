/* A thread with a name and without signals: those are the business of the thread that the process
 * began with. Owner: whoever starts it. Loop: none. */
#pragma once

#include "proto/sys/status.h"

#include <uv.h>

#define HOST_THREAD_NAME_BYTES_MAX 16U /* What the kernel keeps of it. */

/* `name` is cut where it is longer; STATUS_FULL: the system gives no more threads. */
MUST_USE enum status host_thread_start(uv_thread_t *out_thread, const char *name,
                                       void (*run)(void *context), void *context);
