/* The reading half of log_user.h: reads and searches by time, checked against the model.
 *
 * What a read pins is looked at again when it is let go: it must not have changed.
 * Owner: the workload. Loop: the shard's. Limits: LOG_USER_READS_MAX reads at a time per part. */
#pragma once

#include "tests/sim/log_user.h"

void log_reader_begin(struct log_part *part);
void log_reader_search(struct log_part *part);
/* Lets go of reads that are done. True: none is left. */
bool log_reader_release(struct log_part *part);
