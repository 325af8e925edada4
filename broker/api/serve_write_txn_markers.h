/* WriteTxnMarkers: a coordinator ends transactions in partitions that this broker leads. */
#pragma once

#include "broker/api/request.h"

void serve_write_txn_markers(struct request *request);
