/* Kafka's numbers for what a partition can have against a request. */
#pragma once

#include "broker/partition/partition_fault.h"

#include <stdint.h>

int16_t fault_code_of_partition(enum partition_fault fault);
