/* Kafka's numbers for what partitions and batches can have against a request. */
#pragma once

#include "broker/partition/partition_fault.h"
#include "proto/record/batch_check.h"

#include <stdint.h>

int16_t fault_code_of_partition(enum partition_fault fault);
int16_t fault_code_of_batch(enum batch_fault fault);
