/* Which processor gets which task: as few moves as can be, then as even as can be.
 *
 * A task stays with who runs it, as long as he has no more than his share (the tasks over the
 * members, rounded up); the others go, in order, to whoever has the fewest. Pure: the same
 * arguments give the same answer on every member.
 *
 * Owner: nobody. Loop: any. Limits: none of its own. */
#pragma once

#include "proto/internal/processor_record.pb-c.h"
#include "proto/sys/status.h"

#include <stdbool.h>
#include <stdint.h>

#define TASK_DEAL_NOBODY UINT32_MAX

struct task_deal_task {
    const Millrace__Processor__TaskId *id;
    uint32_t member; /* The answer; NOBODY without members. */
};

/* `members` in an order that all agree on, with what each runs now. NO_MEMORY. */
MUST_USE enum status task_deal(struct task_deal_task *tasks, uint32_t task_count,
                               const Millrace__Processor__Member *const *members,
                               uint32_t member_count);
bool task_deal_is_same(const Millrace__Processor__TaskId *left,
                       const Millrace__Processor__TaskId *right);
