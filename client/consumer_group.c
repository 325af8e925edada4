#include "client/consumer_group.h"

#include "client/subscription.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define GROUP_MAGIC 0xc096009bU
#define ARENA_BYTES_MAX ((size_t)128 << 20)

struct consumer_group_topic {
    struct cluster_topic *known; /* The member's cluster's. */
    int32_t partition_count;     /* As dealt out. */
};

static void fetch_begin(struct consumer_group *self);

/* ---- giving up ---- */

static void drop_parts(struct consumer_group *self)
{
    consumer_core_unassign(self->options.core);
    self->part_count = 0;
    self->is_assigned = false;
    self->is_revoking = false;
    self->is_fetch_wanted = false;
}

static void revoke_begin(struct consumer_group *self)
{
    if (self->is_revoking) {
        return;
    }
    self->is_revoking = true;
    if (self->is_assigned && self->part_count > 0) {
        self->options.on_revoke(self->options.context);
    } else {
        consumer_group_give_up(self);
    }
}

void consumer_group_give_up(struct consumer_group *self)
{
    check(self->magic == GROUP_MAGIC);
    if (self->is_revoking) {
        drop_parts(self);
        group_member_rejoin(&self->member);
    }
}

static void member_on_rebalance(void *context)
{
    revoke_begin(context);
}

static void member_on_lost(void *context)
{
    struct consumer_group *self = context;
    bool had_parts = self->is_assigned && self->part_count > 0;
    drop_parts(self);
    if (had_parts) {
        self->options.on_lost(self->options.context);
    }
}

static void member_on_failed(void *context, enum status status, int16_t error_code)
{
    struct consumer_group *self = context;
    self->options.on_failed(self->options.context, status, error_code);
}

/* ---- being assigned ---- */

static void assign_parts(struct consumer_group *self)
{
    for (uint32_t i = 0; i < self->part_count; i++) {
        const struct offset_call_row *row = &self->parts[i];
        struct consumer_start start = {.kind = self->options.start};
        if (row->offset >= 0) {
            start = (struct consumer_start){CONSUMER_START_OFFSET, row->offset};
        }
        enum status status =
            consumer_core_assign(self->options.core, row->topic, row->partition, start);
        if (status != STATUS_OK) {
            self->options.on_failed(self->options.context, status, ERROR_CODE_NONE);
            return;
        }
    }
    self->is_assigned = true;
    self->options.on_assigned(self->options.context);
}

static void fetch_on_done(struct offset_call *fetch, enum status status, int16_t error_code)
{
    struct consumer_group *self = container_of(fetch, struct consumer_group, fetch);
    check(self->magic == GROUP_MAGIC);
    bool is_wanted = self->is_fetch_wanted && fetch->row_count == self->part_count;
    self->is_fetching = false;
    for (uint32_t i = 0; is_wanted && i < self->part_count; i++) {
        const struct offset_call_row *row = &fetch->rows[i];
        is_wanted = row->partition == self->parts[i].partition &&
                    row->topic.byte_count == self->parts[i].topic.byte_count &&
                    memcmp(row->topic.bytes, self->parts[i].topic.bytes,
                           (size_t)row->topic.byte_count) == 0;
        self->parts[i].offset = row->offset;
    }
    offset_call_done(fetch);
    if (self->member.is_closing || !self->is_fetch_wanted) {
        return;
    }
    if (!is_wanted) {
        fetch_begin(self); /* That answer was for the generation before. */
        return;
    }
    self->is_fetch_wanted = false;
    if (status != STATUS_OK || error_code != ERROR_CODE_NONE) {
        self->options.on_failed(self->options.context, status, error_code);
        return;
    }
    assign_parts(self);
}

