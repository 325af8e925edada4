#include "broker/broker.h"

#include "broker/api/speaker.h"
#include "broker/broker_identity.h"
#include "broker/broker_member.h"
#include "broker/broker_shard.h"
#include "broker/metadata/topic_config.h"
#include "broker/uplink/metadata_pull.h"
#include "broker/uplink/own_address.h"
#include "proto/frame/listener.h"
#include "proto/sys/check.h"
#include "raft/peer_transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BROKER_MAGIC 0xb40ce400U
#define LISTENER_NAME "PLAINTEXT"
#define LEAVE_TIMEOUT_MS 2000
#define MS_PER_MINUTE INT64_C(60000)
#define PRODUCER_EXPIRY_MS 86400000 /* producer.id.expiration.ms */

struct broker {
    uint32_t magic;
    struct broker_options options;
    struct loop *home; /* The first shard's. */
    struct budget budget;
    struct api_node node;
    struct broker_shard shards[BROKER_SHARDS_MAX];
    struct group_limits group_limits;
    struct txn_limits txn_limits;
    uint32_t waiting_count; /* Shards whose word the present step waits for. */
    uint64_t applied_indexes[BROKER_SHARDS_MAX];
    enum status open_status;
    char quorum_directory[DISK_PATH_BYTES_MAX];

    struct controller *controller; /* Owned; used on the quorum's loop. */
    struct quorum *quorum;         /* Owned; used on the quorum's loop. */
    struct uplink *uplink;         /* Owned; lives on the quorum's loop. */
    struct quorum_peers *peers;    /* Owned; NULL with one voter. */
    struct metadata_pull *pull;    /* Owned; instead of quorum and controller without a vote. */
    struct own_address *own;       /* Owned; of a voter among several. */
    struct mail quorum_mail;
    enum status quorum_status;
    struct wire_uuid directory_id;
    struct wire_uuid incarnation_id; /* Of this process; constant. */

    struct listener *listener; /* Owned. */
    struct broker_member member;
    bool has_member;
    bool is_voter;
    bool is_ready;
    bool is_stopping;
    bool is_stop_wanted; /* broker_close() came before the start was through. */
    bool is_started;
};

static void fail(struct broker *self, enum status why)
{
    self->options.on_failed(self->options.context, why);
}

/* ---- images ---- */

static uint64_t applied_index(void *context)
{
    const struct broker *self = context;
    uint64_t lowest = UINT64_MAX;
    for (uint32_t i = 0; i < self->options.shard_count; i++) {
        lowest = self->applied_indexes[i] < lowest ? self->applied_indexes[i] : lowest;
    }
    return lowest;
}

static void shard_on_applied(struct broker_shard *shard, uint64_t index)
{
    struct broker *self = shard->context;
    check(self->magic == BROKER_MAGIC);
    self->applied_indexes[shard->api->index] = index;
    const struct image *image =
        self->shards[0].api->map == NULL ? NULL : partition_map_image(self->shards[0].api->map);
    if (self->is_ready || self->is_stopping || image == NULL || !self->has_member) {
        return;
    }
    if (applied_index(self) >= image_index(image) && broker_member_is_live(&self->member, image)) {
        self->is_ready = true;
        trace_line(self->home->trace, TRACE_INFO, "broker", "ready", "broker=%d port=%u",
                   self->node.broker_id, self->node.advertised.port);
        self->options.on_ready(self->options.context, listener_port(self->listener));
    }
}

/* On the quorum's loop. */
static void controller_on_image(void *context, struct image *image)
{
    struct broker *self = context;
    for (uint32_t i = 0; i < self->options.shard_count; i++) {
        broker_shard_apply(&self->shards[i], image);
    }
}

