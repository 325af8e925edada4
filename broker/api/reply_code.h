/* Kafka's error numbers for what the controller decided and for a call that did not come through:
 * the only place that knows them (fault_code does the same for partitions). */
#pragma once

#include "broker/controller/decision.h"
#include "proto/sys/status.h"

#include <stdint.h>

int16_t reply_code_of_decision(enum decision_reason reason);
/* Of a call to the controller as a whole; STATUS_OK gives 0. UNKNOWN and TIMEOUT become
 * REQUEST_TIMED_OUT: it may have happened. NOT_LEADER becomes NOT_CONTROLLER: retried. */
int16_t reply_code_of_status(enum status status);
/* For an answer's error message: never NULL. */
const char *reply_code_message(enum status status);
