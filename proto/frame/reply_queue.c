#include "proto/frame/reply_queue.h"

#include "proto/sys/check.h"

#include <stdlib.h>

#define TICKET_MAGIC 0x71c4e7a1U

static struct ticket *ticket_of(struct list *link)
{
    struct ticket *ticket = container_of(link, struct ticket, link);
    check(ticket->magic == TICKET_MAGIC);
    return ticket;
}

static void on_written(struct socket_write *write, enum status status);

void reply_queue_init(struct reply_queue *self, struct socket *socket,
                      void (*on_left)(struct reply_queue *self, enum status status,
                                      size_t byte_count))
{
    *self = (struct reply_queue){.socket = socket, .on_left = on_left};
    list_init(&self->line);
    list_init(&self->leaving);
    list_init(&self->spare);
    self->buffers = self->own_buffers;
    self->write.on_done = on_written;
}

void reply_queue_done(struct reply_queue *self)
{
    check(self->owed_count == 0);
    check(!self->is_writing);
    list_for_each_removable(link, &self->spare)
    {
        free(ticket_of(link));
    }
    *self = (struct reply_queue){0};
}

struct ticket *reply_queue_take(struct reply_queue *self)
{
    check(self->owed_count < CONNECTION_TICKETS_MAX);

    struct ticket *ticket = NULL;
    if (!list_is_empty(&self->spare)) {
        ticket = ticket_of(list_take_first(&self->spare));
    } else {
        ticket = malloc(sizeof *ticket);
        if (ticket == NULL) {
            return NULL;
        }
        *ticket = (struct ticket){.magic = TICKET_MAGIC, .queue = self};
        list_init(&ticket->link);
    }
    list_append(&self->line, &ticket->link);
    self->owed_count += 1;
    self->silent_count += 1;
    return ticket;
}

static void take_back(struct reply_queue *self, struct ticket *ticket)
{
    check(self->owed_count > 0);
    list_remove(&ticket->link);
    ticket->answer = NULL;
    list_append(&self->spare, &ticket->link);
    self->owed_count -= 1;
}

void reply_queue_answer(struct ticket *ticket, struct answer *answer)
{
    check(ticket->magic == TICKET_MAGIC);
    check(ticket->answer == NULL);
    check(ticket->queue->silent_count > 0);
    check(answer->on_sent != NULL);
    ticket->answer = answer;
    ticket->queue->silent_count -= 1;
}

void reply_queue_forget(struct ticket *ticket)
{
    check(ticket->magic == TICKET_MAGIC);
    check(ticket->answer == NULL);
    check(ticket->queue->silent_count > 0);
    ticket->queue->silent_count -= 1;
    take_back(ticket->queue, ticket);
}

static size_t answer_bytes(const struct answer *answer)
{
    size_t byte_count = 0;
    for (uint32_t i = 0; i < answer->slice_count; i++) {
        byte_count += answer->slices[i].byte_count;
    }
    check(byte_count <= INT32_MAX);
    return byte_count;
}

/* How many buffers the answers that can leave now need; puts their tickets into `leaving`. */
static size_t flush_choose(struct reply_queue *self)
{
    check(list_is_empty(&self->leaving));
    size_t buffer_count = 0;
    self->write_bytes = 0;
    while (!list_is_empty(&self->line) && self->write_bytes < REPLY_QUEUE_WRITE_BYTES) {
        struct ticket *ticket = ticket_of(self->line.next);
        if (ticket->answer == NULL) {
            break;
        }
        size_t byte_count = answer_bytes(ticket->answer);
        ticket->prefix[0] = (uint8_t)(byte_count >> 24);
        ticket->prefix[1] = (uint8_t)(byte_count >> 16);
        ticket->prefix[2] = (uint8_t)(byte_count >> 8);
        ticket->prefix[3] = (uint8_t)byte_count;
        buffer_count += 1 + ticket->answer->slice_count;
        self->write_bytes += sizeof ticket->prefix + byte_count;
        list_remove(&ticket->link);
        list_append(&self->leaving, &ticket->link);
    }
    return buffer_count;
}

static uint32_t flush_fill(struct reply_queue *self)
{
    uint32_t buffer_count = 0;
    list_for_each(link, &self->leaving)
    {
        struct ticket *ticket = ticket_of(link);
        self->buffers[buffer_count] =
            (struct socket_buffer){.base = ticket->prefix, .byte_count = sizeof ticket->prefix};
        buffer_count += 1;
        for (uint32_t i = 0; i < ticket->answer->slice_count; i++) {
            const struct wire_slice *slice = &ticket->answer->slices[i];
            if (slice->byte_count > 0) {
                self->buffers[buffer_count] =
                    (struct socket_buffer){.base = slice->base, .byte_count = slice->byte_count};
                buffer_count += 1;
            }
        }
    }
    return buffer_count;
}

bool reply_queue_flush(struct reply_queue *self)
{
    check(!self->is_void);
    if (self->is_writing) {
        return true;
    }
    size_t buffer_count = flush_choose(self);
    if (buffer_count == 0) {
        return true;
    }
    if (buffer_count > REPLY_QUEUE_BUFFERS_OWN) {
        self->buffers = malloc(buffer_count * sizeof *self->buffers);
        if (self->buffers == NULL) {
            self->buffers = self->own_buffers;
            return false;
        }
    }
    self->is_writing = true;
    self->write.buffers = self->buffers;
    self->write.buffer_count = flush_fill(self);
    socket_write(self->socket, &self->write);
    return true;
}

/* Only what has its answer; the others stay owed. */
static void tell_sent(struct reply_queue *self, struct list *tickets)
{
    struct list answered;
    list_init(&answered);
    list_for_each_removable(link, tickets)
    {
        if (ticket_of(link)->answer != NULL) {
            list_remove(link);
            list_append(&answered, link);
        }
    }
    struct list *link = NULL;
    while ((link = list_take_first(&answered)) != NULL) {
        struct ticket *ticket = ticket_of(link);
        struct answer *answer = ticket->answer;
        take_back(self, ticket);
        answer->on_sent(answer);
    }
}

static void on_written(struct socket_write *write, enum status status)
{
    struct reply_queue *self = container_of(write, struct reply_queue, write);
    check(self->is_writing);
    self->is_writing = false;
    if (self->buffers != self->own_buffers) {
        free(self->buffers);
        self->buffers = self->own_buffers;
    }
    tell_sent(self, &self->leaving);
    self->on_left(self, status, self->write_bytes);
}

void reply_queue_void(struct reply_queue *self)
{
    check(!self->is_writing);
    self->is_void = true;
    tell_sent(self, &self->leaving); /* Chosen, but there was no memory for the write. */
    tell_sent(self, &self->line);
}
