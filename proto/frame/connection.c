#include "proto/frame/connection.h"

#include "proto/frame/complaint.h"
#include "proto/frame/connection_link.h"
#include "proto/frame/frame_memory.h"
#include "proto/frame/reply_queue.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define CONNECTION_MAGIC 0xc0ec7104U
#define SCRATCH_BYTES ((size_t)64 << 10)
#define PREFIX_BYTES 4U
/* The budget cannot call back; whoever found it empty asks again after this. */
#define STARVED_REST_MS 20

/* Where reads go that may hold many frames: one place for all connections of a thread, since
 * on_read follows its on_room at once (socket.h). What a read leaves over moves to `rest`. */
static _Thread_local uint8_t scratch[SCRATCH_BYTES];

struct connection {
    uint32_t magic;
    bool is_closing;
    bool is_gone; /* After on_closed. */
    bool is_reading;
    bool is_starved; /* The budget gave nothing; `retry` is armed. */
    bool is_paused;
    bool is_reserved;     /* SCRATCH_BYTES of the budget are held for what a read may leave over. */
    bool is_turn_posted;  /* `turn` is the mailbox's. */
    bool is_handing_over; /* Answers that come now leave after the read or the turn. */
    struct connection_options options;
    struct socket socket;
    struct reply_queue replies;
    struct list link; /* The listener's. */
    void *data;

    /* The frame that is coming in: its prefix, then its memory. */
    uint8_t prefix[PREFIX_BYTES];
    uint32_t prefix_count;
    struct frame *frame; /* Owned; NULL before its first bytes. */
    size_t frame_here_count;
    int64_t frame_started_ns;

    /* Read, but not looked at yet: no ticket, no memory, or paused. */
    uint8_t *rest; /* Owned. */
    size_t rest_start;
    size_t rest_count;

    int64_t active_ns; /* Last byte in or answer out. */
    int64_t paused_until_ns;
    struct timer deadline; /* Armed for life; looks at what is due when it fires. */
    struct timer retry;
    struct mail turn;
};

static void run_turn(struct connection *self);

static struct connection *connection_of_socket(struct socket *socket)
{
    struct connection *self = container_of(socket, struct connection, socket);
    check(self->magic == CONNECTION_MAGIC);
    return self;
}

/* ---- the end ---- */

static void free_when_unused(struct connection *self)
{
    if (!self->is_gone || self->replies.owed_count > 0 || self->is_turn_posted) {
        return;
    }
    reply_queue_done(&self->replies);
    self->magic = 0;
    free(self);
}

static void reservation_give(struct connection *self)
{
    if (self->is_reserved) {
        self->is_reserved = false;
        budget_give(self->options.budget, SCRATCH_BYTES);
    }
}

static void rest_drop(struct connection *self)
{
    free(self->rest);
    self->rest = NULL;
    self->rest_start = 0;
    self->rest_count = 0;
    reservation_give(self);
}

static void socket_on_closed(struct socket *socket)
{
    struct connection *self = connection_of_socket(socket);
    check(self->is_closing);
    timer_done(&self->deadline);
    timer_done(&self->retry);
    rest_drop(self);
    if (self->frame != NULL) {
        frame_unref(self->frame);
        self->frame = NULL;
    }
    frame_metrics_add(self->options.metrics.connection_count, -1);
    self->is_gone = true;
    void (*on_gone)(struct connection *, void *) = self->options.on_gone;
    if (self->options.on_closed != NULL) {
        self->options.on_closed(self);
    }
    if (on_gone != NULL) {
        on_gone(self, self->options.owner);
    }
    reply_queue_void(&self->replies);
    free_when_unused(self);
}

static void complain(struct connection *self, const char *why)
{
    struct loop *loop = self->options.loop;
    frame_metrics_add(self->options.metrics.connection_broken_total, 1);
    if (self->options.complaints == NULL ||
        complaint_is_due(self->options.complaints, self->socket.peer.host, loop_now_ns(loop))) {
        trace_line(loop->trace, TRACE_WARN, "frame", "connection_closed",
                   "peer=\"%s:%u\" reason=\"%s\"", self->socket.peer.host, self->socket.peer.port,
                   why);
    }
}

void connection_close(struct connection *self, const char *why)
{
    check(self->magic == CONNECTION_MAGIC);
    if (self->is_closing) {
        return;
    }
    self->is_closing = true;
    self->is_reading = false;
    if (why != NULL) {
        complain(self, why);
    }
    socket_close(&self->socket);
}

/* ---- frames ---- */

static bool is_frame_coming(const struct connection *self)
{
    return self->prefix_count > 0;
}