static struct partition_config config_of(void *context, const struct image *image,
                                         const struct image_topic *topic)
{
    const struct broker_shard *shard = context;
    const struct broker *self = shard->context;
    struct config_key_view view = self->node.config_view;
    view.image = image;
    struct topic_config_settings settings;
    topic_config_settings_of(&view, topic, &settings);
    return (struct partition_config){
        .log = {.segment_bytes = settings.segment_bytes,
                .segment_ms = settings.segment_ms,
                .retention_bytes = settings.retention_bytes,
                .retention_ms = settings.retention_ms,
                .index_interval_bytes = settings.index_interval_bytes,
                .file_delete_delay_ms = settings.file_delete_delay_ms,
                .is_delete_policy = settings.is_deleted_from,
                .is_memory_durable = settings.durability == TOPIC_CONFIG_DURABILITY_MEMORY},
        .min_isr = (uint8_t)settings.insync_replicas_min,
        .is_log_append_time = settings.is_append_time,
        .producer_expiry_ms = PRODUCER_EXPIRY_MS};
}

/* Any shard's loop. */
static bool knows_this_life(void *context, const struct image *image)
{
    const struct broker_shard *shard = context;
    const struct broker *self = shard->context;
    const struct image_broker *own = image_broker_by_id(image, self->node.broker_id);
    return own != NULL && wire_uuid_equals(&own->incarnation_id, &self->incarnation_id);
}

/* ---- start ---- */

static void shard_on_failed(void *context, enum status why)
{
    struct broker_shard *shard = context;
    struct broker *self = shard->context;
    fail(self, why); /* From the shard's own loop: the node ends, nothing may be written first. */
}

static void member_on_duplicate(void *context)
{
    fail(context, STATUS_FENCED);
}

static void start_member(struct broker *self)
{
    struct broker_member_options options = {
        .loop = self->home,
        .uplink = self->uplink,
        .broker_id = self->node.broker_id,
        .directory_id = self->directory_id,
        .incarnation_id = self->incarnation_id,
        .listener_name = LISTENER_NAME,
        .advertised = self->node.advertised,
        .rack = self->options.config->rack[0] == '\0' ? NULL : self->options.config->rack,
        .is_voter = self->is_voter,
        .heartbeat_interval_ms = self->options.config->heartbeat_interval_ms,
        .session_timeout_ms = self->options.config->session_timeout_ms,
        .applied_index = applied_index,
        .on_duplicate = member_on_duplicate,
        .context = self};
    broker_member_init(&self->member, &options);
    self->has_member = true;
    broker_member_start(&self->member);
}

static void stop_at_home(struct broker *self);

static void quorum_opened_deliver(struct mail *mail)
{
    struct broker *self = container_of(mail, struct broker, quorum_mail);
    self->is_started = true;
    if (self->quorum_status != STATUS_OK) {
        trace_line(self->home->trace, TRACE_ERROR, "broker", "quorum_not_opened",
                   "directory=\"%s\" reason=\"%s\" action=stop", self->quorum_directory,
                   status_text(self->quorum_status));
        fail(self, self->quorum_status);
        return;
    }
    if (self->is_stop_wanted) {
        stop_at_home(self);
        return;
    }
    self->node.controller = self->controller;
    self->node.uplink = self->uplink;
    self->node.is_open = true;
    for (uint32_t i = 0; i < self->options.shard_count; i++) {
        broker_shard_start(&self->shards[i]);
    }
    start_member(self);
}

static void quorum_on_leadership(void *context, bool is_ready, int64_t term)
{
    struct broker *self = context;
    controller_set_leadership(self->controller, is_ready, term);
}

static void quorum_on_fatal(void *context, enum status why)
{
    fail(context, why);
}

static void quorum_on_peer(void *context, int32_t node_id, bool is_down)
{
    struct broker *self = context;
    controller_peer_changed(self->controller, node_id, is_down);
}

