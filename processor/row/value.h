/* The types of values that rows hold, and the one that C has no word for.
 *
 * The numbers are those of proto/internal/plan.proto: they stand in plans, state and routes.
 * Owner: nobody. Loop: any. */
#pragma once

#include <stdint.h>

enum value_type {
    VALUE_BOOL = 1,
    VALUE_INT = 2,
    VALUE_BIGINT = 3,
    VALUE_DOUBLE = 4,
    VALUE_TEXT = 5,
    VALUE_TIMESTAMPTZ = 6, /* Microseconds since 1970-01-01T00:00:00Z. */
    VALUE_INTERVAL = 7,
};

/* As PostgreSQL: months and days have no fixed length. */
struct interval {
    int32_t months;
    int32_t days;
    int64_t micros;
};
