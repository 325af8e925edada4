/* Who asks, and may they: the context that every request travels with, and two questions about it.
 *
 * Every handler asks access_authorize() before it acts and access_charge() for what it moves. Today
 * both allow everything, and the listeners stay on loopback unless told otherwise (D14): ACLs and
 * quotas fill them without a change to any handler.
 *
 * Owner: the request. Loop: the connection's. */
#pragma once

#include "proto/wire/reader.h"

#include <stdbool.h>
#include <stdint.h>

struct access_context {
    const char *listener;       /* Name of the listener the request came in on. */
    const char *principal;      /* "User:ANONYMOUS" while nobody logs in. */
    struct wire_text client_id; /* As the client says; null allowed. */
    int16_t api_key;
    int16_t api_version;
    int64_t deadline_ns; /* Of the answer, monotonic; INT64_MAX: none. */
    int64_t byte_budget; /* What the answer may carry. */
};

enum access_operation {
    ACCESS_READ,
    ACCESS_WRITE,
    ACCESS_CREATE,
    ACCESS_DELETE,
    ACCESS_ALTER,
    ACCESS_DESCRIBE,
    ACCESS_CLUSTER_ACTION,
    ACCESS_DESCRIBE_CONFIGS,
    ACCESS_ALTER_CONFIGS,
    ACCESS_IDEMPOTENT_WRITE,
};

enum access_resource {
    ACCESS_CLUSTER,
    ACCESS_TOPIC,
    ACCESS_GROUP,
    ACCESS_TRANSACTIONAL_ID,
};

bool access_authorize(const struct access_context *context, enum access_operation operation,
                      enum access_resource resource, struct wire_text name);
/* Milliseconds the client shall wait (throttle_time_ms). */
int32_t access_charge(const struct access_context *context, uint64_t byte_count);
