#include "client/processor_core.h"

#include "proto/internal/processor_record.pb-c.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/describe_groups.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORE_MAGIC 0x9c0ce550U
#define KEY_OFFSET 0x20
#define RETRY_FLOOR_MS 20
#define RETRY_CEILING_MS 500
/* Who looks again at once would see the same. */
#define LOOK_PAUSE_MS 50

static void ask_step(struct processor_ask *ask);

int16_t processor_core_api_key(void)
{
    return API_KEY_PRIVATE_MIN + KEY_OFFSET;
}

void processor_core_ask_done(struct processor_ask *ask)
{
    link_call_done(&ask->call);
    ask->answer = (struct wire_bytes){0};
}

/* ---- asks ---- */

static void ask_finish(struct processor_ask *ask, enum status status)
{
    timer_done(&ask->timer);
    list_remove(&ask->in_core);
    ask->on_done(ask, status);
}

static void ask_again(struct processor_ask *ask, enum status status)
{
    struct loop *loop = ask->core->options.loop;
    ask->last_status = status;
    int64_t delay_ns = retry_next_ns(&ask->retry, &loop->prng);
    if (ask->core->is_closing) {
        ask_finish(ask, STATUS_CANCELED);
    } else if (loop_now_ns(loop) + delay_ns >= ask->deadline_ns) {
        ask_finish(ask, status);
    } else {
        timer_start_after(&ask->timer, delay_ns);
    }
}

static void call_on_done(struct link_call *call, enum status status)
{
    struct processor_ask *ask = container_of(call, struct processor_ask, call);
    struct processor_core *self = ask->core;
    check(self->magic == CORE_MAGIC);
    ask->is_calling = false;
    if (status == STATUS_OK) {
        size_t byte_count = (size_t)(call->reader.end - call->reader.next);
        ask->answer = (struct wire_bytes){call->reader.next, (int32_t)byte_count};
        ask_finish(ask, STATUS_OK);
        return;
    }
    link_call_done(call);
    self->is_known = false;
    bool is_unsent = status == STATUS_CANCELED || status == STATUS_UNREACHABLE;
    if (is_unsent || (ask->is_repeatable && status == STATUS_UNKNOWN)) {
        ask_again(ask, STATUS_UNREACHABLE);
    } else {
        ask_finish(ask, status);
    }
}

static void link_on_closed(struct link *link, void *context, enum status why);

static struct link *peer_link(struct processor_peer *peer)
{
    struct processor_core *self = peer->core;
    if (peer->link == NULL && !self->is_closing) {
        struct link_options options = {.loop = self->options.loop,
                                       .address = peer->address,
                                       .client_id = self->options.client_id,
                                       .on_closed = link_on_closed,
                                       .context = peer};
        if (link_open(&options, &peer->link) != STATUS_OK) {
            peer->link = NULL;
        }
    }
    return peer->link;
}

static struct processor_peer *find_peer(struct processor_core *self, const struct address *address)
{
    list_for_each(link, &self->peers)
    {
        struct processor_peer *peer = container_of(link, struct processor_peer, in_core);
        if (peer->address.port == address->port && strcmp(peer->address.host, address->host) == 0) {
            return peer;
        }
    }
    return NULL;
}

static void drop_peer(struct processor_peer *peer)
{
    list_remove(&peer->in_core);
    free(peer);
}

static struct processor_peer *need_peer(struct processor_core *self, const struct address *address)
{
    struct processor_peer *peer = find_peer(self, address);
    if (peer == NULL) {
        peer = calloc(1, sizeof *peer);
        if (peer == NULL) {
            return NULL;
        }
        peer->core = self;
        peer->address = *address;
        list_append(&self->peers, &peer->in_core);
    }
    return peer;
}

/* The next one in turn among those that are listed. */
static struct processor_peer *pick_peer(struct processor_core *self)
{
    uint32_t wanted = self->turn % self->peer_count;
    self->turn += 1;
    list_for_each(link, &self->peers)
    {
        struct processor_peer *peer = container_of(link, struct processor_peer, in_core);
        if (peer->is_listed && wanted == 0) {
            return peer;
        }
        wanted -= peer->is_listed ? 1 : 0;
    }
    return NULL;
}

