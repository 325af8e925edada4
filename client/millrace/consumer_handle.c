#include "client/millrace/consumer_handle.h"

#include "proto/sys/check.h"

#include <stdlib.h>

int consumer_handle_explain(const struct consumer_handle_fault *fault, struct millrace_error *error)
{
    char what[320];
    if (fault->topic[0] == '\0') {
        int code = trouble_either(error, fault->status, fault->error_code,
                                  "the consumer is no longer in its group");
        if (error != NULL) {
            error->is_fatal = true;
        }
        return code;
    }
    if (fault->partition < 0) {
        (void)snprintf(what, sizeof what, "cannot read topic %s", fault->topic);
    } else {
        (void)snprintf(what, sizeof what, "cannot read %s, partition %d", fault->topic,
                       fault->partition);
    }
    return trouble_either(error, fault->status, fault->error_code, what);
}

/* ---- from the core: on the loop ---- */

void consumer_handle_on_fetched(void *context, struct consumer_fetched *fetched)
{
    struct millrace_consumer *self = context;
    host_gate_enter(&self->gate);
    list_append(&self->inbox, &fetched->in_line);
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
}

void consumer_handle_purge(struct millrace_consumer *self,
                           const struct consumer_partition *partition)
{
    struct list dropped;
    list_init(&dropped);
    host_gate_enter(&self->gate);
    list_for_each_removable(link, &self->inbox)
    {
        struct consumer_fetched *fetched = container_of(link, struct consumer_fetched, in_line);
        if (partition == NULL || fetched->partition == partition) {
            list_remove(link);
            list_append(&dropped, link);
        }
    }
    host_gate_leave(&self->gate);
    struct list *link;
    while ((link = list_take_first(&dropped)) != NULL) {
        struct consumer_fetched *fetched = container_of(link, struct consumer_fetched, in_line);
        fetched->generation -= 1; /* It was not read, so it must not move the reader. */
        consumer_core_give_back(&self->core, fetched);
    }
}

void consumer_handle_on_fault(void *context, const struct consumer_fault *fault)
{
    struct millrace_consumer *self = context;
    host_gate_enter(&self->gate);
    if (self->fault_count < CONSUMER_HANDLE_FAULTS_MAX) {
        struct consumer_handle_fault *place = &self->faults[self->fault_count++];
        *place = (struct consumer_handle_fault){.partition = fault->partition,
                                                .status = fault->status,
                                                .error_code = fault->error_code};
        (void)snprintf(place->topic, sizeof place->topic, "%.*s", fault->topic.byte_count,
                       fault->topic.bytes);
    }
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
}

void consumer_handle_on_placed(void *context)
{
    struct millrace_consumer *self = context;
    host_gate_enter(&self->gate);
    self->is_placed = true;
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
}

static void returned_deliver(struct mail *mail)
{
    struct millrace_consumer *self = container_of(mail, struct millrace_consumer, returned_mail);
    struct list taken;
    list_init(&taken);
    host_gate_enter(&self->gate);
    self->is_returned_posted = false;
    struct list *link;
    while ((link = list_take_first(&self->returned)) != NULL) {
        list_append(&taken, link);
    }
    host_gate_leave(&self->gate);
    while ((link = list_take_first(&taken)) != NULL) {
        struct consumer_fetched *fetched = container_of(link, struct consumer_fetched, in_line);
        const struct consumer_partition *partition = fetched->partition;
        bool has_fault =
            fetched->fault != STATUS_OK && fetched->generation == partition->generation;
        consumer_core_give_back(&self->core, fetched);
        if (has_fault) {
            consumer_handle_purge(self, partition);
        }
    }
}

void consumer_handle_give_back(struct millrace_consumer *self, struct consumer_fetched *fetched)
{
    host_gate_enter(&self->gate);
    consumer_handle_note(self, fetched);
    list_append(&self->returned, &fetched->in_line);
    if (!self->is_returned_posted) {
        self->is_returned_posted = true;
        self->returned_mail = (struct mail){.deliver = returned_deliver};
        mailbox_post(&self->handle.session->host.loop.mailbox, &self->returned_mail);
    }
    host_gate_leave(&self->gate);
}

struct consumer_handle_fault consumer_handle_take_fault(struct millrace_consumer *self)
{
    struct consumer_handle_fault first = self->faults[0];
    self->fault_count -= 1;
    memmove(&self->faults[0], &self->faults[1], self->fault_count * sizeof *self->faults);
    return first;
}

void consumer_handle_note(struct millrace_consumer *self, const struct consumer_fetched *fetched)
{
    struct consumer_handle_polled *polled = NULL;
    for (size_t i = 0; i < self->polled_count && polled == NULL; i++) {
        polled = self->polled[i].partition == fetched->partition ? &self->polled[i] : NULL;
    }
    if (polled == NULL && self->polled_count == self->polled_room) {
        size_t room = self->polled_room == 0 ? 16 : self->polled_room * 2;
        struct consumer_handle_polled *grown = realloc(self->polled, room * sizeof *grown);
        if (grown == NULL) {
            return; /* Not committed: it will be read again rather than lost. */
        }
        self->polled = grown;
        self->polled_room = room;
    }
    if (polled == NULL) {
        polled = &self->polled[self->polled_count++];
        *polled = (struct consumer_handle_polled){.partition = fetched->partition,
                                                  .index = fetched->index,
                                                  .topic_bytes = fetched->topic_bytes,
                                                  .processed = -1,
                                                  .committed = -1};
        (void)snprintf(polled->topic, sizeof polled->topic, "%s", fetched->topic);
    }
    polled->polled = fetched->next_offset;
}

enum status consumer_handle_run(struct millrace_consumer *self, struct consumer_handle_call *mine)
{
    mine->call.run = self->serve;
    mine->consumer = self;
    return session_run(self->handle.session, &mine->call) ? mine->status : STATUS_CLOSED;
}
