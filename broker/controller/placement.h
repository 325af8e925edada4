/* Which brokers get the replicas of new partitions: spread over racks, leaders and load in balance.
 *
 * Each partition takes the broker that leads least for its leader, then for every further replica
 * the one that has least in a rack that the partition is not in yet. "Least" looks at the topic
 * first, so that its partitions spread evenly, then at the whole cluster, then at chance. Brokers
 * that may not lead now come last and never first in the list while another is there.
 * The same image and random numbers give the same placement.
 *
 * Owner: the caller. Loop: the quorum's. Limits: PLACEMENT_BROKERS_MAX. */
#pragma once

#include "broker/controller/decision.h"

#define PLACEMENT_BROKERS_MAX 1024U

struct placement;

/* Counts what the brokers of the image have; in the decision's arena. STATUS_NO_MEMORY, or
 * STATUS_FULL with more brokers than it can place on. */
MUST_USE enum status placement_new(struct decision *decision, struct placement **out_self);
uint32_t placement_broker_count(const struct placement *self); /* Registered and staying. */
bool placement_has_leader(const struct placement *self);       /* One of them may lead. */
/* What one topic has is forgotten: the next partitions are of another one. */
void placement_begin_topic(struct placement *self);
/* Counts a partition that the topic has already or that was assigned by hand. */
void placement_count(struct placement *self, const int32_t *brokers, uint32_t broker_count);
/* Chooses for one more partition. `replication_factor` <= placement_broker_count(). */
void placement_choose(struct placement *self, uint32_t replication_factor, int32_t *out_brokers);
