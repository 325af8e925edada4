#include "broker/controller/liveness.h"

#include "proto/sys/check.h"

void liveness_init(struct liveness *self, int64_t session_ns)
{
    check(session_ns > 0);
    *self = (struct liveness){.session_ns = session_ns};
}

static struct liveness_broker *find(struct liveness *self, int32_t broker_id)
{
    for (uint32_t i = 0; i < self->broker_count; i++) {
        if (self->brokers[i].broker_id == broker_id) {
            return &self->brokers[i];
        }
    }
    return NULL;
}

static const struct liveness_broker *look(const struct liveness *self, int32_t broker_id)
{
    for (uint32_t i = 0; i < self->broker_count; i++) {
        if (self->brokers[i].broker_id == broker_id) {
            return &self->brokers[i];
        }
    }
    return NULL;
}

static struct liveness_broker *find_or_add(struct liveness *self, int32_t broker_id)
{
    struct liveness_broker *broker = find(self, broker_id);
    if (broker == NULL && self->broker_count < LIVENESS_BROKERS_MAX) {
        broker = &self->brokers[self->broker_count];
        *broker = (struct liveness_broker){.broker_id = broker_id};
        self->broker_count += 1;
    }
    return broker;
}

void liveness_begin(struct liveness *self, const struct image *image, int64_t now_ns)
{
    for (uint32_t i = 0; i < self->broker_count; i++) {
        self->brokers[i].broker_epoch = 0;
        self->brokers[i].is_heard = false;
        self->brokers[i].is_lost = self->brokers[i].is_peer_down;
        self->brokers[i].shutdown_index = 0;
        self->brokers[i].applied_index = 0;
    }
    for (uint32_t i = 0; i < image_broker_count(image); i++) {
        const struct image_broker *known = image_broker_at(image, i);
        struct liveness_broker *broker = find_or_add(self, known->id);
        if (broker != NULL) {
            broker->broker_epoch = known->epoch;
            broker->deadline_ns = now_ns + self->session_ns;
            /* Whoever began to shut down under another controller asks this one again. */
            broker->shutdown_index = known->is_shutting_down ? image_index(image) : 0;
        }
    }
}

void liveness_touch(struct liveness *self, int32_t broker_id, int64_t broker_epoch,
                    uint64_t applied_index, int64_t now_ns)
{
    struct liveness_broker *broker = find_or_add(self, broker_id);
    if (broker == NULL) {
        return;
    }
    if (broker->broker_epoch != broker_epoch) {
        broker->shutdown_index = 0;
        broker->applied_index = 0;
    }
    broker->broker_epoch = broker_epoch;
    broker->deadline_ns = now_ns + self->session_ns;
    broker->is_heard = true;
    broker->is_lost = false;
    if (applied_index > broker->applied_index) {
        broker->applied_index = applied_index;
    }
}

void liveness_lose(struct liveness *self, int32_t broker_id, int64_t broker_epoch)
{
    struct liveness_broker *broker = find(self, broker_id);
    if (broker != NULL && (broker_epoch == -1 || broker->broker_epoch == broker_epoch)) {
        broker->is_lost = true;
    }
}

void liveness_set_peer(struct liveness *self, int32_t node_id, bool is_down)
{
    struct liveness_broker *broker = find_or_add(self, node_id);
    if (broker != NULL) {
        broker->is_peer_down = is_down;
    }
}

void liveness_set_shutdown(struct liveness *self, int32_t broker_id, uint64_t index)
{
    struct liveness_broker *broker = find(self, broker_id);
    if (broker != NULL && broker->shutdown_index == 0) {
        broker->shutdown_index = index;
    }
}

uint64_t liveness_applied_index(const struct liveness *self, int32_t broker_id)
{
    const struct liveness_broker *broker = look(self, broker_id);
    return broker == NULL ? 0 : broker->applied_index;
}

bool liveness_is_live(const struct liveness *self, int32_t broker_id, int64_t now_ns)
{
    const struct liveness_broker *broker = look(self, broker_id);
    return broker != NULL && broker->broker_epoch != 0 && !broker->is_lost &&
           now_ns < broker->deadline_ns;
}

bool liveness_is_heard(const struct liveness *self, int32_t broker_id, int64_t now_ns)
{
    const struct liveness_broker *broker = look(self, broker_id);
    return broker != NULL && broker->is_heard && liveness_is_live(self, broker_id, now_ns);
}

/* NULL when it is not watched: fenced, or of an epoch that has not been heard of. */
static const struct liveness_broker *watched(const struct liveness *self,
                                             const struct image_broker *known)
{
    const struct liveness_broker *broker = known->is_fenced ? NULL : look(self, known->id);
    return broker == NULL || broker->broker_epoch != known->epoch ? NULL : broker;
}

const struct image_broker *liveness_next_expired(const struct liveness *self,
                                                 const struct image *image, int64_t now_ns)
{
    for (uint32_t i = 0; i < image_broker_count(image); i++) {
        const struct image_broker *known = image_broker_at(image, i);
        const struct liveness_broker *broker = watched(self, known);
        if (broker != NULL && (broker->is_lost || now_ns >= broker->deadline_ns)) {
            return known;
        }
    }
    return NULL;
}

int64_t liveness_next_deadline(const struct liveness *self, const struct image *image)
{
    int64_t earliest = INT64_MAX;
    for (uint32_t i = 0; i < image_broker_count(image); i++) {
        const struct liveness_broker *broker = watched(self, image_broker_at(image, i));
        if (broker != NULL && broker->deadline_ns < earliest) {
            earliest = broker->deadline_ns;
        }
    }
    return earliest;
}

bool liveness_knows_shutdown(const struct liveness *self, const struct image *image,
                             int32_t broker_id)
{
    const struct liveness_broker *leaving = look(self, broker_id);
    if (leaving == NULL || leaving->shutdown_index == 0) {
        return false;
    }
    for (uint32_t i = 0; i < image_broker_count(image); i++) {
        const struct liveness_broker *broker = watched(self, image_broker_at(image, i));
        if (broker != NULL && broker->applied_index < leaving->shutdown_index) {
            return false;
        }
    }
    return true;
}
