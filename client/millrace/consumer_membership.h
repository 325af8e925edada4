/* What a group does to a consumer handle, and what the handle's polls do about it.
 *
 * The group's events come on the loop and only set marks. The next poll takes them up on its own
 * thread: it tells the application, commits where that is wanted, and lets the group go on. So the
 * application is never told from a foreign thread, and what a poll gave is committed only when the
 * next poll shows that it has been worked on.
 *
 * Owner: the consumer handle. Loop: as said. Limits: the group core's. */
#pragma once

#include "client/millrace/consumer_handle.h"

/* Loop. Opens the group core, where the handle has a group. */
void consumer_membership_open(struct millrace_consumer *self,
                              const struct consumer_core_options *core);
/* Loop. Leaves the group, then closes the consumer core. */
void consumer_membership_close(struct millrace_consumer *self, int64_t until_ns);
/* Loop. False: not a call of ours. */
bool consumer_membership_serve(struct consumer_handle_call *mine);

/* The polling thread: does what is due. `is_first` of one poll: what was polled has been worked
 * on. */
void consumer_membership_poll(struct millrace_consumer *self, bool is_first);
/* Inside the gate: something is due, and a poll need not wait. */
bool consumer_membership_is_due(const struct millrace_consumer *self);
/* Inside the gate: until when a poll may wait. */
int64_t consumer_membership_wake_ns(const struct millrace_consumer *self, int64_t until_ns);
