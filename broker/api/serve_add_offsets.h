/* AddOffsetsToTxn: the offsets of a group become part of a transaction. */
#pragma once

#include "broker/api/request.h"

void serve_add_offsets(struct request *request);