static void fetch_begin(struct consumer_group *self)
{
    self->is_fetch_wanted = true;
    if (self->is_fetching &&
        !coordinator_core_take_back(&self->member.coordinator, &self->fetch.op)) {
        return; /* The answer on its way leads here again. */
    }
    offset_call_done(&self->fetch);
    self->fetch.on_done = fetch_on_done;
    self->is_fetching = true;
    enum status status =
        consumer_group_fetch(self, &self->fetch, self->parts, self->part_count, INT64_MAX);
    if (status != STATUS_OK) {
        self->is_fetching = false;
        self->options.on_failed(self->options.context, status, ERROR_CODE_NONE);
    }
}

static enum status keep_parts(struct consumer_group *self,
                              const struct kafka_consumer_protocol_assignment *assignment)
{
    size_t count = 0;
    for (int32_t i = 0; i < assignment->assigned_partitions_count; i++) {
        count += (size_t)assignment->assigned_partitions[i].partitions_count;
    }
    self->parts = arena_take_array(&self->part_arena, count, sizeof *self->parts);
    if (self->parts == NULL || count > OFFSET_CALL_ROWS_MAX) {
        return STATUS_NO_MEMORY;
    }
    for (int32_t i = 0; i < assignment->assigned_partitions_count; i++) {
        const struct kafka_consumer_protocol_assignment_topic_partition *topic =
            &assignment->assigned_partitions[i];
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            if (topic->topic.byte_count <= 0 || topic->partitions[j] < 0) {
                return STATUS_MALFORMED;
            }
            self->parts[self->part_count++] = (struct offset_call_row){
                .topic = topic->topic, .partition = topic->partitions[j], .offset = -1};
        }
    }
    return STATUS_OK;
}

static enum status take_assignment(struct consumer_group *self, struct wire_bytes bytes)
{
    arena_reset(&self->part_arena);
    self->part_count = 0;
    int32_t byte_count = bytes.byte_count > 0 ? bytes.byte_count : 0;
    uint8_t *copy = arena_take(&self->part_arena, (size_t)byte_count);
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (byte_count > 0) {
        memcpy(copy, bytes.bytes, (size_t)byte_count);
    }
    struct kafka_consumer_protocol_assignment assignment;
    TRY(subscription_decode_assignment(&self->part_arena, (struct wire_bytes){copy, byte_count},
                                       &assignment));
    return keep_parts(self, &assignment);
}

static void member_on_assigned(void *context, struct wire_text protocol,
                               struct wire_bytes assignment)
{
    struct consumer_group *self = context;
    (void)protocol;
    drop_parts(self);
    enum status status = take_assignment(self, assignment);
    if (status != STATUS_OK) {
        self->part_count = 0;
        self->options.on_failed(self->options.context, status, ERROR_CODE_NONE);
    } else if (self->part_count == 0) {
        assign_parts(self);
    } else {
        fetch_begin(self);
    }
}

/* ---- leading ---- */

static uint32_t member_on_describe(void *context, struct group_member_protocol *protocols)
{
    struct consumer_group *self = context;
    struct wire_bytes bytes = {0};
    arena_reset(&self->told_arena);
    enum status status =
        subscription_encode(&self->told_arena, self->topics, self->topic_count, &bytes);
    if (status != STATUS_OK) {
        /* Empty bytes: it gets nothing. */
        self->options.on_failed(self->options.context, status, ERROR_CODE_NONE);
    }
    for (unsigned i = 0; i < ASSIGNOR_COUNT; i++) {
        protocols[i] = (struct group_member_protocol){assignor_name((enum assignor_kind)i), bytes};
    }
    return ASSIGNOR_COUNT;
}

