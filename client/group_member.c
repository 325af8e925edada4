#include "client/group_member.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/heartbeat.h"
#include "proto/kafka/join_group.h"
#include "proto/kafka/leave_group.h"
#include "proto/kafka/sync_group.h"
#include "proto/sys/check.h"

#include <string.h>

#define MEMBER_MAGIC 0x96e3be70U
#define RETRY_FLOOR_MS 20
#define RETRY_CEILING_MS 1000
#define ANSWER_GRACE_MS 5000 /* The coordinator holds a join as long as it waits for others. */
#define HEARTBEATS_PER_SESSION 3
#define SHARE_BYTES_MAX ((size_t)64 << 20)
#define JOIN_VERSION_MAX 9
#define JOIN_VERSION_INSTANCE 5
#define SYNC_VERSION_MAX 5
#define SYNC_VERSION_PROTOCOL 5
#define HEARTBEAT_VERSION_MAX 4
#define LEAVE_VERSION_MAX 5
#define MEMBERS_VERSION 3 /* Of LeaveGroup; of SyncGroup and Heartbeat: with instance ids. */

static void join_begin(struct group_member *self);

static struct wire_text instance_of(const struct group_member *self)
{
    return wire_text_of(self->options.instance_id);
}

/* ---- states ---- */

/* Nothing is asked any more, except what is on the wire. */
static void fall_silent(struct group_member *self)
{
    timer_stop(&self->beat);
    timer_stop(&self->pause);
    if (self->is_join_running && coordinator_core_take_back(&self->coordinator, &self->join)) {
        self->is_join_running = false;
    }
    if (self->is_sync_running && coordinator_core_take_back(&self->coordinator, &self->sync)) {
        self->is_sync_running = false;
    }
    if (self->is_heartbeat_running &&
        coordinator_core_take_back(&self->coordinator, &self->heartbeat)) {
        self->is_heartbeat_running = false;
    }
}

static void fail(struct group_member *self, enum status status, int16_t error_code)
{
    fall_silent(self);
    self->state = GROUP_MEMBER_IDLE;
    self->generation = -1;
    bool had_assignment = self->has_assignment;
    self->has_assignment = false;
    if (had_assignment) {
        self->options.on_lost(self->options.context);
    }
    self->options.on_failed(self->options.context, status, error_code);
}

static void lose(struct group_member *self)
{
    self->generation = -1;
    if (self->has_assignment) {
        self->has_assignment = false;
        self->options.on_lost(self->options.context);
    }
}

static void pause_on_fire(struct timer *timer)
{
    struct group_member *self = container_of(timer, struct group_member, pause);
    check(self->magic == MEMBER_MAGIC);
    join_begin(self);
}

/* The place or the round is gone. Joins anew, at once after the first failure. */
static void join_again(struct group_member *self)
{
    struct loop *loop = self->options.loop;
    fall_silent(self);
    self->state = GROUP_MEMBER_JOINING;
    bool is_first = self->retry.attempt_count == 0;
    int64_t delay_ns = retry_next_ns(&self->retry, &loop->prng);
    timer_start_after(&self->pause, is_first ? 0 : delay_ns);
}

/* What all answers have in common; true where the case is closed with it. */
static bool is_place_gone(struct group_member *self, int16_t code)
{
    if (code == ERROR_CODE_UNKNOWN_MEMBER_ID) {
        self->member_id[0] = '\0';
    }
    if (code == ERROR_CODE_UNKNOWN_MEMBER_ID || code == ERROR_CODE_ILLEGAL_GENERATION) {
        lose(self);
        join_again(self);
        return true;
    }
    if (code == ERROR_CODE_FENCED_INSTANCE_ID) {
        fail(self, STATUS_FENCED, code);
        return true;
    }
    return false;
}

/* ---- heartbeats ---- */