static void ask_send_to(struct processor_ask *ask, struct processor_peer *peer)
{
    struct loop *loop = ask->core->options.loop;
    struct link *link = peer == NULL ? NULL : peer_link(peer);
    if (link == NULL) {
        ask_again(ask, STATUS_UNREACHABLE);
        return;
    }
    int64_t left_ms = (ask->deadline_ns - loop_now_ns(loop)) / CLOCK_NS_PER_MS;
    ask->body = (struct wire_slice){ask->question.bytes, (size_t)ask->question.byte_count};
    ask->call = (struct link_call){.api_key = processor_core_api_key(),
                                   .body = &ask->body,
                                   .body_count = 1,
                                   .timeout_ms = left_ms > 1 ? left_ms : 1,
                                   .on_done = call_on_done};
    ask->is_calling = true;
    if (link_send(link, &ask->call) != STATUS_OK) {
        ask->is_calling = false;
        ask_again(ask, STATUS_UNREACHABLE);
    }
}

/* ---- looking for them ---- */

static void describe_encode(struct coordinator_op *op, struct wire_writer *writer)
{
    struct kafka_describe_groups_request request;
    kafka_describe_groups_request_defaults(&request);
    struct wire_text group = wire_text_of(PROCESSOR_CORE_GROUP);
    request.groups = &group;
    request.groups_count = 1;
    kafka_describe_groups_request_encode(&request, op->ask.version, writer);
}

static void list_peer(struct processor_core *self, struct wire_bytes metadata)
{
    Millrace__Processor__Member *member = millrace__processor__member__unpack(
        NULL, metadata.byte_count > 0 ? (size_t)metadata.byte_count : 0, metadata.bytes);
    if (member == NULL) {
        return; /* Not one of ours; the others will do. */
    }
    struct address address = {.port = (uint16_t)member->port};
    if (strlen(member->host) < sizeof address.host && member->port > 0 &&
        member->port <= UINT16_MAX && self->peer_count < PROCESSOR_CORE_PEERS_MAX) {
        (void)snprintf(address.host, sizeof address.host, "%s", member->host);
        struct processor_peer *peer = need_peer(self, &address);
        if (peer != NULL && !peer->is_listed) {
            peer->is_listed = true;
            self->peer_count += 1;
        }
    }
    millrace__processor__member__free_unpacked(member, NULL);
}

/* Between two generations brokers tell nothing of what members say of themselves. */
static bool is_between_generations(struct wire_text group_state)
{
    return wire_text_equals(group_state, "PreparingRebalance") ||
           wire_text_equals(group_state, "CompletingRebalance");
}

static enum status describe_take(struct coordinator_op *op)
{
    struct processor_core *self = container_of(op, struct processor_core, describe);
    struct kafka_describe_groups_response answer;
    TRY(kafka_describe_groups_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                              &answer));
    if (answer.groups_count != 1) {
        return STATUS_MALFORMED;
    }
    const struct kafka_describe_groups_response_described_group *group = &answer.groups[0];
    op->error_code = group->error_code;
    if (op->error_code == ERROR_CODE_GROUP_ID_NOT_FOUND) {
        op->error_code = ERROR_CODE_NONE; /* Nobody has joined it yet. */
    }
    self->is_between = is_between_generations(group->group_state);
    if (op->error_code != ERROR_CODE_NONE || self->is_between) {
        return STATUS_OK;
    }
    list_for_each(link, &self->peers)
    {
        container_of(link, struct processor_peer, in_core)->is_listed = false;
    }
    self->peer_count = 0;
    for (int32_t i = 0; i < group->members_count; i++) {
        list_peer(self, group->members[i].member_metadata);
    }
    return STATUS_OK;
}

static bool is_called(const struct processor_core *self, const struct link *link)
{
    list_for_each(found, &self->asks)
    {
        const struct processor_ask *ask = container_of(found, struct processor_ask, in_core);
        if (ask->is_calling && ask->call.link == link) {
            return true;
        }
    }
    return false;
}

/* Those that are gone: processors come back under other addresses for as long as we live. What
 * still owes an answer stays until a later look, or until its link breaks. */
static void forget_unlisted(struct processor_core *self)
{
    list_for_each_removable(found, &self->peers)
    {
        struct processor_peer *peer = container_of(found, struct processor_peer, in_core);
        if (peer->is_listed) {
            continue;
        }
        if (peer->link == NULL) {
            drop_peer(peer);
        } else if (!is_called(self, peer->link)) {
            link_close(peer->link);
        }
    }
}

