/* DescribeTransactions: transactional ids as their coordinator sees them. */
#pragma once

#include "broker/api/request.h"

void serve_describe_transactions(struct request *request);