static void heartbeat_encode(struct coordinator_op *op, struct wire_writer *writer)
{
    struct group_member *self = container_of(op, struct group_member, heartbeat);
    struct kafka_heartbeat_request request;
    kafka_heartbeat_request_defaults(&request);
    request.group_id = wire_text_of(self->options.group);
    request.generation_id = self->heartbeat_generation;
    request.member_id = wire_text_of(self->member_id);
    if (op->ask.version >= MEMBERS_VERSION) {
        request.group_instance_id = instance_of(self);
    }
    kafka_heartbeat_request_encode(&request, op->ask.version, writer);
}

static enum status heartbeat_take(struct coordinator_op *op)
{
    struct kafka_heartbeat_response answer;
    TRY(kafka_heartbeat_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                        &answer));
    op->error_code = answer.error_code;
    return STATUS_OK;
}

static bool is_beating(const struct group_member *self)
{
    return self->state == GROUP_MEMBER_STABLE || self->state == GROUP_MEMBER_CALLED ||
           self->state == GROUP_MEMBER_LEADING;
}

static void heartbeat_answered(struct group_member *self, int16_t code)
{
    if (is_place_gone(self, code)) {
        return;
    }
    if (code == ERROR_CODE_NONE || code == ERROR_CODE_REBALANCE_IN_PROGRESS) {
        self->heard_ns = loop_now_ns(self->options.loop);
    } else if (!error_code_is_retriable(code)) {
        fail(self, STATUS_INVALID, code);
        return;
    }
    if (code == ERROR_CODE_REBALANCE_IN_PROGRESS && self->state == GROUP_MEMBER_STABLE) {
        self->state = GROUP_MEMBER_CALLED;
        self->options.on_rebalance(self->options.context);
    }
}

static void heartbeat_on_done(struct coordinator_op *op, enum status status)
{
    struct group_member *self = container_of(op, struct group_member, heartbeat);
    check(self->magic == MEMBER_MAGIC);
    self->is_heartbeat_running = false;
    bool is_current = self->heartbeat_generation == self->generation && is_beating(self);
    if (self->is_closing || !is_current) {
        return;
    }
    if (status == STATUS_OK) {
        heartbeat_answered(self, op->error_code);
        return;
    }
    int64_t silence_ns = loop_now_ns(self->options.loop) - self->heard_ns;
    if (silence_ns >= self->options.session_timeout_ms * CLOCK_NS_PER_MS) {
        /* By now the coordinator, wherever it is, may have given our part to others. */
        lose(self);
        join_again(self);
    }
}

static void beat_on_fire(struct timer *timer)
{
    struct group_member *self = container_of(timer, struct group_member, beat);
    check(self->magic == MEMBER_MAGIC);
    if (!is_beating(self)) {
        return;
    }
    timer_start_after(&self->beat, self->options.heartbeat_ms * CLOCK_NS_PER_MS);
    if (self->is_heartbeat_running) {
        return;
    }
    int64_t session_ns = self->options.session_timeout_ms * CLOCK_NS_PER_MS;
    self->heartbeat_generation = self->generation;
    self->heartbeat = (struct coordinator_op){.api_key = API_KEY_HEARTBEAT,
                                              .version_max = HEARTBEAT_VERSION_MAX,
                                              .lane = CLUSTER_LANE_SHORT,
                                              .timeout_ms = self->options.session_timeout_ms / 2,
                                              .deadline_ns = self->heard_ns + session_ns,
                                              .encode = heartbeat_encode,
                                              .take = heartbeat_take,
                                              .on_done = heartbeat_on_done};
    self->is_heartbeat_running = true;
    coordinator_core_run(&self->coordinator, &self->heartbeat);
}

static void beat_begin(struct group_member *self)
{
    self->heard_ns = loop_now_ns(self->options.loop);
    timer_start_after(&self->beat, self->options.heartbeat_ms * CLOCK_NS_PER_MS);
}

/* What ends now belongs to a join that was given up; another may have been asked for since. */
static bool is_over(struct group_member *self)
{
    bool is_idle = self->state == GROUP_MEMBER_IDLE;
    if (is_idle && self->is_rejoin_wanted && !self->is_closing) {
        join_begin(self);
    }
    return is_idle || self->is_closing;
}