/* Whether the next frame may be begun, or its bytes be asked for. */
static bool may_go_on(const struct connection *self)
{
    return !self->is_closing && !self->is_starved && !self->is_paused &&
           self->replies.owed_count < CONNECTION_TICKETS_MAX;
}

static void starve(struct connection *self)
{
    self->is_starved = true;
    timer_start_after(&self->retry, STARVED_REST_MS * CLOCK_NS_PER_MS);
}

static void hand_over(struct connection *self)
{
    struct frame *frame = self->frame;
    self->frame = NULL;
    self->frame_here_count = 0;
    self->prefix_count = 0;
    struct ticket *ticket = reply_queue_take(&self->replies);
    if (ticket == NULL) {
        frame_unref(frame);
        connection_close(self, "out of memory");
        return;
    }
    frame_metrics_add(self->options.metrics.frame_total, 1);
    self->is_handing_over = true;
    self->options.on_frame(self, frame, ticket);
    self->is_handing_over = false;
}

/* What strangers to the protocol begin with; NULL: none that is known. */
static const char *guess_stranger(const uint8_t *prefix)
{
    static const char *const http_words[] = {"GET ", "POST", "PUT ", "HEAD", "OPTI", "DELE"};

    if (prefix[0] == 0x16 && prefix[1] == 0x03) {
        return "TLS hello on a plain listener; the client's security.protocol does not fit";
    }
    if (memcmp(prefix, "SSH-", PREFIX_BYTES) == 0) {
        return "SSH banner; this port speaks Kafka's protocol";
    }
    for (size_t i = 0; i < sizeof http_words / sizeof http_words[0]; i++) {
        if (memcmp(prefix, http_words[i], PREFIX_BYTES) == 0) {
            return "HTTP request; this port speaks Kafka's protocol";
        }
    }
    return NULL;
}

static size_t frame_size(const struct connection *self)
{
    const uint8_t *prefix = self->prefix;
    return (size_t)prefix[0] << 24 | (size_t)prefix[1] << 16 | (size_t)prefix[2] << 8 |
           (size_t)prefix[3];
}

/* A negative size is above every limit when read without its sign. */
static bool accept_size(struct connection *self)
{
    if (frame_size(self) <= self->options.frame_bytes_max) {
        return true;
    }
    const char *stranger = guess_stranger(self->prefix);
    connection_close(self, stranger != NULL ? stranger : "frame size is negative or too large");
    return false;
}

/* Looks at the next bytes, up to the end of a frame. Returns how many were used. */
static size_t parse_some(struct connection *self, const uint8_t *bytes, size_t byte_count)
{
    check(self->frame == NULL);
    size_t used = 0;
    if (self->prefix_count < PREFIX_BYTES) {
        if (self->prefix_count == 0) {
            self->frame_started_ns = self->active_ns;
        }
        size_t missing = PREFIX_BYTES - self->prefix_count;
        used = byte_count < missing ? byte_count : missing;
        memcpy(self->prefix + self->prefix_count, bytes, used);
        self->prefix_count += (uint32_t)used;
        if (used < missing || !accept_size(self)) {
            return used;
        }
    }
    size_t size = frame_size(self);
    size_t here_count = byte_count - used < size ? byte_count - used : size;
    if (here_count == 0 && size > 0) {
        return used;
    }
    self->frame = frame_memory_new(self->options.budget, size, here_count);
    if (self->frame == NULL) {
        starve(self);
        return used;
    }
    memcpy(self->frame->bytes, bytes + used, here_count);
    self->frame_here_count = here_count;
    if (here_count == size) {
        hand_over(self);
    }
    return used + here_count;
}

static size_t parse(struct connection *self, const uint8_t *bytes, size_t byte_count)
{
    size_t used = 0;
    while (used < byte_count && may_go_on(self)) {
        used += parse_some(self, bytes + used, byte_count - used);
    }
    return used;
}

static void rest_keep(struct connection *self, const uint8_t *bytes, size_t byte_count)
{
    check(self->rest == NULL);
    check(self->is_reserved);
    self->rest = malloc(byte_count);
    if (self->rest == NULL) {
        connection_close(self, "out of memory");
        return;
    }
    memcpy(self->rest, bytes, byte_count);
    self->rest_start = 0;
    self->rest_count = byte_count;
}

static void rest_parse(struct connection *self)
{
    if (self->rest_count == 0) {
        return;
    }
    size_t used = parse(self, self->rest + self->rest_start, self->rest_count);
    self->rest_start += used;
    self->rest_count -= used;
    if (self->rest_count == 0) {
        rest_drop(self);
    }
}

/* ---- the socket ---- */

/* The timer is armed for the earliest thing that could become due; bytes that come in between do
 * not move it. */