static void end_look(struct processor_look *done, enum status status)
{
    timer_done(&done->timer);
    list_remove(&done->in_core);
    done->on_done(done, status);
}

static void end_looks(struct processor_core *self, enum status status)
{
    while (!list_is_empty(&self->looks)) {
        end_look(container_of(self->looks.next, struct processor_look, in_core), status);
    }
}

static void look_on_deadline(struct timer *timer)
{
    end_look(container_of(timer, struct processor_look, timer), STATUS_TIMEOUT);
}

static void describe_on_done(struct coordinator_op *op, enum status status)
{
    struct processor_core *self = container_of(op, struct processor_core, describe);
    check(self->magic == CORE_MAGIC);
    self->is_looking = false;
    self->look_status = status;
    self->look_not_before_ns = loop_now_ns(self->options.loop) + LOOK_PAUSE_MS * CLOCK_NS_PER_MS;
    self->is_known = status == STATUS_OK && op->error_code == ERROR_CODE_NONE;
    status = status == STATUS_OK && !self->is_known ? STATUS_UNREACHABLE : status;
    if (!self->is_closing) {
        forget_unlisted(self);
    }
    if (status == STATUS_OK && self->is_between && self->peer_count == 0 && !self->is_closing) {
        timer_start_after(&self->look_timer, LOOK_PAUSE_MS * CLOCK_NS_PER_MS);
    } else {
        end_looks(self, status);
    }
    list_for_each_removable(link, &self->asks)
    {
        struct processor_ask *ask = container_of(link, struct processor_ask, in_core);
        if (!self->is_closing && ask->waits_for_look) {
            timer_stop(&ask->timer);
            ask_step(ask);
        }
    }
}

static void look(struct processor_core *self)
{
    if (self->is_looking || self->is_closing) {
        return;
    }
    self->is_looking = true;
    self->is_between = false;
    self->describe =
        (struct coordinator_op){.api_key = API_KEY_DESCRIBE_GROUPS,
                                .version_min = 0,
                                .version_max = 5,
                                .lane = CLUSTER_LANE_SHORT,
                                .deadline_ns = loop_now_ns(self->options.loop) +
                                               self->options.request_timeout_ms * CLOCK_NS_PER_MS,
                                .encode = describe_encode,
                                .take = describe_take,
                                .on_done = describe_on_done};
    coordinator_core_run(&self->coordinator, &self->describe);
}

static void ask_step(struct processor_ask *ask)
{
    struct processor_core *self = ask->core;
    ask->waits_for_look = false;
    if (ask->target != NULL) {
        ask_send_to(ask, need_peer(self, ask->target));
        return;
    }
    if (loop_now_ns(self->options.loop) >= ask->deadline_ns) {
        ask_finish(ask, ask->last_status);
        return;
    }
    bool may_look = loop_now_ns(self->options.loop) >= self->look_not_before_ns;
    if (!self->is_known && may_look) {
        ask->waits_for_look = true; /* Its end goes on with this ask. */
        timer_start_at(&ask->timer, ask->deadline_ns);
        look(self);
    } else if (self->peer_count == 0) {
        self->is_known = false;
        ask_again(ask, self->look_status == STATUS_OK ? STATUS_NOT_FOUND : self->look_status);
    } else {
        ask_send_to(ask, pick_peer(self));
    }
}

void processor_core_look(struct processor_core *self, struct processor_look *wanted)
{
    check(self->magic == CORE_MAGIC);
    struct loop *loop = self->options.loop;
    if (wanted->deadline_ns == 0) {
        wanted->deadline_ns =
            loop_now_ns(loop) + self->options.request_timeout_ms * CLOCK_NS_PER_MS;
    }
    list_init(&wanted->in_core);
    list_append(&self->looks, &wanted->in_core);
    timer_init(&wanted->timer, &loop->timers, look_on_deadline);
    timer_start_at(&wanted->timer, wanted->deadline_ns);
    look(self);
}

static void look_on_pause(struct timer *timer)
{
    struct processor_core *self = container_of(timer, struct processor_core, look_timer);
    if (!list_is_empty(&self->looks)) {
        look(self);
    }
}