/* The voters of the settings; none named: this broker alone. */
static void fill_voters(struct broker *self, struct quorum_options *quorum)
{
    const struct broker_config *config = self->options.config;
    quorum->voter_count = config->voter_count > 0 ? config->voter_count : 1;
    for (uint32_t i = 0; i < config->voter_count; i++) {
        quorum->voters[i] = config->voters[i];
    }
    if (config->voter_count == 0) {
        quorum->voters[0] = (struct quorum_voter){.node_id = self->node.broker_id,
                                                  .address = self->node.advertised};
    }
}

static enum status open_peers(struct broker *self, struct quorum_options *quorum)
{
    if (quorum->voter_count == 1) {
        return STATUS_OK;
    }
    struct peer_transport_options options = {.loop = self->options.quorum_loop,
                                             .node_id = self->node.broker_id,
                                             .voter_count = quorum->voter_count};
    memcpy(options.voters, quorum->voters, sizeof options.voters);
    TRY(peer_transport_open(&options, &self->peers));
    quorum->peers = self->peers;
    self->node.peers = self->peers;
    return STATUS_OK;
}

static enum status open_controller(struct broker *self)
{
    const struct broker_config *config = self->options.config;
    struct controller_options controller = {
        .loop = self->options.quorum_loop,
        .node_id = self->node.broker_id,
        .defaults = {.partition_count = (uint32_t)config->partition_count,
                     .replication_factor = (uint32_t)config->replication_factor},
        .session_timeout_ms = (int32_t)config->session_timeout_ms,
        .on_image = controller_on_image,
        .on_fatal = quorum_on_fatal,
        .context = self};
    return controller_new(&controller, &self->controller);
}

static bool has_leader(void *context)
{
    const struct broker *self = context;
    return quorum_status_of(self->quorum).leader_id >= 0;
}

static void own_on_other(void *context)
{
    fail(context, STATUS_FENCED);
}

static enum status open_own_address(struct broker *self, const struct quorum_options *quorum)
{
    struct own_address_options options = {.loop = self->options.quorum_loop,
                                          .node_id = self->node.broker_id,
                                          .incarnation_id = self->incarnation_id,
                                          .patience_ms = BROKER_MEMBER_PATIENCE_SESSIONS *
                                                         self->options.config->session_timeout_ms,
                                          .has_leader = has_leader,
                                          .on_other = own_on_other,
                                          .context = self};
    for (uint32_t i = 0; i < quorum->voter_count; i++) {
        if (quorum->voters[i].node_id == self->node.broker_id) {
            options.address = quorum->voters[i].address;
        }
    }
    return quorum->voter_count == 1 ? STATUS_OK : own_address_new(&options, &self->own);
}

static enum status open_voter(struct broker *self, struct quorum_options *quorum)
{
    TRY(open_controller(self));
    quorum->fsm = controller_fsm(self->controller);
    TRY(open_peers(self, quorum));
    TRY(quorum_open(quorum, &self->quorum));
    controller_attach(self->controller, self->quorum);
    struct quorum_status status = quorum_status_of(self->quorum);
    memcpy(self->directory_id.bytes, status.directory_id, sizeof self->directory_id.bytes);
    return open_own_address(self, quorum);
}

static enum status open_observer(struct broker *self, const struct quorum_options *quorum)
{
    TRY(broker_identity_load(self->options.quorum_loop, self->options.config->log_dir,
                             self->node.broker_id, &self->directory_id));
    struct metadata_pull_options options = {.loop = self->options.quorum_loop,
                                            .voters = quorum->voters,
                                            .voter_count = quorum->voter_count,
                                            .on_image = controller_on_image,
                                            .on_fatal = quorum_on_fatal,
                                            .context = self};
    return metadata_pull_new(&options, &self->pull);
}

static bool is_voter(const struct broker *self, const struct quorum_options *quorum)
{
    for (uint32_t i = 0; i < quorum->voter_count; i++) {
        if (quorum->voters[i].node_id == self->node.broker_id) {
            return true;
        }
    }
    return false;
}

