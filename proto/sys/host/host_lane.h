/* A lane of the machine's disk: one thread that runs requests in order, and one letter that brings
 * what is done to the loop. Owner: its opener. Loop: the opener's. */
#pragma once

#include "proto/sys/host/host_disk.h"

/* As struct disk_ops says. */
enum status host_lane_open(struct disk *disk, struct loop *loop, const char *name,
                           struct disk_lane **out_lane);
void host_lane_close(struct disk_lane *self);
void host_lane_submit(struct disk_lane *self, struct disk_request *request);
