#include "broker/broker_member.h"

#include "proto/sys/check.h"

#define BROKER_MEMBER_MAGIC 0xb40ce2aaU
#define RETRY_MS 100
#define ASK_TIMEOUT_MS 5000

static void ask(struct broker_member *self);

static void ask_later(struct broker_member *self, int64_t delay_ms)
{
    timer_start_after(&self->timer, delay_ms * CLOCK_NS_PER_MS);
}

static void ask_on_timer(struct timer *timer)
{
    ask(container_of(timer, struct broker_member, timer));
}

static bool stops_here(struct broker_member *self)
{
    self->is_asking = false;
    if (!self->is_stopping) {
        return false;
    }
    self->magic = 0;
    self->on_stopped(self->options.context);
    return true;
}

/* True when the leaving is over, one way or the other. */
static bool has_left(struct broker_member *self, bool is_let_go)
{
    if (!self->is_leaving) {
        return false;
    }
    if (!is_let_go && loop_now_ns(self->options.loop) < self->leave_deadline_ns) {
        return false;
    }
    self->is_leaving = false;
    trace_line(self->options.loop->trace, TRACE_INFO, "member", "left", "broker=%d in_order=%d",
               self->options.broker_id, is_let_go);
    self->on_left(self->options.context);
    return true;
}

/* The other one may have died in silence: then its session ends, and the next try is accepted. */
static void wait_for_other(struct broker_member *self)
{
    int64_t now_ns = loop_now_ns(self->options.loop);
    if (self->duplicate_since_ns == 0) {
        self->duplicate_since_ns = now_ns;
        trace_line(self->options.loop->trace, TRACE_WARN, "member", "registration_refused",
                   "broker=%d reason=\"%s\" action=\"try again until its session ends\"",
                   self->options.broker_id, self->registration.error.message);
    }
    int64_t waited_ms = (now_ns - self->duplicate_since_ns) / CLOCK_NS_PER_MS;
    if (self->was_registered ||
        waited_ms < BROKER_MEMBER_PATIENCE_SESSIONS * self->options.session_timeout_ms) {
        ask_later(self, RETRY_MS);
        return;
    }
    trace_line(self->options.loop->trace, TRACE_ERROR, "member", "duplicate",
               "broker=%d waited_ms=%lld action=stop", self->options.broker_id,
               (long long)waited_ms);
    self->options.on_duplicate(self->options.context);
}

static void register_on_done(struct uplink_call *asked, enum status status)
{
    struct broker_member *self = container_of(asked, struct broker_member, asked);
    check(self->magic == BROKER_MEMBER_MAGIC);
    if (stops_here(self) || has_left(self, false)) {
        return;
    }
    if (status != STATUS_OK) {
        self->duplicate_since_ns = 0; /* Without a controller no session ends. */
        ask_later(self, RETRY_MS);
        return;
    }
    if (self->registration.error.reason == DECISION_DUPLICATE_BROKER) {
        wait_for_other(self);
        return;
    }
    self->duplicate_since_ns = 0;
    if (self->registration.error.reason != DECISION_NONE) {
        trace_line(self->options.loop->trace, TRACE_WARN, "member", "registration_refused",
                   "broker=%d reason=\"%s\" action=\"try again\"", self->options.broker_id,
                   self->registration.error.message);
        ask_later(self, RETRY_MS * 10);
        return;
    }
    self->was_registered = true;
    self->epoch =
        self->registration.epoch != 0 ? self->registration.epoch : (int64_t)asked->request.index;
    trace_line(self->options.loop->trace, TRACE_INFO, "member", "registered",
               "broker=%d epoch=%lld", self->options.broker_id, (long long)self->epoch);
    ask(self); /* The first heartbeat unfences as soon as the shards have followed. */
}