/* ---- SyncGroup ---- */

static void sync_encode(struct coordinator_op *op, struct wire_writer *writer)
{
    struct group_member *self = container_of(op, struct group_member, sync);
    struct kafka_sync_group_request request;
    kafka_sync_group_request_defaults(&request);
    request.group_id = wire_text_of(self->options.group);
    request.generation_id = self->generation;
    request.member_id = wire_text_of(self->member_id);
    if (op->ask.version >= MEMBERS_VERSION) {
        request.group_instance_id = instance_of(self);
    }
    if (op->ask.version >= SYNC_VERSION_PROTOCOL) {
        request.protocol_type = wire_text_of(self->options.protocol_type);
        request.protocol_name = wire_text_of(self->protocol);
    }
    request.assignments =
        arena_take_array(&op->ask.arena, self->share_count, sizeof *request.assignments);
    if (request.assignments == NULL) {
        wire_writer_fail(writer, STATUS_NO_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < self->share_count; i++) {
        kafka_sync_group_request_sync_group_request_assignment_defaults(&request.assignments[i]);
        request.assignments[i].member_id = self->shares[i].member_id;
        request.assignments[i].assignment = self->shares[i].assignment;
    }
    request.assignments_count = (int32_t)self->share_count;
    kafka_sync_group_request_encode(&request, op->ask.version, writer);
}

static enum status sync_take(struct coordinator_op *op)
{
    struct group_member *self = container_of(op, struct group_member, sync);
    struct kafka_sync_group_response answer;
    TRY(kafka_sync_group_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                         &answer));
    op->error_code = answer.error_code;
    if (answer.error_code != ERROR_CODE_NONE || self->is_closing) {
        return STATUS_OK;
    }
    self->state = GROUP_MEMBER_STABLE;
    self->has_assignment = true;
    retry_reset(&self->retry);
    beat_begin(self);
    self->options.on_assigned(self->options.context, wire_text_of(self->protocol),
                              answer.assignment);
    return STATUS_OK;
}

static void sync_on_done(struct coordinator_op *op, enum status status)
{
    struct group_member *self = container_of(op, struct group_member, sync);
    check(self->magic == MEMBER_MAGIC);
    self->is_sync_running = false;
    int16_t code = op->error_code;
    if (is_over(self)) {
        return;
    }
    if (status == STATUS_UNSUPPORTED) {
        fail(self, status, code);
    } else if (status != STATUS_OK || code == ERROR_CODE_REBALANCE_IN_PROGRESS) {
        join_again(self);
    } else if (code == ERROR_CODE_NONE) {
        if (self->is_rejoin_wanted) {
            join_begin(self);
        }
    } else if (!is_place_gone(self, code)) {
        fail(self, STATUS_INVALID, code);
    }
}

static void sync_begin(struct group_member *self)
{
    check(!self->is_sync_running);
    self->state = GROUP_MEMBER_SYNCING;
    timer_stop(&self->beat);
    self->sync =
        (struct coordinator_op){.api_key = API_KEY_SYNC_GROUP,
                                .version_max = SYNC_VERSION_MAX,
                                .lane = CLUSTER_LANE_LONG,
                                .timeout_ms = self->options.rebalance_timeout_ms + ANSWER_GRACE_MS,
                                .deadline_ns = INT64_MAX,
                                .encode = sync_encode,
                                .take = sync_take,
                                .on_done = sync_on_done};
    self->is_sync_running = true;
    coordinator_core_run(&self->coordinator, &self->sync);
}

