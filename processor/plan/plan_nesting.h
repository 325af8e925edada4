/* How deep messages stand in messages, looked at before they are unpacked: protobuf-c unpacks by
 * recursion, and bytes of a few KiB can nest deeper than a stack.
 *
 * A Script that passes is unpacked within 4 MiB of stack.
 *
 * Owner: nobody. Loop: any. Limits: PLAN_NESTING_LEVELS_MAX. */
#pragma once

#include "proto/sys/status.h"

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

/* Two for each level of an expression (PLAN_CHECK_DEPTH_MAX), and what stands around it. */
#define PLAN_NESTING_LEVELS_MAX 3040U

/* Of packed bytes of a message of `type`. MALFORMED: no message at all. FULL: too deep. */
MUST_USE enum status plan_nesting_check(const ProtobufCMessageDescriptor *type,
                                        const uint8_t *bytes, size_t byte_count);
