#include "broker/controller/commit_news.h"

#include "proto/sys/list.h"

static bool has_followers(const struct image *image)
{
    uint32_t voter_count = 0;
    for (uint32_t i = 0; i < image_broker_count(image); i++) {
        voter_count += image_broker_at(image, i)->is_voter ? 1 : 0;
    }
    return voter_count > 1;
}

static void spread(struct commit_news *self);

static void barrier_on_done(struct quorum_proposal *proposal, enum status status)
{
    struct commit_news *self = container_of(proposal, struct commit_news, barrier);
    self->is_on_its_way = false;
    if (status == STATUS_OK && self->comes_again) {
        spread(self);
    }
}

static void spread(struct commit_news *self)
{
    self->is_on_its_way = true;
    self->comes_again = false;
    self->barrier = (struct quorum_proposal){.on_done = barrier_on_done};
    quorum_confirm(self->quorum, &self->barrier);
}

void commit_news_spread(struct commit_news *self, struct quorum *quorum, const struct image *image)
{
    if (self->is_on_its_way) {
        self->comes_again = true;
        return;
    }
    self->quorum = quorum;
    if (has_followers(image)) {
        spread(self);
    }
}
