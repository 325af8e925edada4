/* A question of a request to the ledger of a group or a transactional id: there and back.
 *
 * The key names a partition of the topic, the image its shard; the operation runs there, and
 * on_answered comes on the connection's loop. group_ask is the call that every group handler makes.
 *
 * Owner: the request's state. Loop: the connection's shard. Limits: GROUP_ASK_BYTES_MAX an answer.
 */
#pragma once

#include "broker/api/dispatch.h"
#include "broker/coordinator/group.h"

#define GROUP_ASK_BYTES_MAX ((size_t)64 << 20)

struct coordinator_call {
    struct ledger_op *op; /* The caller's; `decide` is filled. */
    enum ledger_fault fault;
    void (*on_answered)(struct coordinator_call *self); /* May run inside the post. */
    struct partition_call call;
};

/* `key` decides which partition of `topic_name` is asked. */
void coordinator_call_post(struct coordinator_call *self, struct request *request,
                           const char *topic_name, struct wire_text key);
/* The same of one partition by its number, which exists. */
void coordinator_call_post_to(struct coordinator_call *self, struct request *request,
                              const struct image_topic *topic, int32_t index);
/* The same for a shard that asks on its own account. */
void coordinator_call_post_from(struct coordinator_call *self, struct api_shard *shard,
                                const struct image_topic *topic, int32_t index);

struct group_ask {
    struct coordinator_call call;
    struct group_call group;
    struct request *request;
};

/* Fills what the call tells of its client. False: no memory. */
bool coordinator_call_init_ask(struct group_ask *self, struct request *request);
/* `on_answered` finds it by container_of(call, struct group_ask, call). */
void coordinator_call_post_ask(struct group_ask *self, struct wire_text group_id,
                               enum ledger_verdict (*decide)(struct ledger_op *op, void *machine),
                               void (*on_answered)(struct coordinator_call *call));
/* The only ask of its request: sends what was encoded and gives its memory back behind it. */
void coordinator_call_send(struct group_ask *self);
int16_t coordinator_call_code(const struct coordinator_call *self);
