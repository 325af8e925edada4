#include "broker/uplink/own_address.h"

#include "proto/sys/check.h"
#include "proto/wire/big_endian.h"

#include <stdlib.h>

#define OWN_ADDRESS_MAGIC 0x0a4add4eU
#define LOOK_INTERVAL_MS 1000 /* An election is faster: who hears a leader need not ask. */
#define ANSWER_TIMEOUT_MS 1000
#define REQUEST_BYTES 4U

struct own_address {
    uint32_t magic;
    struct own_address_options options;
    struct timer look;
    struct link *link; /* Owned; NULL: nothing is asked. */
    struct link_call call;
    uint8_t request[REQUEST_BYTES];
    struct wire_slice body;
    int64_t other_since_ns; /* 0: the last answer was not another one's. */
    bool is_stranger_told;
    bool is_over; /* Nothing is asked any more. */
    bool is_closing;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

static void finish(struct own_address *self)
{
    void (*on_closed)(void *) = self->on_closed;
    void *context = self->on_closed_context;
    timer_done(&self->look);
    self->magic = 0;
    free(self);
    on_closed(context);
}

static void link_on_closed(struct link *link, void *context, enum status why)
{
    struct own_address *self = context;
    check(self->magic == OWN_ADDRESS_MAGIC);
    (void)link;
    (void)why; /* What it means was said to the call. */
    self->link = NULL;
    if (self->is_closing) {
        finish(self);
    }
}

/* An address in the list that is another broker's: nobody reaches this one. */
static void tell_stranger(struct own_address *self, int32_t node_id)
{
    if (self->is_stranger_told) {
        return;
    }
    self->is_stranger_told = true;
    trace_line(self->options.loop->trace, TRACE_WARN, "quorum", "address-of-another",
               "node=%d port=%u answers=%d action=\"correct controller.quorum.voters\"",
               self->options.node_id, self->options.address.port, node_id);
}

static void see_other(struct own_address *self)
{
    int64_t now_ns = loop_now_ns(self->options.loop);
    if (self->other_since_ns == 0) {
        self->other_since_ns = now_ns;
        trace_line(self->options.loop->trace, TRACE_WARN, "quorum", "address-taken",
                   "node=%d port=%u reason=\"another process with this node id answers there\" "
                   "action=\"look again until it is gone\"",
                   self->options.node_id, self->options.address.port);
    }
    int64_t seen_ms = (now_ns - self->other_since_ns) / CLOCK_NS_PER_MS;
    if (seen_ms < self->options.patience_ms) {
        return;
    }
    self->is_over = true;
    trace_line(self->options.loop->trace, TRACE_ERROR, "quorum", "duplicate",
               "node=%d port=%u seen_ms=%lld action=stop", self->options.node_id,
               self->options.address.port, (long long)seen_ms);
    self->options.on_other(self->options.context);
}

static void take_answer(struct own_address *self, struct wire_reader *reader)
{
    int32_t node_id = wire_read_int32(reader);
    struct wire_uuid incarnation_id = wire_read_uuid(reader);
    bool is_read = wire_reader_status(reader) == STATUS_OK;
    bool is_other = is_read && node_id == self->options.node_id &&
                    !wire_uuid_equals(&incarnation_id, &self->options.incarnation_id);
    if (is_other && !self->options.has_leader(self->options.context)) {
        see_other(self);
        return;
    }
    self->other_since_ns = 0;
    if (is_read && node_id != self->options.node_id) {
        tell_stranger(self, node_id);
    }
}

static void call_on_done(struct link_call *call, enum status status)
{
    struct own_address *self = container_of(call, struct own_address, call);
    check(self->magic == OWN_ADDRESS_MAGIC);
    if (!self->is_closing && !self->is_over) {
        if (status == STATUS_OK) {
            take_answer(self, &call->reader);
        } else {
            self->other_since_ns = 0; /* Whoever was there is silent now. */
        }
    }
    link_call_done(call);
    link_close(self->link);
}

static void ask(struct own_address *self)
{
    struct link_options options = {.loop = self->options.loop,
                                   .address = self->options.address,
                                   .client_id = "own-address",
                                   .on_closed = link_on_closed,
                                   .context = self};
    if (link_open(&options, &self->link) != STATUS_OK) {
        self->link = NULL;
        return;
    }
    big_endian_put32(self->request, (uint32_t)self->options.node_id);
    self->body = (struct wire_slice){self->request, sizeof self->request};
    self->call = (struct link_call){.api_key = OWN_ADDRESS_KEY,
                                    .body = &self->body,
                                    .body_count = 1,
                                    .timeout_ms = ANSWER_TIMEOUT_MS,
                                    .on_done = call_on_done};
    if (link_send(self->link, &self->call) != STATUS_OK) {
        link_close(self->link);
    }
}

static void look_on_timer(struct timer *timer)
{
    struct own_address *self = container_of(timer, struct own_address, look);
    check(self->magic == OWN_ADDRESS_MAGIC);
    if (self->is_over || self->options.has_leader(self->options.context)) {
        self->is_over = true;
        return;
    }
    if (self->link == NULL) {
        ask(self);
    }
    timer_start_after(timer, LOOK_INTERVAL_MS * CLOCK_NS_PER_MS);
}

enum status own_address_new(const struct own_address_options *options,
                            struct own_address **out_self)
{
    struct own_address *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = OWN_ADDRESS_MAGIC;
    self->options = *options;
    timer_init(&self->look, &options->loop->timers, look_on_timer);
    timer_start_after(&self->look, LOOK_INTERVAL_MS * CLOCK_NS_PER_MS);
    *out_self = self;
    return STATUS_OK;
}

void own_address_close(struct own_address *self, void (*on_closed)(void *context), void *context)
{
    check(self->magic == OWN_ADDRESS_MAGIC);
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    timer_stop(&self->look);
    if (self->link != NULL) {
        link_close(self->link);
    } else {
        finish(self);
    }
}