static enum status copy_peer(struct consumer_group *self, const struct group_member_peer *from,
                             struct assignor_member *to)
{
    struct arena *arena = &self->lead_arena;
    int32_t byte_count = from->metadata.byte_count > 0 ? from->metadata.byte_count : 0;
    uint8_t *bytes = arena_take(arena, (size_t)byte_count);
    to->member_id.byte_count = from->member_id.byte_count;
    to->member_id.bytes =
        arena_copy_text(arena, from->member_id.bytes, (size_t)from->member_id.byte_count);
    to->instance_id = from->instance_id;
    if (from->instance_id.byte_count > 0) {
        to->instance_id.bytes =
            arena_copy_text(arena, from->instance_id.bytes, (size_t)from->instance_id.byte_count);
    }
    if (bytes == NULL || to->member_id.bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (byte_count > 0) {
        memcpy(bytes, from->metadata.bytes, (size_t)byte_count);
    }
    struct kafka_consumer_protocol_subscription subscription;
    enum status status =
        subscription_decode(arena, (struct wire_bytes){bytes, byte_count}, &subscription);
    if (status == STATUS_NO_MEMORY) {
        return status;
    }
    if (status == STATUS_OK) { /* Who cannot be understood gets nothing, and the others go on. */
        to->topics = subscription.topics;
        to->topic_count = (uint32_t)subscription.topics_count;
    }
    return STATUS_OK;
}

static bool is_dealt(const struct consumer_group *self, const struct cluster_topic *topic)
{
    for (uint32_t i = 0; i < self->dealt_count; i++) {
        if (self->dealt[i].known == topic) {
            return true;
        }
    }
    return false;
}

static enum status lead_prepare(struct consumer_group *self, const struct group_member_round *round)
{
    arena_reset(&self->lead_arena);
    self->dealt_count = 0;
    self->peer_count = round->peer_count;
    self->peers = arena_take_array(&self->lead_arena, round->peer_count, sizeof *self->peers);
    if (self->peers == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t topic_count = 0;
    for (uint32_t i = 0; i < round->peer_count; i++) {
        TRY(copy_peer(self, &round->peers[i], &self->peers[i]));
        topic_count += self->peers[i].topic_count;
    }
    self->dealt = arena_take_array(&self->lead_arena, topic_count, sizeof *self->dealt);
    if (self->dealt == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < self->peer_count; i++) {
        for (uint32_t j = 0; j < self->peers[i].topic_count; j++) {
            struct cluster_topic *topic =
                cluster_want(&self->member.cluster, self->peers[i].topics[j]);
            if (topic == NULL) {
                return STATUS_NO_MEMORY;
            }
            if (!is_dealt(self, topic)) {
                self->dealt[self->dealt_count++].known = topic;
            }
        }
    }
    return STATUS_OK;
}

/* One member's part of what was dealt out. */
static enum status encode_share(struct consumer_group *self, uint32_t peer,
                                const struct assignor_topic *topics, const uint32_t *owners,
                                struct group_member_share *out)
{
    struct arena *arena = &self->lead_arena;
    struct kafka_consumer_protocol_assignment assignment;
    kafka_consumer_protocol_assignment_defaults(&assignment);
    assignment.user_data = (struct wire_bytes){.byte_count = -1};
    assignment.assigned_partitions =
        arena_take_array(arena, self->dealt_count, sizeof *assignment.assigned_partitions);
    if (assignment.assigned_partitions == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < self->dealt_count; i++) {
        struct kafka_consumer_protocol_assignment_topic_partition *entry =
            &assignment.assigned_partitions[assignment.assigned_partitions_count];
        entry->topic = topics[i].name;
        entry->partitions =
            arena_take_array(arena, (size_t)topics[i].partition_count, sizeof *entry->partitions);
        if (entry->partitions == NULL) {
            return STATUS_NO_MEMORY;
        }
        for (int32_t j = 0; j < topics[i].partition_count; j++) {
            if (owners[j] == peer) {
                entry->partitions[entry->partitions_count++] = j;
            }
        }
        assignment.assigned_partitions_count += entry->partitions_count > 0;
        owners += topics[i].partition_count;
    }
    out->member_id = self->peers[peer].member_id;
    return subscription_encode_assignment(arena, &assignment, &out->assignment);
}

static enum status lead_deal(struct consumer_group *self)
{
    struct arena *arena = &self->lead_arena;
    struct assignor_topic *topics = arena_take_array(arena, self->dealt_count, sizeof *topics);
    size_t partition_count = 0;
    for (uint32_t i = 0; topics != NULL && i < self->dealt_count; i++) {
        const struct cluster_topic *known = self->dealt[i].known;
        self->dealt[i].partition_count = known->partition_count;
        topics[i] =
            (struct assignor_topic){{known->name, known->name_bytes}, known->partition_count};
        partition_count += (size_t)known->partition_count;
    }
    uint32_t *owners = arena_take_array(arena, partition_count, sizeof *owners);
    struct group_member_share *shares = arena_take_array(arena, self->peer_count, sizeof *shares);
    if (topics == NULL || owners == NULL || shares == NULL) {
        return STATUS_NO_MEMORY;
    }
    assignor_run(self->assignor, self->peers, self->peer_count, topics, self->dealt_count, owners);
    for (uint32_t i = 0; i < self->peer_count; i++) {
        TRY(encode_share(self, i, topics, owners, &shares[i]));
    }
    return group_member_assign(&self->member, shares, self->peer_count);
}

static void lead_end(struct consumer_group *self, enum status status)
{
    self->is_leading = false;
    if (status != STATUS_OK) {
        /* The others must not wait for a leader that cannot. */
        status_ignore(group_member_assign(&self->member, NULL, 0), "nothing is left to try");
        self->options.on_failed(self->options.context, status, ERROR_CODE_NONE);
    }
}

/* Deals out as soon as each topic is known, or is known not to be there. */
static void lead_step(struct consumer_group *self)
{
    for (uint32_t i = 0; i < self->dealt_count; i++) {
        const struct cluster_topic *known = self->dealt[i].known;
        if (known->partition_count == 0 && known->error_code == ERROR_CODE_NONE) {
            cluster_refresh(&self->member.cluster);
            return;
        }
    }
    lead_end(self, lead_deal(self));
}

static void member_on_lead(void *context, const struct group_member_round *round)
{
    struct consumer_group *self = context;
    self->is_leading = true;
    if (!assignor_of_name(round->protocol, &self->assignor)) {
        lead_end(self, STATUS_UNSUPPORTED);
        return;
    }
    enum status status = lead_prepare(self, round);
    if (status != STATUS_OK) {
        lead_end(self, status);
        return;
    }
    lead_step(self);
}

static void member_on_refreshed(void *context, enum status status)
{
    struct consumer_group *self = context;
    if (status != STATUS_OK) {
        return;
    }
    if (self->is_leading) {
        lead_step(self);
        return;
    }
    if (!self->member.is_leader || self->member.state != GROUP_MEMBER_STABLE) {
        return;
    }
    for (uint32_t i = 0; i < self->dealt_count; i++) {
        if (self->dealt[i].known->partition_count != self->dealt[i].partition_count) {
            revoke_begin(self); /* There is more to deal out now. */
            return;
        }
    }
}

/* ---- the outside ---- */

enum status consumer_group_subscribe(struct consumer_group *self, const struct wire_text *topics,
                                     uint32_t topic_count)
{
    check(self->magic == GROUP_MAGIC);
    if (topic_count > CONSUMER_GROUP_TOPICS_MAX) {
        return STATUS_FULL;
    }
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_MAX);
    struct wire_text *kept = arena_take_array(&arena, topic_count, sizeof *kept);
    for (uint32_t i = 0; kept != NULL && i < topic_count; i++) {
        kept[i].bytes = arena_copy_text(&arena, topics[i].bytes, (size_t)topics[i].byte_count);
        kept[i].byte_count = topics[i].byte_count;
        kept = kept[i].bytes == NULL ? NULL : kept;
    }
    if (kept == NULL) {
        arena_done(&arena);
        return STATUS_NO_MEMORY;
    }
    bool is_idle = self->member.state == GROUP_MEMBER_IDLE;
    arena_done(&self->topic_arena);
    self->topic_arena = arena;
    self->topics = kept;
    self->topic_count = topic_count;
    if (is_idle) {
        group_member_rejoin(&self->member);
    } else {
        revoke_begin(self);
    }
    return STATUS_OK;
}

static struct offset_call_member place_of(const struct consumer_group *self)
{
    return (struct offset_call_member){
        .group = self->options.group,
        .generation = self->topic_count > 0 ? self->member.generation : -1,
        .member_id = self->topic_count > 0 ? self->member.member_id : "",
        .instance_id = self->topic_count > 0 ? self->options.instance_id : NULL};
}

enum status consumer_group_commit(struct consumer_group *self, struct offset_call *call,
                                  const struct offset_call_row *rows, uint32_t row_count,
                                  int64_t deadline_ns)
{
    check(self->magic == GROUP_MAGIC);
    struct offset_call_member place = place_of(self);
    if (self->topic_count > 0 && place.generation < 0) {
        return STATUS_INVALID;
    }
    TRY(offset_call_init(call, &place, rows, row_count));
    offset_call_commit(call, &self->member.coordinator, deadline_ns);
    return STATUS_OK;
}

enum status consumer_group_fetch(struct consumer_group *self, struct offset_call *call,
                                 const struct offset_call_row *rows, uint32_t row_count,
                                 int64_t deadline_ns)
{
    check(self->magic == GROUP_MAGIC);
    struct offset_call_member place = place_of(self);
    TRY(offset_call_init(call, &place, rows, row_count));
    offset_call_fetch(call, &self->member.coordinator, deadline_ns);
    return STATUS_OK;
}

/* ---- life ---- */

static void member_on_closed(void *context)
{
    struct consumer_group *self = context;
    check(self->magic == GROUP_MAGIC);
    check(!self->is_fetching);
    arena_done(&self->topic_arena);
    arena_done(&self->told_arena);
    arena_done(&self->part_arena);
    arena_done(&self->lead_arena);
    self->magic = 0;
    self->options.on_closed(self->options.context);
}

void consumer_group_init(struct consumer_group *self, const struct consumer_group_options *options)
{
    check(options->start == CONSUMER_START_LATEST || options->start == CONSUMER_START_EARLIEST);
    *self = (struct consumer_group){.magic = GROUP_MAGIC, .options = *options};
    arena_init(&self->topic_arena, ARENA_BYTES_MAX);
    arena_init(&self->told_arena, ARENA_BYTES_MAX);
    arena_init(&self->part_arena, ARENA_BYTES_MAX);
    arena_init(&self->lead_arena, ARENA_BYTES_MAX);
    struct group_member_options member = {.loop = options->loop,
                                          .bootstrap = options->bootstrap,
                                          .bootstrap_count = options->bootstrap_count,
                                          .client_id = options->client_id,
                                          .group = options->group,
                                          .protocol_type = "consumer",
                                          .instance_id = options->instance_id,
                                          .request_timeout_ms = options->request_timeout_ms,
                                          .session_timeout_ms = options->session_timeout_ms,
                                          .rebalance_timeout_ms = options->rebalance_timeout_ms,
                                          .on_describe = member_on_describe,
                                          .on_lead = member_on_lead,
                                          .on_assigned = member_on_assigned,
                                          .on_rebalance = member_on_rebalance,
                                          .on_lost = member_on_lost,
                                          .on_failed = member_on_failed,
                                          .on_refreshed = member_on_refreshed,
                                          .on_closed = member_on_closed,
                                          .context = self};
    group_member_init(&self->member, &member);
    self->options.bootstrap = self->member.cluster.bootstrap;
}

void consumer_group_close(struct consumer_group *self, bool is_leaving, int64_t leave_ms)
{
    check(self->magic == GROUP_MAGIC);
    drop_parts(self);
    group_member_close(&self->member, is_leaving, leave_ms);
}
