/* AddPartitionsToTxn: by clients up to version 3, by leaders of partitions from 4 on. */
#pragma once

#include "broker/api/request.h"

void serve_add_partitions(struct request *request);
