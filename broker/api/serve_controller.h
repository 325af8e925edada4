/* What brokers ask of the active controller: BrokerRegistration (62), BrokerHeartbeat (63),
 * AlterPartition (56), AllocateProducerIds (67). Answered NOT_CONTROLLER where it is not.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_controller_registration(struct request *request);
void serve_controller_heartbeat(struct request *request);
void serve_controller_alter_partition(struct request *request);
void serve_controller_producer_ids(struct request *request);
