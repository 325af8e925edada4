#include "broker/partition/parked.h"

#include "proto/sys/check.h"

static void end_wait(struct parked *self, enum parked_end end)
{
    list_remove(&self->link);
    timer_done(&self->deadline);
    self->on_end(self, end); /* May free `self`. */
}

static void wait_on_deadline(struct timer *timer)
{
    end_wait(container_of(timer, struct parked, deadline), PARKED_DEADLINE);
}

void parked_line_init(struct parked_line *self)
{
    list_init(&self->waits);
}

void parked_wait(struct parked *self, struct parked_line *line, struct loop *loop,
                 int64_t deadline_ns)
{
    check(self->on_end != NULL);
    check(!parked_is_waiting(self));

    /* Most waits want more than all before them, so the place is looked for from the back. */
    struct list *before = line->waits.previous;
    while (before != &line->waits &&
           container_of(before, struct parked, link)->wanted > self->wanted) {
        before = before->previous;
    }
    list_insert_before(before->next, &self->link);
    timer_init(&self->deadline, &loop->timers, wait_on_deadline);
    if (deadline_ns != INT64_MAX) {
        timer_start_at(&self->deadline, deadline_ns);
    }
}

bool parked_is_waiting(const struct parked *self)
{
    return self->link.next != NULL && !list_is_empty(&self->link);
}

void parked_cancel(struct parked *self)
{
    if (parked_is_waiting(self)) {
        list_remove(&self->link);
        timer_done(&self->deadline);
    }
}

static void end_while(struct parked_line *self, int64_t reached, enum parked_end end)
{
    /* Taken out as a whole first: an on_end may park again in the same line. */
    struct list ended;
    list_init(&ended);
    while (!list_is_empty(&self->waits)) {
        struct parked *first = container_of(self->waits.next, struct parked, link);
        if (first->wanted > reached) {
            break;
        }
        list_remove(&first->link);
        list_append(&ended, &first->link);
    }
    while (!list_is_empty(&ended)) {
        end_wait(container_of(ended.next, struct parked, link), end);
    }
}

void parked_line_wake(struct parked_line *self, int64_t reached)
{
    end_while(self, reached, PARKED_REACHED);
}

void parked_line_lose(struct parked_line *self)
{
    end_while(self, INT64_MAX, PARKED_LOST);
}
