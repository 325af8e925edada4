/* TxnOffsetCommit: offsets of a group that count when their transaction is committed. */
#pragma once

#include "broker/api/request.h"

void serve_txn_offset_commit(struct request *request);