static enum status copy_share(struct arena *arena, const struct group_member_share *from,
                              struct group_member_share *to)
{
    *to = *from;
    to->member_id.bytes =
        arena_copy_text(arena, from->member_id.bytes, (size_t)from->member_id.byte_count);
    to->assignment.byte_count = from->assignment.byte_count < 0 ? 0 : from->assignment.byte_count;
    uint8_t *bytes = arena_take(arena, (size_t)to->assignment.byte_count);
    if (to->member_id.bytes == NULL || bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (to->assignment.byte_count > 0) {
        memcpy(bytes, from->assignment.bytes, (size_t)to->assignment.byte_count);
    }
    to->assignment.bytes = bytes;
    return STATUS_OK;
}

enum status group_member_assign(struct group_member *self, const struct group_member_share *shares,
                                uint32_t share_count)
{
    check(self->magic == MEMBER_MAGIC);
    if (self->state != GROUP_MEMBER_LEADING || self->is_closing) {
        return STATUS_OK;
    }
    arena_reset(&self->arena);
    self->share_count = 0;
    self->shares = arena_take_array(&self->arena, share_count, sizeof *shares);
    if (self->shares == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < share_count; i++) {
        check(shares[i].member_id.byte_count > 0);
        TRY(copy_share(&self->arena, &shares[i], &self->shares[i]));
    }
    self->share_count = share_count;
    sync_begin(self);
    return STATUS_OK;
}

/* ---- JoinGroup ---- */

static void join_encode(struct coordinator_op *op, struct wire_writer *writer)
{
    struct group_member *self = container_of(op, struct group_member, join);
    struct kafka_join_group_request request;
    kafka_join_group_request_defaults(&request);
    request.group_id = wire_text_of(self->options.group);
    request.session_timeout_ms = (int32_t)self->options.session_timeout_ms;
    request.rebalance_timeout_ms = (int32_t)self->options.rebalance_timeout_ms;
    request.member_id = wire_text_of(self->member_id);
    if (op->ask.version >= JOIN_VERSION_INSTANCE) {
        request.group_instance_id = instance_of(self);
    }
    request.protocol_type = wire_text_of(self->options.protocol_type);
    struct kafka_join_group_request_join_group_request_protocol
        protocols[GROUP_MEMBER_PROTOCOLS_MAX];
    for (uint32_t i = 0; i < self->protocol_count; i++) {
        kafka_join_group_request_join_group_request_protocol_defaults(&protocols[i]);
        protocols[i].name = self->protocols[i].name;
        protocols[i].metadata = self->protocols[i].metadata;
    }
    request.protocols = protocols;
    request.protocols_count = (int32_t)self->protocol_count;
    kafka_join_group_request_encode(&request, op->ask.version, writer);
}

static bool keep_text(char *out, struct wire_text text)
{
    if (text.byte_count < 0 || (size_t)text.byte_count >= GROUP_MEMBER_ID_BYTES_MAX) {
        return false;
    }
    memcpy(out, text.bytes, (size_t)text.byte_count);
    out[text.byte_count] = '\0';
    return true;
}

static enum status join_lead(struct group_member *self, struct arena *arena,
                             const struct kafka_join_group_response *answer)
{
    if (answer->members_count > (int32_t)GROUP_MEMBER_PEERS_MAX) {
        return STATUS_MALFORMED;
    }
    uint32_t count = answer->members_count > 0 ? (uint32_t)answer->members_count : 0;
    struct group_member_peer *peers = arena_take_array(arena, count, sizeof *peers);
    if (peers == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        peers[i] = (struct group_member_peer){.member_id = answer->members[i].member_id,
                                              .instance_id = answer->members[i].group_instance_id,
                                              .metadata = answer->members[i].metadata};
        if (peers[i].member_id.byte_count <= 0) {
            return STATUS_MALFORMED;
        }
    }
    struct group_member_round round = {
        .protocol = wire_text_of(self->protocol), .peers = peers, .peer_count = count};
    self->options.on_lead(self->options.context, &round);
    return STATUS_OK;
}

static enum status join_take(struct coordinator_op *op)
{
    struct group_member *self = container_of(op, struct group_member, join);
    struct kafka_join_group_response answer;
    TRY(kafka_join_group_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                         &answer));
    op->error_code = answer.error_code;
    bool is_in = answer.error_code == ERROR_CODE_NONE;
    if (self->is_closing || (!is_in && answer.error_code != ERROR_CODE_MEMBER_ID_REQUIRED)) {
        return STATUS_OK;
    }
    if (!keep_text(self->member_id, answer.member_id)) {
        return STATUS_MALFORMED;
    }
    if (!is_in) {
        return STATUS_OK;
    }
    if (!keep_text(self->protocol, answer.protocol_name)) {
        return STATUS_MALFORMED;
    }
    self->generation = answer.generation_id;
    self->is_leader = wire_text_equals(answer.leader, self->member_id);
    self->share_count = 0;
    if (self->is_leader) {
        self->state = GROUP_MEMBER_LEADING;
        beat_begin(self);
        return join_lead(self, &op->ask.arena, &answer);
    }
    sync_begin(self);
    return STATUS_OK;
}

