/* DescribeProducers: who writes to a partition, and who holds its last stable offset. */
#pragma once

#include "broker/api/request.h"

void serve_describe_producers(struct request *request);
