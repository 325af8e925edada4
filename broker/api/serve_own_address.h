/* Who is here (private key OWN_ADDRESS_KEY, broker/uplink/own_address.h): node id and incarnation
 * of this process. Answered at once, leader or not. Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_own_address(struct request *request);
