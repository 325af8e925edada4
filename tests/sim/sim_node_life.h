/* What the world, the disk and the network do to a node; not for workloads.
 *
 * Owner: the world. Loop: the world's thread. Limits: none of its own. */
#pragma once

#include "tests/sim/sim_node.h"

/* False: the event belongs to a life that is over, or was parked because the node is paused. */
bool sim_node_life_admits(struct sim_node *self, const struct sim_event *event);
void sim_node_life_run(struct sim_node *self, struct sim_event *event);
void sim_node_life_free(struct sim_node *self);
