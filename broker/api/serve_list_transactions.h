/* ListTransactions: all transactional ids that this broker coordinates. */
#pragma once

#include "broker/api/request.h"

void serve_list_transactions(struct request *request);