static void join_refused(struct group_member *self, int16_t code)
{
    if (code == ERROR_CODE_MEMBER_ID_REQUIRED) {
        join_begin(self);
    } else if (code == ERROR_CODE_REBALANCE_IN_PROGRESS) {
        join_again(self);
    } else if (!is_place_gone(self, code)) {
        fail(self, STATUS_INVALID, code);
    }
}

static void join_on_done(struct coordinator_op *op, enum status status)
{
    struct group_member *self = container_of(op, struct group_member, join);
    check(self->magic == MEMBER_MAGIC);
    self->is_join_running = false;
    if (is_over(self)) {
        return;
    }
    if (status == STATUS_UNSUPPORTED) {
        fail(self, status, op->error_code);
    } else if (status != STATUS_OK) {
        join_again(self);
    } else if (op->error_code != ERROR_CODE_NONE) {
        join_refused(self, op->error_code);
    }
}

static void join_begin(struct group_member *self)
{
    if (self->is_join_running || self->is_sync_running) {
        /* An older question is still on the wire; its answer leads here again. */
        self->is_rejoin_wanted = true;
        return;
    }
    fall_silent(self);
    self->state = GROUP_MEMBER_JOINING;
    self->is_rejoin_wanted = false;
    self->protocol_count = self->options.on_describe(self->options.context, self->protocols);
    check(self->protocol_count > 0);
    check(self->protocol_count <= GROUP_MEMBER_PROTOCOLS_MAX);
    self->join =
        (struct coordinator_op){.api_key = API_KEY_JOIN_GROUP,
                                .version_max = JOIN_VERSION_MAX,
                                .lane = CLUSTER_LANE_LONG,
                                .timeout_ms = self->options.rebalance_timeout_ms + ANSWER_GRACE_MS,
                                .deadline_ns = INT64_MAX,
                                .encode = join_encode,
                                .take = join_take,
                                .on_done = join_on_done};
    self->is_join_running = true;
    coordinator_core_run(&self->coordinator, &self->join);
}

void group_member_rejoin(struct group_member *self)
{
    check(self->magic == MEMBER_MAGIC);
    if (self->is_closing) {
        return;
    }
    bool is_between = self->state == GROUP_MEMBER_IDLE || self->state == GROUP_MEMBER_STABLE ||
                      self->state == GROUP_MEMBER_CALLED;
    if (is_between) {
        join_begin(self);
    } else {
        self->is_rejoin_wanted = true;
    }
}

/* ---- life ---- */

static void leave_encode(struct coordinator_op *op, struct wire_writer *writer)
{
    struct group_member *self = container_of(op, struct group_member, leave);
    struct kafka_leave_group_request request;
    kafka_leave_group_request_defaults(&request);
    request.group_id = wire_text_of(self->options.group);
    struct kafka_leave_group_request_member_identity member;
    kafka_leave_group_request_member_identity_defaults(&member);
    member.member_id = wire_text_of(self->member_id);
    if (op->ask.version >= MEMBERS_VERSION) {
        request.members = &member;
        request.members_count = 1;
    } else {
        request.member_id = member.member_id;
    }
    kafka_leave_group_request_encode(&request, op->ask.version, writer);
}