static void deadline_watch_frame(struct connection *self)
{
    int64_t due_ns = self->frame_started_ns + CONNECTION_FRAME_DEADLINE_MS * CLOCK_NS_PER_MS;
    if (is_frame_coming(self) && due_ns < self->deadline.deadline_ns) {
        timer_start_at(&self->deadline, due_ns);
    }
}

static void deadline_on_fire(struct timer *timer)
{
    struct connection *self = container_of(timer, struct connection, deadline);
    check(self->magic == CONNECTION_MAGIC);
    if (self->is_closing) {
        return;
    }
    int64_t now_ns = loop_now_ns(self->options.loop);
    int64_t frame_due_ns = INT64_MAX;
    if (is_frame_coming(self) && !self->is_paused) {
        frame_due_ns = self->frame_started_ns + CONNECTION_FRAME_DEADLINE_MS * CLOCK_NS_PER_MS;
    }
    /* Who waits for a handler is not idle, whose answers are not taken is. */
    int64_t idle_from_ns =
        self->replies.silent_count > 0 || self->is_paused ? now_ns : self->active_ns;
    int64_t idle_due_ns = idle_from_ns + CONNECTION_IDLE_DEADLINE_MS * CLOCK_NS_PER_MS;
    if (now_ns >= frame_due_ns) {
        connection_close(self, "frame was not whole in time");
    } else if (now_ns >= idle_due_ns) {
        connection_close(self, NULL);
    } else {
        timer_start_at(timer, frame_due_ns < idle_due_ns ? frame_due_ns : idle_due_ns);
    }
}

/* No room stops the reading; run_turn() starts it again. */
static void socket_on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    struct connection *self = connection_of_socket(socket);
    struct frame *frame = self->frame;
    *out_byte_count = 0;
    self->is_reading = false;
    if (!may_go_on(self) || self->rest_count > 0) {
        return;
    }
    if (frame != NULL) {
        if (self->frame_here_count == frame->capacity &&
            !frame_memory_grow(frame, self->frame_here_count)) {
            starve(self);
            return;
        }
        *out_base = frame->bytes + self->frame_here_count;
        *out_byte_count = frame->capacity - self->frame_here_count;
    } else {
        if (!self->is_reserved && !budget_take(self->options.budget, SCRATCH_BYTES)) {
            starve(self);
            return;
        }
        self->is_reserved = true;
        *out_base = scratch;
        *out_byte_count = sizeof scratch;
    }
    self->is_reading = true;
}

static void read_into_frame(struct connection *self, size_t byte_count)
{
    self->frame_here_count += byte_count;
    check(self->frame_here_count <= self->frame->capacity);
    if (self->frame_here_count == self->frame->byte_count) {
        hand_over(self);
    }
}

static void read_into_scratch(struct connection *self, size_t byte_count)
{
    check(byte_count <= sizeof scratch);
    size_t used = parse(self, scratch, byte_count);
    if (used < byte_count && !self->is_closing) {
        rest_keep(self, scratch + used, byte_count - used);
    } else {
        reservation_give(self);
    }
    deadline_watch_frame(self);
}

static void socket_on_read(struct socket *socket, size_t byte_count)
{
    struct connection *self = connection_of_socket(socket);
    if (self->is_closing) {
        return;
    }
    if (byte_count == 0) {
        reservation_give(self);
        return;
    }
    self->active_ns = loop_now_ns(self->options.loop);
    frame_metrics_add(self->options.metrics.read_bytes_total, (int64_t)byte_count);
    if (self->frame != NULL) {
        read_into_frame(self, byte_count);
    } else {
        read_into_scratch(self, byte_count);
    }
    /* What was answered at once leaves at once. */
    if (!self->is_closing && !reply_queue_flush(&self->replies)) {
        connection_close(self, "out of memory");
    }
}

static void socket_on_end(struct socket *socket, enum status why)
{
    (void)why; /* Peers come and go; whatever the reason, there is nothing to be done about it. */
    connection_close(connection_of_socket(socket), NULL);
}

static const struct socket_events socket_events = {.on_room = socket_on_room,
                                                   .on_read = socket_on_read,
                                                   .on_end = socket_on_end,
                                                   .on_closed = socket_on_closed};

/* ---- turns ---- */

/* After anything that may let the connection go on: an answer, a forgotten ticket, memory, time. */
static void run_turn(struct connection *self)
{
    check(self->magic == CONNECTION_MAGIC);
    if (self->is_gone) {
        reply_queue_void(&self->replies);
        free_when_unused(self);
        return;
    }
    if (self->is_closing) {
        return; /* on_closed does the rest. */
    }
    rest_parse(self);
    deadline_watch_frame(self);
    if (self->is_closing) {
        return;
    }
    if (!reply_queue_flush(&self->replies)) {
        connection_close(self, "out of memory");
        return;
    }
    if (!self->is_reading && self->rest_count == 0 && may_go_on(self)) {
        self->is_reading = true;
        socket_read_start(&self->socket);
    }
}

