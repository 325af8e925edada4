#include "broker/api/speaker.h"

#include "broker/api/coordinator_call.h"
#include "broker/coordinator/ledger_key.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define SPEAKER_MAGIC 0xb40ce5e5U

struct speaker_broker {
    struct mail mail; /* To the quorum's loop, when the connection is gone. */
    struct controller *controller;
    int32_t broker_id;
    int64_t broker_epoch;
};

/* A member, and the word to its coordinator for when the connection is gone. */
struct speaker_member {
    struct list link;
    struct api_shard *shard;
    struct coordinator_call call;
    struct group_suspicion suspicion; /* Its texts are `bytes`. */
    char bytes[];
};

struct speaker {
    uint32_t magic;
    uint64_t number;
    struct speaker_broker *broker; /* Owned; NULL: none. */
    struct list members;           /* struct speaker_member, the oldest first. */
    uint32_t member_count;
};

/* Made with the first question that needs it. NULL: the connection is gone, or no memory; then the
 * sessions' time decides. */
static struct speaker *speaker_of(struct request *request)
{
    struct connection *connection = connection_of(request->ticket);
    if (connection == NULL) {
        return NULL;
    }
    struct speaker *self = connection_data(connection);
    if (self == NULL) {
        self = calloc(1, sizeof *self);
        if (self == NULL) {
            return NULL;
        }
        struct api_shard *shard = request->shard;
        shard->speaker_count += 1;
        self->magic = SPEAKER_MAGIC;
        self->number = shard->speaker_count * API_SHARDS_MAX + shard->index;
        list_init(&self->members);
        connection_set_data(connection, self);
    }
    check(self->magic == SPEAKER_MAGIC);
    return self;
}

uint64_t speaker_number(struct request *request)
{
    const struct speaker *self = speaker_of(request);
    return self == NULL ? 0 : self->number;
}

/* ---- brokers ---- */

void speaker_note_broker(struct request *request, int32_t broker_id, int64_t broker_epoch)
{
    struct speaker *self = speaker_of(request);
    if (self == NULL) {
        return;
    }
    if (self->broker == NULL) {
        self->broker = calloc(1, sizeof *self->broker);
        if (self->broker == NULL) {
            return;
        }
        self->broker->controller = request->shard->node->controller;
    }
    self->broker->broker_id = broker_id;
    self->broker->broker_epoch = broker_epoch;
}

static void broker_lost_deliver(struct mail *mail)
{
    struct speaker_broker *self = container_of(mail, struct speaker_broker, mail);
    controller_broker_lost(self->controller, self->broker_id, self->broker_epoch);
    free(self);
}

/* ---- members ---- */

static struct speaker_member *member_new(struct api_shard *shard, uint64_t number,
                                         struct wire_text group_id, struct wire_text member_id)
{
    size_t group_bytes = (size_t)group_id.byte_count;
    size_t member_bytes = (size_t)member_id.byte_count;
    struct speaker_member *self = calloc(1, sizeof *self + group_bytes + member_bytes);
    if (self == NULL) {
        return NULL;
    }
    self->shard = shard;
    list_init(&self->link);
    memcpy(self->bytes, group_id.bytes, group_bytes);
    memcpy(self->bytes + group_bytes, member_id.bytes, member_bytes);
    self->suspicion.group_id = (struct wire_text){self->bytes, group_id.byte_count};
    self->suspicion.member_id = (struct wire_text){self->bytes + group_bytes, member_id.byte_count};
    self->suspicion.connection_number = number;
    return self;
}

static void member_on_told(struct coordinator_call *call)
{
    struct speaker_member *self = container_of(call, struct speaker_member, call);
    struct api_shard *shard = self->shard;
    free(self); /* Whatever came of it: who is not suspected has its session. */
    request_leave_shard(shard);
}

/* Tells the coordinator and is gone. */
static void member_suspect(struct speaker_member *self)
{
    struct api_shard *shard = self->shard;
    const struct image_topic *topic =
        image_topic_by_name(partition_map_image(shard->map), wire_text_of(GROUP_TOPIC_NAME));
    if (topic == NULL) {
        free(self);
        return;
    }
    int32_t index = ledger_key_partition(self->suspicion.group_id, topic->partition_count);
    request_enter_shard(shard);
    self->suspicion.op.decide = group_rebalance_suspect;
    self->call.op = &self->suspicion.op;
    self->call.on_answered = member_on_told;
    coordinator_call_post_from(&self->call, shard, topic, index);
}

static bool is_member(const struct speaker_member *self, struct wire_text group_id,
                      struct wire_text member_id)
{
    return wire_text_same(self->suspicion.group_id, group_id) &&
           wire_text_same(self->suspicion.member_id, member_id);
}

static void keep_member(struct speaker *self, struct api_shard *shard, struct wire_text group_id,
                        struct wire_text member_id)
{
    list_for_each(link, &self->members)
    {
        if (is_member(container_of(link, struct speaker_member, link), group_id, member_id)) {
            return;
        }
    }
    struct speaker_member *member = member_new(shard, self->number, group_id, member_id);
    if (member == NULL) {
        return;
    }
    if (self->member_count == SPEAKER_MEMBERS_MAX) {
        free(container_of(list_take_first(&self->members), struct speaker_member, link));
        self->member_count -= 1;
    }
    list_append(&self->members, &member->link);
    self->member_count += 1;
}

void speaker_note_member(struct request *request, const struct group_call *call,
                         struct wire_text group_id, struct wire_text member_id)
{
    if (!call->is_watched || call->connection_number == 0) {
        return;
    }
    struct speaker *self = speaker_of(request);
    if (self != NULL) {
        keep_member(self, request->shard, group_id, member_id);
    } else if (!request->shard->node->is_stopping) {
        /* Gone while it was decided, perhaps for long (JoinGroup waits for others): now its session
         * runs, and nobody would tell of the end. */
        struct speaker_member *member =
            member_new(request->shard, call->connection_number, group_id, member_id);
        if (member != NULL) {
            member_suspect(member);
        }
    }
}

/* ---- the end ---- */

void speaker_on_closed(struct connection *connection)
{
    struct speaker *self = connection_data(connection);
    if (self == NULL) {
        return;
    }
    check(self->magic == SPEAKER_MAGIC);
    struct api_shard *shard = connection_context(connection);
    bool is_stopping = shard->node->is_stopping; /* Then we are the ones who go. */
    connection_set_data(connection, NULL);
    struct list *link;
    while ((link = list_take_first(&self->members)) != NULL) {
        struct speaker_member *member = container_of(link, struct speaker_member, link);
        if (is_stopping) {
            free(member);
        } else {
            member_suspect(member);
        }
    }
    if (self->broker != NULL && !is_stopping) {
        self->broker->mail.deliver = broker_lost_deliver;
        mailbox_post(&shard->node->quorum_loop->mailbox, &self->broker->mail);
    } else {
        free(self->broker);
    }
    self->magic = 0;
    free(self);
}