static enum status open_quorum(struct broker *self)
{
    struct quorum_options quorum = {.loop = self->options.quorum_loop,
                                    .directory = self->quorum_directory,
                                    .node_id = self->node.broker_id,
                                    .election_ms = (uint32_t)self->options.config->election_ms,
                                    .on_leadership = quorum_on_leadership,
                                    .on_peer = quorum_on_peer,
                                    .on_fatal = quorum_on_fatal,
                                    .context = self};
    fill_voters(self, &quorum);
    self->is_voter = is_voter(self, &quorum);
    TRY(self->is_voter ? open_voter(self, &quorum) : open_observer(self, &quorum));
    struct uplink_options uplink = {.loop = self->options.quorum_loop,
                                    .controller = self->controller,
                                    .quorum = self->quorum,
                                    .broker_id = self->node.broker_id,
                                    .voters = quorum.voters,
                                    .voter_count = quorum.voter_count};
    return uplink_new(&uplink, &self->uplink);
}

static void quorum_open_deliver(struct mail *mail)
{
    struct broker *self = container_of(mail, struct broker, quorum_mail);
    self->quorum_status = open_quorum(self);
    self->quorum_mail.deliver = quorum_opened_deliver;
    mailbox_post(&self->home->mailbox, &self->quorum_mail);
}

static enum status open_listener(struct broker *self)
{
    const struct broker_config *config = self->options.config;
    struct connection_options shards[BROKER_SHARDS_MAX];
    for (uint32_t i = 0; i < self->options.shard_count; i++) {
        shards[i] =
            (struct connection_options){.loop = self->options.shard_loops[i],
                                        .budget = &self->budget,
                                        .frame_bytes_max = (size_t)config->request_bytes_max,
                                        .on_frame = dispatch_on_frame,
                                        .on_closed = speaker_on_closed,
                                        .context = &self->node.shards[i]};
    }
    struct listener_options options = {.loop = self->home,
                                       .address = config->listen,
                                       .shards = shards,
                                       .shard_count = self->options.shard_count,
                                       .connection_count_max =
                                           (uint32_t)config->connection_count_max};
    TRY(listener_open(&options, &self->listener));
    self->node.advertised = config->advertised;
    if (self->node.advertised.port == 0) {
        self->node.advertised.port = listener_port(self->listener);
    }
    return STATUS_OK;
}

static void shard_on_opened(struct broker_shard *shard)
{
    struct broker *self = shard->context;
    check(self->magic == BROKER_MAGIC);
    if (shard->open_status != STATUS_OK) {
        self->open_status = shard->open_status;
    }
    self->waiting_count -= 1;
    if (self->waiting_count > 0) {
        return;
    }
    enum status status = self->open_status == STATUS_OK ? open_listener(self) : self->open_status;
    if (status != STATUS_OK) {
        self->is_started = true;
        trace_line(self->home->trace, TRACE_ERROR, "broker", "not_started",
                   "listeners=\"%s\" reason=\"%s\" action=stop", self->options.config->listeners,
                   status_text(status));
        fail(self, status);
        return;
    }
    self->quorum_mail.deliver = quorum_open_deliver;
    mailbox_post(&self->options.quorum_loop->mailbox, &self->quorum_mail);
}

