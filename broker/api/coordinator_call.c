#include "broker/api/coordinator_call.h"

#include "broker/api/partition_ask.h"
#include "broker/coordinator/ledger_key.h"
#include "broker/coordinator/ledger_set.h"
#include "proto/sys/check.h"

#include <stdio.h>

static void op_on_done(struct ledger_op *op, enum ledger_fault fault)
{
    struct coordinator_call *self = op->context;
    self->fault = fault;
    partition_call_return(&self->call);
}

static void run(struct partition_call *call, struct partition *partition)
{
    struct coordinator_call *self = container_of(call, struct coordinator_call, call);
    ledger_submit(ledger_set_of(partition), self->op);
}

static void on_returned(struct partition_call *call)
{
    struct coordinator_call *self = container_of(call, struct coordinator_call, call);
    self->on_answered(self);
}

void coordinator_call_post_to(struct coordinator_call *self, struct request *request,
                              const struct image_topic *topic, int32_t index)
{
    coordinator_call_post_from(self, request->shard, topic, index);
}

void coordinator_call_post_from(struct coordinator_call *self, struct api_shard *shard,
                                const struct image_topic *topic, int32_t index)
{
    self->op->on_done = op_on_done;
    self->op->context = self;
    self->call = (struct partition_call){.run = run, .on_returned = on_returned};
    partition_ask_post(&self->call, shard, topic, index);
}

void coordinator_call_post(struct coordinator_call *self, struct request *request,
                           const char *topic_name, struct wire_text key)
{
    const struct image *image = partition_map_image(request->shard->map);
    const struct image_topic *topic = image_topic_by_name(image, wire_text_of(topic_name));
    if (topic == NULL) {
        self->fault = LEDGER_FAULT_NOT_HERE;
        self->on_answered(self);
        return;
    }
    coordinator_call_post_to(self, request, topic,
                             ledger_key_partition(key, topic->partition_count));
}

int16_t coordinator_call_code(const struct coordinator_call *self)
{
    return group_code_of_fault(self->fault);
}

/* "/127.0.0.1", as Kafka's tools show it. */
static struct wire_text host_of(struct request *request)
{
    const struct connection *connection = connection_of(request->ticket);
    char text[ADDRESS_HOST_BYTES_MAX + 2] = "/";
    int length = 1;
    if (connection != NULL) {
        length = snprintf(text, sizeof text, "/%s", connection_peer(connection)->host);
        check(length > 0 && (size_t)length < sizeof text);
    }
    const char *bytes = arena_copy_text(&request->arena, text, (size_t)length);
    return bytes == NULL ? (struct wire_text){NULL, -1} : (struct wire_text){bytes, length};
}

bool coordinator_call_init_ask(struct group_ask *self, struct request *request)
{
    group_init_call(&self->group, GROUP_ASK_BYTES_MAX);
    self->request = request;
    self->group.version = request->context.api_version;
    self->group.client_id = request->context.client_id;
    if (self->group.client_id.byte_count < 0) {
        self->group.client_id = wire_text_of("");
    }
    self->group.client_host = host_of(request);
    return self->group.client_host.byte_count >= 0;
}

void coordinator_call_post_ask(struct group_ask *self, struct wire_text group_id,
                               enum ledger_verdict (*decide)(struct ledger_op *op, void *machine),
                               void (*on_answered)(struct coordinator_call *call))
{
    self->group.op.decide = decide;
    self->call.op = &self->group.op;
    self->call.on_answered = on_answered;
    coordinator_call_post(&self->call, self->request, GROUP_TOPIC_NAME, group_id);
}

static void on_sent(struct request *request)
{
    struct group_ask *self = request->state;
    group_done_call(&self->group);
    request_done(request);
}

void coordinator_call_send(struct group_ask *self)
{
    self->request->state = self;
    self->request->on_sent = on_sent;
    request_send(self->request);
}
