#include "broker/partition/txn_pass.h"

#include "proto/sys/check.h"

void txn_pass_begin(struct txn_pass *self, struct list *passes)
{
    check(self->producer_id >= 0);
    self->is_spoiled = false;
    list_init(&self->link);
    list_append(passes, &self->link);
}

void txn_pass_end(struct txn_pass *self)
{
    if (self != NULL && self->link.next != NULL) {
        list_remove(&self->link);
    }
}

bool txn_pass_holds(const struct txn_pass *self, int64_t producer_id, int16_t producer_epoch)
{
    return self != NULL && self->link.next != NULL && !list_is_empty(&self->link) &&
           !self->is_spoiled && self->producer_id == producer_id &&
           self->producer_epoch == producer_epoch;
}

void txn_pass_spoil(struct list *passes, int64_t producer_id)
{
    list_for_each(link, passes)
    {
        struct txn_pass *pass = container_of(link, struct txn_pass, link);
        pass->is_spoiled = pass->is_spoiled || pass->producer_id == producer_id;
    }
}

void txn_pass_spoil_all(struct list *passes)
{
    struct list *link;
    while ((link = list_take_first(passes)) != NULL) {
        container_of(link, struct txn_pass, link)->is_spoiled = true;
    }
}
