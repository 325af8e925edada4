#include "broker/api/serve_metadata_pull.h"

#include "broker/api/dispatch.h"
#include "broker/metadata/image_snapshot.h"
#include "broker/uplink/metadata_pull.h"
#include "proto/sys/check.h"

#include <stdlib.h>

/* Images are rare and pulling brokers few: looking is cheaper than being told. */
#define LOOK_INTERVAL_MS 5
#define WAIT_MS_MAX 5000

struct metadata_pull_wait {
    struct request *request;
    uint64_t known_index;
    int64_t deadline_ns;
    struct timer look;
    uint8_t *snapshot; /* Owned until the answer has left. */
};

static void answer_on_sent(struct request *request)
{
    struct metadata_pull_wait *self = request->state;
    free(self->snapshot);
    request_done(request);
}

static void answer(struct metadata_pull_wait *self, const struct image *image)
{
    struct request *request = self->request;
    timer_done(&self->look);
    request_begin_answer(request);
    wire_write_int16(&request->writer, 0);
    size_t byte_count = 0;
    if (image != NULL) {
        self->snapshot = image_snapshot_write(image, &byte_count);
    }
    wire_write_int32(&request->writer, image == NULL ? -1 : (int32_t)byte_count);
    if (image != NULL) {
        wire_write_reference(&request->writer, self->snapshot, byte_count);
    }
    request->on_sent = answer_on_sent;
    request_send(request);
}

static void look(struct metadata_pull_wait *self)
{
    struct api_shard *shard = self->request->shard;
    const struct image *image = partition_map_image(shard->map);
    if (image_index(image) > self->known_index) {
        answer(self, image);
    } else if (shard->node->is_stopping || loop_now_ns(shard->loop) >= self->deadline_ns) {
        answer(self, NULL);
    } else {
        timer_start_after(&self->look, LOOK_INTERVAL_MS * CLOCK_NS_PER_MS);
    }
}

static void look_on_timer(struct timer *timer)
{
    look(container_of(timer, struct metadata_pull_wait, look));
}

void serve_metadata_pull(struct request *request)
{
    struct metadata_pull_wait *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    request->state = self;
    self->known_index = (uint64_t)wire_read_int64(&request->body);
    int32_t wait_ms = wire_read_int32(&request->body);
    timer_init(&self->look, &request->shard->loop->timers, look_on_timer);
    if (!request_body_is_whole(request, wire_reader_status(&request->body))) {
        return;
    }
    if (!access_authorize(&request->context, ACCESS_CLUSTER_ACTION, ACCESS_CLUSTER,
                          wire_text_of("kafka-cluster"))) {
        request_close(request, "pulling metadata is not allowed");
        return;
    }
    int64_t clamped_ms = wait_ms < 0 ? 0 : wait_ms > WAIT_MS_MAX ? WAIT_MS_MAX : wait_ms;
    self->deadline_ns = request->received_ns + clamped_ms * CLOCK_NS_PER_MS;
    look(self);
}