const struct address *processor_core_address(const struct processor_core *self, uint32_t index)
{
    list_for_each(link, &self->peers)
    {
        const struct processor_peer *peer = container_of(link, struct processor_peer, in_core);
        if (peer->is_listed && index == 0) {
            return &peer->address;
        }
        index -= peer->is_listed ? 1 : 0;
    }
    return NULL;
}

static void ask_on_fire(struct timer *timer)
{
    ask_step(container_of(timer, struct processor_ask, timer));
}

void processor_core_run(struct processor_core *self, struct processor_ask *ask)
{
    check(self->magic == CORE_MAGIC);
    ask->core = self;
    ask->answer = (struct wire_bytes){0};
    ask->call = (struct link_call){0};
    ask->is_calling = false;
    ask->waits_for_look = false;
    ask->last_status = STATUS_TIMEOUT;
    list_init(&ask->in_core);
    list_append(&self->asks, &ask->in_core);
    retry_init(&ask->retry, RETRY_FLOOR_MS, RETRY_CEILING_MS);
    timer_init(&ask->timer, &self->options.loop->timers, ask_on_fire);
    timer_start_after(&ask->timer, 0);
}

/* ---- life ---- */

static void cluster_on_closed(void *context)
{
    struct processor_core *self = context;
    check(list_is_empty(&self->asks));
    self->magic = 0;
    self->on_closed(self->context);
}

/* When no link is left, the brokers' side follows. */
static void close_when_alone(struct processor_core *self)
{
    list_for_each(link, &self->peers)
    {
        if (container_of(link, struct processor_peer, in_core)->link != NULL) {
            return;
        }
    }
    struct list *link;
    while ((link = list_take_first(&self->peers)) != NULL) {
        free(container_of(link, struct processor_peer, in_core));
    }
    coordinator_core_close(&self->coordinator);
    cluster_close(&self->cluster);
}

static void link_on_closed(struct link *link, void *context, enum status why)
{
    struct processor_peer *peer = context;
    (void)link;
    (void)why; /* Its calls have heard already. */
    peer->link = NULL;
    if (peer->core->is_closing) {
        close_when_alone(peer->core);
    } else if (!peer->is_listed) {
        drop_peer(peer);
    }
}

void processor_core_init(struct processor_core *self, const struct processor_core_options *options)
{
    *self = (struct processor_core){.magic = CORE_MAGIC, .options = *options};
    list_init(&self->peers);
    list_init(&self->asks);
    list_init(&self->looks);
    timer_init(&self->look_timer, &options->loop->timers, look_on_pause);
    self->turn = (uint32_t)prng_next(&options->loop->prng);
    struct cluster_options cluster = {.loop = options->loop,
                                      .bootstrap = options->bootstrap,
                                      .bootstrap_count = options->bootstrap_count,
                                      .client_id = options->client_id,
                                      .request_timeout_ms = options->request_timeout_ms,
                                      .on_closed = cluster_on_closed,
                                      .context = self};
    cluster_init(&self->cluster, &cluster);
    struct coordinator_core_options coordinator = {.cluster = &self->cluster,
                                                   .kind = COORDINATOR_CORE_GROUP,
                                                   .key = PROCESSOR_CORE_GROUP,
                                                   .timeout_ms = options->request_timeout_ms};
    coordinator_core_init(&self->coordinator, &coordinator);
}

void processor_core_close(struct processor_core *self, void (*on_closed)(void *context),
                          void *context)
{
    check(self->magic == CORE_MAGIC);
    check(!self->is_closing);
    self->is_closing = true;
    self->on_closed = on_closed;
    self->context = context;
    timer_done(&self->look_timer);
    end_looks(self, STATUS_CANCELED);
    list_for_each_removable(link, &self->asks)
    {
        struct processor_ask *ask = container_of(link, struct processor_ask, in_core);
        if (!ask->is_calling) {
            ask_finish(ask, STATUS_CANCELED);
        }
    }
    bool has_link = false;
    list_for_each_removable(link, &self->peers)
    {
        struct processor_peer *peer = container_of(link, struct processor_peer, in_core);
        has_link |= peer->link != NULL;
        if (peer->link != NULL) {
            link_close(peer->link);
        }
    }
    if (!has_link) {
        close_when_alone(self);
    }
}
