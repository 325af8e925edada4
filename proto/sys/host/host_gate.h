/* Where threads that own no loop wait for one: a lock, and a change that can be waited for.
 *
 * Only for the blocking side of the client library; code on a loop never waits. What the lock
 * guards is touched between enter and leave only.
 * Owner: whoever embeds it. Loop: any thread. */
#pragma once

#include "proto/sys/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct host_gate {
    uv_mutex_t lock;
    uv_cond_t changed;
    bool is_open;
};

MUST_USE enum status host_gate_init(struct host_gate *self);
/* Nobody may be inside. Accepts a zeroed one. */
void host_gate_done(struct host_gate *self);
void host_gate_enter(struct host_gate *self);
void host_gate_leave(struct host_gate *self);
/* From inside: lets others in until somebody tells of a change, or `until_ns` of the monotonic
 * clock (INT64_MAX: forever). False: that time has come. Look again after every return. */
bool host_gate_wait(struct host_gate *self, int64_t until_ns);
void host_gate_tell(struct host_gate *self);
