#include "broker/log/log.h"

#include "broker/log/log_walk.h"

struct replay {
    enum status (*on_batch)(void *context, const uint8_t *batch, size_t byte_count,
                            int64_t ingested_ms);
    void *context;
};

static enum status replay_on_batch(void *context, const struct batch_view *batch,
                                   int64_t ingested_ms)
{
    const struct replay *replay = context;
    return replay->on_batch(replay->context, batch->bytes, batch->byte_count, ingested_ms);
}

enum status log_replay(struct log *self, int64_t offset,
                       enum status (*on_batch)(void *context, const uint8_t *batch,
                                               size_t byte_count, int64_t ingested_ms),
                       void *context)
{
    struct replay replay = {.on_batch = on_batch, .context = context};
    int64_t oldest = log_oldest(self);
    return log_walk(self, offset < oldest ? oldest : offset, replay_on_batch, &replay);
}