static void init_shard(struct broker *self, uint32_t index)
{
    const struct broker_config *config = self->options.config;
    struct api_shard *api = &self->node.shards[index];
    struct broker_shard *shard = &self->shards[index];
    api->loop = self->options.shard_loops[index];
    api->index = index;
    api->node = &self->node;
    shard->api = api;
    shard->home = self->home;
    shard->context = self;
    shard->on_opened = shard_on_opened;
    shard->on_applied = shard_on_applied;
    shard->follower_options = (struct follower_options){.loop = api->loop,
                                                        .broker_id = self->node.broker_id,
                                                        .lag_ms = config->replica_lag_ms,
                                                        .may_follow = knows_this_life,
                                                        .on_failed = shard_on_failed,
                                                        .context = shard};
    shard->txn_context.limits = &self->txn_limits;
    shard->ledger_options = (struct ledger_set_options){
        .loop = api->loop,
        .directory = config->log_dir,
        .kinds = {group_kind(&self->group_limits), txn_kind(&shard->txn_context)},
        .kind_count = 2,
        .snapshot_record_count = (uint64_t)config->snapshot_record_count};
    shard->map_options =
        (struct partition_map_options){.loop = api->loop,
                                       .directory = config->log_dir,
                                       .shard_index = index,
                                       .shard_count = self->options.shard_count,
                                       .broker_id = self->node.broker_id,
                                       .journal_bytes = (uint64_t)config->journal_bytes,
                                       .free_bytes_min = (uint64_t)config->free_bytes_min,
                                       .budget = &self->budget,
                                       .config_of = config_of,
                                       .may_lead = knows_this_life,
                                       .on_failed = shard_on_failed,
                                       .context = shard};
}

static enum status prepare_directories(struct broker *self)
{
    const char *directory = self->options.config->log_dir;
    int length =
        snprintf(self->quorum_directory, sizeof self->quorum_directory, "%s/quorum", directory);
    if (length < 0 || (size_t)length >= sizeof self->quorum_directory) {
        return STATUS_INVALID;
    }
    TRY(disk_make_directory(self->home->disk, directory));
    return log_recover(self->home, directory);
}

enum status broker_open(const struct broker_options *options, struct broker **out_self)
{
    check(options->shard_count > 0);
    check(options->shard_count <= BROKER_SHARDS_MAX);
    struct broker *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    const struct broker_config *config = options->config;
    self->magic = BROKER_MAGIC;
    self->options = *options;
    self->home = options->shard_loops[0];
    budget_init(&self->budget, (size_t)config->memory_limit_bytes);
    self->node.broker_id = (int32_t)config->node_id;
    self->node.listener_name = LISTENER_NAME;
    self->node.budget = &self->budget;
    self->node.shard_count = options->shard_count;
    self->node.quorum_loop = options->quorum_loop;
    self->node.is_auto_create = config->is_auto_create;
    self->node.internal_partition_count = (int32_t)config->internal_partition_count;
    self->node.voter_count = config->voter_count;
    self->group_limits =
        (struct group_limits){.session_ms_min = (int32_t)config->group_session_ms_min,
                              .session_ms_max = (int32_t)config->group_session_ms_max,
                              .initial_delay_ms = (int32_t)config->group_delay_ms,
                              .member_count_max = (uint32_t)config->group_member_count_max,
                              .metadata_bytes_max = (int32_t)config->offset_metadata_bytes_max,
                              .retention_ms = config->offsets_retention_min * MS_PER_MINUTE,
                              .retention_check_ms = config->offsets_check_ms};
    self->txn_limits = (struct txn_limits){.timeout_ms_max = (int32_t)config->txn_timeout_ms_max,
                                           .sweep_ms = config->txn_sweep_ms,
                                           .expiration_ms = config->txn_expiration_ms,
                                           .expiry_check_ms = config->txn_expiry_check_ms};
    self->node.config_view.broker_id = self->node.broker_id;
    prng_fill(&self->home->prng, self->incarnation_id.bytes, sizeof self->incarnation_id.bytes);
    self->node.incarnation_id = self->incarnation_id;
    enum status status = prepare_directories(self);
    if (status != STATUS_OK) {
        trace_line(self->home->trace, TRACE_ERROR, "broker", "not_recovered",
                   "directory=\"%s\" reason=\"%s\" action=stop", config->log_dir,
                   status_text(status));
        free(self);
        return status;
    }
    self->waiting_count = options->shard_count;
    for (uint32_t i = 0; i < options->shard_count; i++) {
        init_shard(self, i);
        broker_shard_open(&self->shards[i]);
    }
    *out_self = self;
    return STATUS_OK;
}

