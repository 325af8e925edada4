/* The one way between loops: post an embedded message, the other loop delivers it.
 *
 * Messages of one sender arrive in order. A message belongs to the receiving loop from the post
 * until deliver() gives it back, usually by posting it to the sender's mailbox again.
 * A lock-free stack of links; the first post after a drain wakes the loop.
 *
 * Owner: the receiving loop. Loop: post from any, the rest on its own. Limits: none of its own; a
 * message is embedded in a request that was admitted, and those are bounded. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct mail {
    void (*deliver)(struct mail *self); /* On the receiving loop. */
    struct mail *next;                  /* The mailbox's while under way. */
};

struct mailbox {
    _Atomic(struct mail *) top;
    void (*wake)(struct mailbox *self); /* Any thread; given by the loop's driver. */
};

void mailbox_init(struct mailbox *self, void (*wake)(struct mailbox *self));
void mailbox_post(struct mailbox *self, struct mail *mail);
/* Delivers all that had arrived when it began, in order. False when there was nothing. */
bool mailbox_deliver(struct mailbox *self);