static void heartbeat_on_done(struct uplink_call *asked, enum status status)
{
    struct broker_member *self = container_of(asked, struct broker_member, asked);
    check(self->magic == BROKER_MEMBER_MAGIC);
    if (stops_here(self)) {
        return;
    }
    bool is_let_go = status == STATUS_OK && self->heartbeat.should_shut_down;
    if (has_left(self, is_let_go)) {
        return;
    }
    if (status != STATUS_OK) {
        ask_later(self, RETRY_MS);
        return;
    }
    if (self->heartbeat.error.reason != DECISION_NONE) {
        trace_line(self->options.loop->trace, TRACE_WARN, "member", "heartbeat_refused",
                   "broker=%d epoch=%lld reason=\"%s\" action=\"register again\"",
                   self->options.broker_id, (long long)self->epoch, self->heartbeat.error.message);
        self->epoch = -1;
        ask_later(self, RETRY_MS);
        return;
    }
    /* While it is fenced it is not served, while it leaves it is waited for: asked again soon. */
    bool is_urgent = self->heartbeat.is_fenced || self->is_leaving;
    ask_later(self, is_urgent ? RETRY_MS / 10 : self->options.heartbeat_interval_ms);
}

static void prepare_registration(struct broker_member *self)
{
    self->endpoint =
        (struct broker_decisions_endpoint){.listener = wire_text_of(self->options.listener_name),
                                           .host = wire_text_of(self->options.advertised.host),
                                           .port = self->options.advertised.port,
                                           .security = wire_text_of("PLAINTEXT")};
    self->registration =
        (struct broker_decisions_register){.broker_id = self->options.broker_id,
                                           .incarnation_id = self->options.incarnation_id,
                                           .directory_id = self->options.directory_id,
                                           .previous_epoch = -1,
                                           .rack = wire_text_of(self->options.rack),
                                           .endpoints = &self->endpoint,
                                           .endpoint_count = 1,
                                           .is_voter = self->options.is_voter};
    self->asked.request.kind = CONTROLLER_REGISTER_BROKER;
    self->asked.request.command.register_broker = &self->registration;
    self->asked.on_done = register_on_done;
}

static void prepare_heartbeat(struct broker_member *self)
{
    self->heartbeat = (struct broker_decisions_heartbeat){
        .broker_id = self->options.broker_id,
        .broker_epoch = self->epoch,
        .applied_index = self->options.applied_index(self->options.context),
        .wants_shut_down = self->is_leaving};
    self->asked.request.kind = CONTROLLER_HEARTBEAT;
    self->asked.request.command.heartbeat = &self->heartbeat;
    self->asked.on_done = heartbeat_on_done;
}

static void ask(struct broker_member *self)
{
    check(!self->is_asking);
    self->is_asking = true;
    self->asked = (struct uplink_call){.request.deadline_ns = loop_now_ns(self->options.loop) +
                                                              ASK_TIMEOUT_MS * CLOCK_NS_PER_MS};
    if (self->epoch < 0) {
        prepare_registration(self);
    } else {
        prepare_heartbeat(self);
    }
    uplink_post(self->options.uplink, &self->asked, self->options.loop);
}

void broker_member_init(struct broker_member *self, const struct broker_member_options *options)
{
    *self = (struct broker_member){.magic = BROKER_MEMBER_MAGIC, .options = *options, .epoch = -1};
    timer_init(&self->timer, &options->loop->timers, ask_on_timer);
}

void broker_member_start(struct broker_member *self)
{
    check(self->magic == BROKER_MEMBER_MAGIC);
    ask(self);
}

void broker_member_leave(struct broker_member *self, int64_t timeout_ms,
                         void (*on_left)(void *context))
{
    check(self->magic == BROKER_MEMBER_MAGIC);
    self->is_leaving = true;
    self->on_left = on_left;
    self->leave_deadline_ns = loop_now_ns(self->options.loop) + timeout_ms * CLOCK_NS_PER_MS;
    if (!self->is_asking) {
        timer_stop(&self->timer);
        ask(self);
    }
}

void broker_member_stop(struct broker_member *self, void (*on_stopped)(void *context))
{
    self->is_stopping = true;
    self->on_stopped = on_stopped;
    timer_done(&self->timer);
    if (!self->is_asking) {
        (void)stops_here(self);
    }
}

bool broker_member_is_live(const struct broker_member *self, const struct image *image)
{
    const struct image_broker *broker = image_broker_by_id(image, self->options.broker_id);
    return broker != NULL && !broker->is_fenced &&
           wire_uuid_equals(&broker->incarnation_id, &self->options.incarnation_id);
}