static void turn_on_mail(struct mail *mail)
{
    struct connection *self = container_of(mail, struct connection, turn);
    self->is_turn_posted = false;
    run_turn(self);
}

/* Later in this turn of the loop, so that everything which becomes ready now goes together. */
static void turn_post(struct connection *self)
{
    if (!self->is_turn_posted && !self->is_handing_over) {
        self->is_turn_posted = true;
        loop_defer(self->options.loop, &self->turn);
    }
}

static void retry_on_fire(struct timer *timer)
{
    struct connection *self = container_of(timer, struct connection, retry);
    check(self->magic == CONNECTION_MAGIC);
    self->is_starved = false;
    if (self->is_paused) {
        int64_t now_ns = loop_now_ns(self->options.loop);
        if (now_ns < self->paused_until_ns) {
            timer_start_at(timer, self->paused_until_ns);
            return;
        }
        self->is_paused = false;
        self->frame_started_ns = now_ns; /* Nobody could send while we did not read. */
    }
    run_turn(self);
}

static void replies_on_left(struct reply_queue *replies, enum status status, size_t byte_count)
{
    struct connection *self = container_of(replies, struct connection, replies);
    if (self->is_closing) {
        return;
    }
    if (status != STATUS_OK) {
        connection_close(self, NULL);
        return;
    }
    self->active_ns = loop_now_ns(self->options.loop);
    frame_metrics_add(self->options.metrics.written_bytes_total, (int64_t)byte_count);
    run_turn(self);
}

/* ---- the door ---- */

enum status connection_open(const struct connection_options *options, struct socket_token token,
                            struct connection **out_connection)
{
    check(options->frame_bytes_max <= INT32_MAX);
    check(options->on_frame != NULL);

    struct loop *loop = options->loop;
    struct connection *self = calloc(1, sizeof *self);
    if (self == NULL) {
        socket_token_drop(loop->sockets, token);
        return STATUS_NO_MEMORY;
    }
    enum status status = socket_adopt(loop->sockets, &self->socket, token, &socket_events);
    if (status != STATUS_OK) {
        free(self);
        return status;
    }
    self->magic = CONNECTION_MAGIC;
    self->options = *options;
    self->turn.deliver = turn_on_mail;
    self->active_ns = loop_now_ns(loop);
    list_init(&self->link);
    reply_queue_init(&self->replies, &self->socket, replies_on_left);
    timer_init(&self->retry, &loop->timers, retry_on_fire);
    timer_init(&self->deadline, &loop->timers, deadline_on_fire);
    timer_start_at(&self->deadline,
                   self->active_ns + CONNECTION_IDLE_DEADLINE_MS * CLOCK_NS_PER_MS);
    frame_metrics_add(self->options.metrics.connection_count, 1);
    self->is_reading = true;
    socket_read_start(&self->socket);
    *out_connection = self;
    return STATUS_OK;
}

static struct connection *connection_of_ticket(const struct ticket *ticket)
{
    struct connection *self = container_of(ticket->queue, struct connection, replies);
    check(self->magic == CONNECTION_MAGIC);
    return self;
}

void connection_answer(struct ticket *ticket, struct answer *answer)
{
    struct connection *self = connection_of_ticket(ticket);
    reply_queue_answer(ticket, answer);
    turn_post(self);
}

void connection_forget(struct ticket *ticket)
{
    struct connection *self = connection_of_ticket(ticket);
    reply_queue_forget(ticket);
    turn_post(self);
}

void connection_pause_until(struct connection *self, int64_t until_ns)
{
    check(self->magic == CONNECTION_MAGIC);
    if (self->is_closing) {
        return;
    }
    self->is_paused = true;
    self->paused_until_ns = until_ns;
    timer_start_at(&self->retry, until_ns);
}

struct connection *connection_of(const struct ticket *ticket)
{
    struct connection *self = connection_of_ticket(ticket);
    return self->is_gone ? NULL : self;
}

void *connection_context(const struct connection *self)
{
    return self->options.context;
}

const struct address *connection_peer(const struct connection *self)
{
    return &self->socket.peer;
}

void connection_set_data(struct connection *self, void *data)
{
    self->data = data;
}

void *connection_data(const struct connection *self)
{
    return self->data;
}

struct list *connection_link(struct connection *self)
{
    return &self->link;
}

struct connection *connection_of_link(struct list *link)
{
    struct connection *self = container_of(link, struct connection, link);
    check(self->magic == CONNECTION_MAGIC);
    return self;
}
