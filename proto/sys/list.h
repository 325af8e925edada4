/* Intrusive doubly linked list with a sentinel: no allocation, removal without knowing the list.
 *
 * A link that is in no list points at itself, so list_remove() may be called twice.
 * Owner: whoever embeds the head. Loop: the owner's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *previous;
};

#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
#define list_for_each(link, head)                                                                  \
    for (struct list *link = (head)->next; link != (head); link = link->next)
/* `link` may be removed (and its owner freed) inside the body. */
#define list_for_each_removable(link, head)                                                        \
    for (struct list *link = (head)->next, *link##_next_ = link->next; link != (head);            \
         link = link##_next_, link##_next_ = link->next)

static inline void list_init(struct list *self)
{
    self->next = self;
    self->previous = self;
}

static inline bool list_is_empty(const struct list *self)
{
    return self->next == self;
}

static inline void list_insert_before(struct list *self, struct list *link)
{
    link->previous = self->previous;
    link->next = self;
    self->previous->next = link;
    self->previous = link;
}

static inline void list_append(struct list *head, struct list *link)
{
    list_insert_before(head, link);
}

static inline void list_remove(struct list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

/* NULL when empty. */
static inline struct list *list_take_first(struct list *head)
{
    if (list_is_empty(head)) {
        return NULL;
    }
    struct list *first = head->next;
    list_remove(first);
    return first;
}
