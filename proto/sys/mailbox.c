#include "proto/sys/mailbox.h"

#include "proto/sys/check.h"

#include <stddef.h>

void mailbox_init(struct mailbox *self, void (*wake)(struct mailbox *self))
{
    check(wake != NULL);
    atomic_init(&self->top, NULL);
    self->wake = wake;
}

void mailbox_post(struct mailbox *self, struct mail *mail)
{
    check(mail->deliver != NULL);

    struct mail *top = atomic_load_explicit(&self->top, memory_order_relaxed);
    do {
        mail->next = top;
    } while (!atomic_compare_exchange_weak_explicit(&self->top, &top, mail, memory_order_release,
                                                    memory_order_relaxed));
    /* From here on `mail` may be delivered and freed. A box that was not empty has been woken by
     * whoever filled it and is not drained yet. */
    if (top == NULL) {
        self->wake(self);
    }
}

bool mailbox_deliver(struct mailbox *self)
{
    struct mail *newest = atomic_exchange_explicit(&self->top, NULL, memory_order_acquire);
    struct mail *oldest = NULL;
    while (newest != NULL) {
        struct mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }

    bool has_delivered = oldest != NULL;
    while (oldest != NULL) {
        struct mail *mail = oldest;
        oldest = mail->next; /* First: the receiver may free it or post it again. */
        mail->next = NULL;
        mail->deliver(mail);
    }
    return has_delivered;
}
