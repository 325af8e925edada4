#include "broker/controller/placement.h"

#include "proto/sys/check.h"

#include <string.h>

struct candidate {
    int32_t broker_id;
    const char *rack; /* Borrowed from the image; NULL: none. */
    bool may_lead;
    uint32_t topic_leader_count;
    uint32_t topic_replica_count;
    uint32_t leader_count; /* In the cluster. */
    uint32_t replica_count;
    uint64_t chance; /* Newly drawn for every choice. */
    bool is_chosen;
};

struct placement {
    struct prng *prng;
    uint32_t candidate_count;
    bool has_leader;
    struct candidate *candidates; /* In the arena; ascending by id. */
};

static struct candidate *find(const struct placement *self, int32_t broker_id)
{
    uint32_t low = 0;
    uint32_t high = self->candidate_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (self->candidates[middle].broker_id == broker_id) {
            return &self->candidates[middle];
        }
        if (self->candidates[middle].broker_id < broker_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static void count_cluster(struct placement *self, const struct image *image)
{
    for (uint32_t i = 0; i < image_topic_count(image); i++) {
        const struct image_topic *topic = image_topic_at(image, i);
        for (uint32_t k = 0; k < topic->partition_count; k++) {
            const struct image_partition *partition = &topic->partitions[k];
            for (uint8_t r = 0; r < partition->replica_count; r++) {
                struct candidate *candidate = find(self, partition->replicas[r]);
                if (candidate != NULL) {
                    candidate->replica_count += 1;
                    candidate->leader_count += r == 0;
                }
            }
        }
    }
}

enum status placement_new(struct decision *decision, struct placement **out_self)
{
    const struct image *image = decision->image;
    uint32_t broker_count = image_broker_count(image);
    if (broker_count > PLACEMENT_BROKERS_MAX) {
        return STATUS_FULL;
    }
    struct placement *self = arena_take_array(decision->arena, 1, sizeof *self);
    struct candidate *candidates =
        arena_take_array(decision->arena, broker_count, sizeof *candidates);
    if (self == NULL || candidates == NULL) {
        return STATUS_NO_MEMORY;
    }
    *self = (struct placement){.prng = decision->prng, .candidates = candidates};
    for (uint32_t i = 0; i < broker_count; i++) {
        const struct image_broker *broker = image_broker_at(image, i);
        if (broker->is_shutting_down) {
            continue;
        }
        candidates[self->candidate_count] = (struct candidate){
            .broker_id = broker->id, .rack = broker->rack, .may_lead = !broker->is_fenced};
        self->candidate_count += 1;
        self->has_leader = self->has_leader || !broker->is_fenced;
    }
    count_cluster(self, image);
    *out_self = self;
    return STATUS_OK;
}

uint32_t placement_broker_count(const struct placement *self)
{
    return self->candidate_count;
}

bool placement_has_leader(const struct placement *self)
{
    return self->has_leader;
}

void placement_begin_topic(struct placement *self)
{
    for (uint32_t i = 0; i < self->candidate_count; i++) {
        self->candidates[i].topic_leader_count = 0;
        self->candidates[i].topic_replica_count = 0;
    }
}

void placement_count(struct placement *self, const int32_t *brokers, uint32_t broker_count)
{
    for (uint32_t i = 0; i < broker_count; i++) {
        struct candidate *candidate = find(self, brokers[i]);
        if (candidate != NULL) {
            candidate->topic_replica_count += 1;
            candidate->replica_count += 1;
            candidate->topic_leader_count += i == 0;
            candidate->leader_count += i == 0;
        }
    }
}

static bool is_rack_taken(const struct placement *self, const struct candidate *candidate)
{
    for (uint32_t i = 0; i < self->candidate_count; i++) {
        const struct candidate *other = &self->candidates[i];
        if (other->is_chosen && candidate->rack != NULL && other->rack != NULL &&
            strcmp(other->rack, candidate->rack) == 0) {
            return true;
        }
    }
    return false;
}

#define MEASURES 6

/* What is looked at, the most important first; less is better. */
static void measure(const struct placement *self, const struct candidate *candidate, bool is_leader,
                    uint64_t out_measures[MEASURES])
{
    out_measures[0] = !candidate->may_lead;
    out_measures[1] = !is_leader && is_rack_taken(self, candidate);
    out_measures[2] = is_leader ? candidate->topic_leader_count : candidate->topic_replica_count;
    out_measures[3] = is_leader ? candidate->leader_count : candidate->replica_count;
    out_measures[4] = is_leader ? candidate->replica_count : 0;
    out_measures[5] = candidate->chance;
}

static struct candidate *choose_one(struct placement *self, bool is_leader)
{
    struct candidate *best = NULL;
    uint64_t best_measures[MEASURES] = {0};
    for (uint32_t i = 0; i < self->candidate_count; i++) {
        struct candidate *candidate = &self->candidates[i];
        uint64_t measures[MEASURES];
        candidate->chance = prng_next(self->prng);
        if (candidate->is_chosen) {
            continue;
        }
        measure(self, candidate, is_leader, measures);
        uint32_t k = 0;
        while (best != NULL && k + 1 < MEASURES && measures[k] == best_measures[k]) {
            k += 1;
        }
        if (best == NULL || measures[k] < best_measures[k]) {
            best = candidate;
            memcpy(best_measures, measures, sizeof measures);
        }
    }
    check(best != NULL);
    best->is_chosen = true;
    return best;
}

void placement_choose(struct placement *self, uint32_t replication_factor, int32_t *out_brokers)
{
    check(replication_factor > 0);
    check(replication_factor <= self->candidate_count);
    for (uint32_t i = 0; i < replication_factor; i++) {
        out_brokers[i] = choose_one(self, i == 0)->broker_id;
    }
    for (uint32_t i = 0; i < self->candidate_count; i++) {
        self->candidates[i].is_chosen = false;
    }
    placement_count(self, out_brokers, replication_factor);
}