static enum status leave_take(struct coordinator_op *op)
{
    struct kafka_leave_group_response answer;
    TRY(kafka_leave_group_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                          &answer));
    op->error_code = answer.error_code;
    return STATUS_OK;
}

static void close_cluster(struct group_member *self)
{
    coordinator_core_close(&self->coordinator);
    cluster_close(&self->cluster);
}

static void leave_on_done(struct coordinator_op *op, enum status status)
{
    status_ignore(status, "whoever could not say goodbye is missed when the session ends");
    close_cluster(container_of(op, struct group_member, leave));
}

static void cluster_on_refreshed(void *context, enum status status)
{
    struct group_member *self = context;
    if (self->options.on_refreshed != NULL && !self->is_closing) {
        self->options.on_refreshed(self->options.context, status);
    }
}

static void cluster_on_closed(void *context)
{
    struct group_member *self = context;
    check(self->magic == MEMBER_MAGIC);
    arena_done(&self->arena);
    self->magic = 0;
    self->options.on_closed(self->options.context);
}

void group_member_init(struct group_member *self, const struct group_member_options *options)
{
    check(options->session_timeout_ms > 0);
    check(options->protocol_type != NULL);
    *self = (struct group_member){.magic = MEMBER_MAGIC, .options = *options, .generation = -1};
    if (self->options.rebalance_timeout_ms <= 0) {
        self->options.rebalance_timeout_ms = options->session_timeout_ms;
    }
    if (self->options.heartbeat_ms <= 0) {
        self->options.heartbeat_ms = options->session_timeout_ms / HEARTBEATS_PER_SESSION;
    }
    arena_init(&self->arena, SHARE_BYTES_MAX);
    retry_init(&self->retry, RETRY_FLOOR_MS, RETRY_CEILING_MS);
    timer_init(&self->beat, &options->loop->timers, beat_on_fire);
    timer_init(&self->pause, &options->loop->timers, pause_on_fire);
    struct cluster_options cluster = {.loop = options->loop,
                                      .bootstrap = options->bootstrap,
                                      .bootstrap_count = options->bootstrap_count,
                                      .client_id = options->client_id,
                                      .request_timeout_ms = options->request_timeout_ms,
                                      .on_refreshed = cluster_on_refreshed,
                                      .on_closed = cluster_on_closed,
                                      .context = self};
    cluster_init(&self->cluster, &cluster);
    self->options.bootstrap = self->cluster.bootstrap;
    struct coordinator_core_options coordinator = {.cluster = &self->cluster,
                                                   .kind = COORDINATOR_CORE_GROUP,
                                                   .key = options->group,
                                                   .timeout_ms = options->request_timeout_ms};
    coordinator_core_init(&self->coordinator, &coordinator);
}

void group_member_close(struct group_member *self, bool is_leaving, int64_t leave_ms)
{
    check(self->magic == MEMBER_MAGIC);
    check(!self->is_closing);
    self->is_closing = true;
    fall_silent(self);
    bool is_in = self->member_id[0] != '\0' && self->options.instance_id == NULL;
    self->state = GROUP_MEMBER_LEAVING;
    if (!is_leaving || !is_in || leave_ms <= 0) {
        close_cluster(self);
        return;
    }
    self->leave = (struct coordinator_op){.api_key = API_KEY_LEAVE_GROUP,
                                          .version_max = LEAVE_VERSION_MAX,
                                          .lane = CLUSTER_LANE_SHORT,
                                          .deadline_ns = loop_now_ns(self->options.loop) +
                                                         leave_ms * CLOCK_NS_PER_MS,
                                          .encode = leave_encode,
                                          .take = leave_take,
                                          .on_done = leave_on_done};
    coordinator_core_run(&self->coordinator, &self->leave);
}
