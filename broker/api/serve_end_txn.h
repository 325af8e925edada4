/* EndTxn: the producer commits or aborts its transaction. */
#pragma once

#include "broker/api/request.h"

void serve_end_txn(struct request *request);
