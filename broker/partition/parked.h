/* Parked waits of one partition: requests that go on when an offset is reached.
 *
 * One line per thing that rises (flushed end, high watermark, last stable offset, log end). A wait
 * sits in one line, in order of what it wants; waking takes from the front. A wait may have a
 * deadline of its own.
 *
 * Owner: the partition owns the lines, the request owns the wait. Loop: the shard's. Limits: waits
 * are embedded in requests, and those are bounded by their connections. */
#pragma once

#include "proto/sys/loop.h"

enum parked_end {
    PARKED_REACHED,  /* The line passed what was wanted. */
    PARKED_DEADLINE, /* The wait's own deadline came first. */
    PARKED_LOST,     /* The partition no longer leads here, is deleted, or its disk failed. */
};

struct parked {
    int64_t wanted; /* Goes on when the line's value is at least this. */
    void (*on_end)(struct parked *self, enum parked_end end);
    struct list link;
    struct timer deadline;
};

struct parked_line {
    struct list waits; /* Ascending by `wanted`. */
};

void parked_line_init(struct parked_line *self);
/* `deadline_ns` INT64_MAX: none. `self` stays put until on_end or parked_cancel(). */
void parked_wait(struct parked *self, struct parked_line *line, struct loop *loop,
                 int64_t deadline_ns);
bool parked_is_waiting(const struct parked *self);
/* No on_end after it. Accepts a wait that has ended or never began (zeroed). */
void parked_cancel(struct parked *self);
/* Ends all that want at most `reached`. */
void parked_line_wake(struct parked_line *self, int64_t reached);
void parked_line_lose(struct parked_line *self);
