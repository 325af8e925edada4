#include "broker/uplink/uplink.h"

#include "broker/uplink/uplink_wire.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define UPLINK_MAGIC 0x0b111a5eU
#define RETRY_MS 50
#define CALL_ARENA_BYTES_MAX (4U << 20)

struct uplink_voter {
    struct uplink *uplink;
    struct quorum_voter voter;
    struct link *link; /* Owned; NULL: not open now. */
};

struct uplink {
    uint32_t magic;
    struct uplink_options options;
    struct uplink_voter voters[QUORUM_VOTERS_MAX];
    uint32_t guess; /* Without a quorum of our own: the voter that is taken for the leader. */
    bool is_closing;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

/* ---- links ---- */

static void close_when_idle(struct uplink *self)
{
    for (uint32_t i = 0; i < self->options.voter_count; i++) {
        if (self->voters[i].link != NULL) {
            return;
        }
    }
    void (*on_closed)(void *) = self->on_closed;
    void *context = self->on_closed_context;
    self->magic = 0;
    free(self);
    on_closed(context);
}

static void link_on_closed(struct link *link, void *context, enum status why)
{
    struct uplink_voter *voter = context;
    (void)link;
    (void)why; /* The next call opens another one. */
    voter->link = NULL;
    if (voter->uplink->is_closing) {
        close_when_idle(voter->uplink);
    }
}

static bool is_active_here(const struct uplink *self)
{
    return self->options.controller != NULL && controller_is_active(self->options.controller);
}

static int32_t leader_of(const struct uplink *self)
{
    return self->options.quorum != NULL ? quorum_status_of(self->options.quorum).leader_id
                                        : self->voters[self->guess].voter.node_id;
}

/* It was not the leader, or cannot be reached. */
static void guess_another(struct uplink *self)
{
    self->guess = (self->guess + 1) % self->options.voter_count;
}

/* The link to the leader of the quorum; NULL: none is known, it is here, or it cannot be opened. */
static struct link *leader_link(struct uplink *self)
{
    int32_t leader_id = leader_of(self);
    for (uint32_t i = 0; i < self->options.voter_count; i++) {
        struct uplink_voter *voter = &self->voters[i];
        if (voter->voter.node_id != leader_id || leader_id == self->options.broker_id) {
            continue;
        }
        if (voter->link == NULL && !self->is_closing) {
            struct link_options options = {.loop = self->options.loop,
                                           .address = voter->voter.address,
                                           .client_id = "broker",
                                           .on_closed = link_on_closed,
                                           .context = voter};
            if (link_open(&options, &voter->link) != STATUS_OK) {
                voter->link = NULL;
            }
        }
        return voter->link;
    }
    return NULL;
}

static int64_t left_ms(struct uplink *self, int64_t deadline_ns)
{
    return (deadline_ns - loop_now_ns(self->options.loop)) / CLOCK_NS_PER_MS;
}

/* ---- calls ---- */

static void call_deliver_back(struct mail *mail)
{
    struct uplink_call *call = container_of(mail, struct uplink_call, mail);
    call->on_done(call, call->status);
}

static void end_call(struct uplink_call *call, enum status status)
{
    timer_done(&call->retry);
    arena_done(&call->arena);
    call->status = status;
    call->mail.deliver = call_deliver_back;
    mailbox_post(&call->home->mailbox, &call->mail);
}

/* Nothing happened there; tried again while there is time. */
static void retry_call(struct uplink_call *call)
{
    struct uplink *self = call->uplink;
    guess_another(self);
    if (self->is_closing || left_ms(self, call->request.deadline_ns) <= RETRY_MS) {
        end_call(call, STATUS_NOT_LEADER);
        return;
    }
    timer_start_after(&call->retry, RETRY_MS * CLOCK_NS_PER_MS);
}

static void local_on_done(struct controller_request *request, enum status status)
{
    struct uplink_call *call = container_of(request, struct uplink_call, request);
    struct uplink_wire_version version;
    if (status == STATUS_NOT_LEADER && uplink_wire_version_of(request->kind, &version)) {
        retry_call(call);
    } else {
        end_call(call, status);
    }
}

static void remote_on_done(struct link_call *remote, enum status status)
{
    struct uplink_call *call = container_of(remote, struct uplink_call, remote);
    if (status == STATUS_OK) {
        status = uplink_wire_decode(&call->request, &remote->reader, &call->arena);
    }
    link_call_done(remote);
    if (status == STATUS_NOT_LEADER || status == STATUS_CANCELED) {
        retry_call(call);
    } else {
        end_call(call, status);
    }
}

static void send_remote(struct uplink *self, struct uplink_call *call, struct link *link)
{
    struct uplink_wire_version version;
    bool is_sent_on = uplink_wire_version_of(call->request.kind, &version);
    check(is_sent_on);
    arena_done(&call->arena);
    arena_init(&call->arena, CALL_ARENA_BYTES_MAX);
    struct wire_writer writer;
    wire_writer_init(&writer, &call->arena);
    uplink_wire_encode(&call->request, &writer);
    size_t byte_count = 0;
    const uint8_t *bytes = wire_writer_flatten(&writer, &byte_count);
    if (bytes == NULL) {
        end_call(call, STATUS_FULL);
        return;
    }
    int64_t timeout_ms = left_ms(self, call->request.deadline_ns);
    call->body = (struct wire_slice){bytes, byte_count};
    call->remote = (struct link_call){.api_key = version.api_key,
                                      .api_version = version.api_version,
                                      .body = &call->body,
                                      .body_count = 1,
                                      .timeout_ms = timeout_ms > 1 ? timeout_ms : 1,
                                      .on_done = remote_on_done};
    if (link_send(link, &call->remote) != STATUS_OK) {
        retry_call(call);
    }
}

static void run_call(struct uplink_call *call)
{
    struct uplink *self = call->uplink;
    check(self->magic == UPLINK_MAGIC);
    struct uplink_wire_version version;
    if (is_active_here(self)) {
        call->request.on_done = local_on_done;
        controller_submit(self->options.controller, &call->request);
        return;
    }
    if (!uplink_wire_version_of(call->request.kind, &version)) {
        end_call(call, STATUS_NOT_LEADER);
        return;
    }
    struct link *link = leader_link(self);
    if (link == NULL) {
        retry_call(call);
        return;
    }
    send_remote(self, call, link);
}

static void call_on_retry(struct timer *timer)
{
    run_call(container_of(timer, struct uplink_call, retry));
}

static void call_deliver(struct mail *mail)
{
    struct uplink_call *call = container_of(mail, struct uplink_call, mail);
    timer_init(&call->retry, &call->uplink->options.loop->timers, call_on_retry);
    arena_init(&call->arena, CALL_ARENA_BYTES_MAX);
    run_call(call);
}

void uplink_post(struct uplink *self, struct uplink_call *call, struct loop *home)
{
    check(self->magic == UPLINK_MAGIC);
    check(call->on_done != NULL);
    call->uplink = self;
    call->home = home;
    call->mail.deliver = call_deliver;
    mailbox_post(&self->options.loop->mailbox, &call->mail);
}

/* ---- forwarding ---- */

static void forward_deliver_back(struct mail *mail)
{
    struct uplink_forward *forward = container_of(mail, struct uplink_forward, mail);
    forward->on_done(forward, forward->status);
}

static void end_forward(struct uplink_forward *forward, enum status status)
{
    timer_done(&forward->retry);
    forward->status = status;
    forward->mail.deliver = forward_deliver_back;
    mailbox_post(&forward->home->mailbox, &forward->mail);
}

static void retry_forward(struct uplink_forward *forward)
{
    struct uplink *self = forward->uplink;
    guess_another(self);
    if (self->is_closing || left_ms(self, forward->deadline_ns) <= RETRY_MS) {
        end_forward(forward, STATUS_NOT_LEADER);
        return;
    }
    timer_start_after(&forward->retry, RETRY_MS * CLOCK_NS_PER_MS);
}

static void forward_on_answered(struct link_call *remote, enum status status)
{
    struct uplink_forward *forward = container_of(remote, struct uplink_forward, remote);
    if (status == STATUS_CANCELED) {
        retry_forward(forward);
        return;
    }
    if (status == STATUS_OK && wire_read_int16(&remote->reader) != 0) {
        /* Not the active controller there either: nothing happened. */
        link_call_done(remote);
        retry_forward(forward);
        return;
    }
    if (status == STATUS_OK) {
        forward->answer_bytes = wire_reader_left(&remote->reader);
        forward->answer = wire_read_raw(&remote->reader, forward->answer_bytes);
    }
    end_forward(forward, status);
}

static void run_forward(struct uplink_forward *forward)
{
    struct uplink *self = forward->uplink;
    struct link *link = is_active_here(self) ? NULL : leader_link(self);
    if (link == NULL) {
        retry_forward(forward);
        return;
    }
    int64_t timeout_ms = left_ms(self, forward->deadline_ns);
    forward->body = (struct wire_slice){forward->frame, forward->frame_bytes};
    forward->remote = (struct link_call){.api_key = UPLINK_WIRE_FORWARD_KEY,
                                         .api_version = 0,
                                         .body = &forward->body,
                                         .body_count = 1,
                                         .timeout_ms = timeout_ms > 1 ? timeout_ms : 1,
                                         .on_done = forward_on_answered};
    if (link_send(link, &forward->remote) != STATUS_OK) {
        retry_forward(forward);
    }
}

static void forward_on_retry(struct timer *timer)
{
    run_forward(container_of(timer, struct uplink_forward, retry));
}

static void forward_deliver(struct mail *mail)
{
    struct uplink_forward *forward = container_of(mail, struct uplink_forward, mail);
    timer_init(&forward->retry, &forward->uplink->options.loop->timers, forward_on_retry);
    run_forward(forward);
}

void uplink_forward_post(struct uplink *self, struct uplink_forward *forward, struct loop *home)
{
    check(self->magic == UPLINK_MAGIC);
    check(forward->on_done != NULL);
    forward->uplink = self;
    forward->home = home;
    forward->answer = NULL;
    forward->remote = (struct link_call){0};
    forward->mail.deliver = forward_deliver;
    mailbox_post(&self->options.loop->mailbox, &forward->mail);
}

void uplink_forward_done(struct uplink_forward *forward)
{
    link_call_done(&forward->remote);
    forward->answer = NULL;
}

/* ---- life ---- */

enum status uplink_new(const struct uplink_options *options, struct uplink **out_self)
{
    check(options->voter_count > 0);
    check(options->voter_count <= QUORUM_VOTERS_MAX);
    check((options->controller == NULL) == (options->quorum == NULL));
    struct uplink *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = UPLINK_MAGIC;
    self->options = *options;
    for (uint32_t i = 0; i < options->voter_count; i++) {
        self->voters[i] = (struct uplink_voter){.uplink = self, .voter = options->voters[i]};
    }
    self->options.voters = NULL;
    *out_self = self;
    return STATUS_OK;
}

void uplink_close(struct uplink *self, void (*on_closed)(void *context), void *context)
{
    check(self->magic == UPLINK_MAGIC);
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    for (uint32_t i = 0; i < self->options.voter_count; i++) {
        if (self->voters[i].link != NULL) {
            link_close(self->voters[i].link);
        }
    }
    close_when_idle(self);
}