struct partition_map *broker_partitions(struct broker *self, uint32_t shard_index)
{
    check(self->magic == BROKER_MAGIC);
    check(shard_index < self->options.shard_count);
    return self->node.shards[shard_index].map;
}

/* ---- stop, in reverse ---- */

static void finish(struct broker *self)
{
    void (*on_closed)(void *) = self->options.on_closed;
    void *context = self->options.context;
    self->magic = 0;
    free(self);
    on_closed(context);
}

static void shard_on_closed(struct broker_shard *shard)
{
    struct broker *self = shard->context;
    self->waiting_count -= 1;
    if (self->waiting_count == 0) {
        finish(self);
    }
}

/* The quorum is closed: no image comes any more, so the logs can go. */
static void quorum_closed_deliver(struct mail *mail)
{
    struct broker *self = container_of(mail, struct broker, quorum_mail);
    self->waiting_count = self->options.shard_count;
    for (uint32_t i = 0; i < self->options.shard_count; i++) {
        self->shards[i].on_closed = shard_on_closed;
        broker_shard_close(&self->shards[i]);
    }
}

static void peers_on_closed(void *context)
{
    struct broker *self = context;
    if (self->controller != NULL) {
        controller_free(self->controller);
    }
    self->quorum_mail.deliver = quorum_closed_deliver;
    mailbox_post(&self->home->mailbox, &self->quorum_mail);
}

static void quorum_on_closed(void *context)
{
    struct broker *self = context;
    if (self->peers != NULL) {
        peer_transport_close(self->peers, peers_on_closed, self);
    } else {
        peers_on_closed(self);
    }
}

static void own_on_closed(void *context)
{
    struct broker *self = context;
    quorum_close(self->quorum, quorum_on_closed, self);
}

static void uplink_on_closed(void *context)
{
    struct broker *self = context;
    if (self->own != NULL) {
        own_address_close(self->own, own_on_closed, self);
    } else if (self->quorum != NULL) {
        own_on_closed(self);
    } else {
        metadata_pull_close(self->pull, peers_on_closed, self);
    }
}

static void quorum_close_deliver(struct mail *mail)
{
    struct broker *self = container_of(mail, struct broker, quorum_mail);
    uplink_close(self->uplink, uplink_on_closed, self);
}

static void shard_on_idle(struct broker_shard *shard)
{
    struct broker *self = shard->context;
    self->waiting_count -= 1;
    if (self->waiting_count > 0) {
        return;
    }
    self->quorum_mail.deliver = quorum_close_deliver;
    mailbox_post(&self->options.quorum_loop->mailbox, &self->quorum_mail);
}

static void member_on_stopped(void *context)
{
    struct broker *self = context;
    self->waiting_count = self->options.shard_count;
    for (uint32_t i = 0; i < self->options.shard_count; i++) {
        self->shards[i].on_idle = shard_on_idle;
        broker_shard_drain(&self->shards[i]);
    }
}

static void listener_on_closed(void *context)
{
    struct broker *self = context;
    broker_member_stop(&self->member, member_on_stopped);
}

static void member_on_left(void *context)
{
    struct broker *self = context;
    self->node.is_stopping = true;
    listener_close(self->listener, listener_on_closed, self);
}

static void stop_at_home(struct broker *self)
{
    self->is_stopping = true;
    if (!self->has_member) {
        start_member(self); /* So that there is one way to stop only. */
    }
    broker_member_leave(&self->member, self->is_ready ? LEAVE_TIMEOUT_MS : 0, member_on_left);
}

void broker_close(struct broker *self)
{
    check(self->magic == BROKER_MAGIC);
    if (self->is_stopping || self->is_stop_wanted) {
        return;
    }
    self->is_stop_wanted = true;
    if (self->is_started) {
        stop_at_home(self);
    }
}
