/* Kafka's API keys: names, versions, and which header goes with a version.
 *
 * The table says what the codec can read and write, not what a node serves. It is generated from
 * the schemas; rows ascend by key and have gaps.
 * Keys from API_KEY_PRIVATE_MIN on are Millrace's own calls in the same frames; all their versions
 * have the flexible headers.
 * Owner: none, constant. Loop: any. */
#pragma once

#include "proto/kafka/api_key_table.h"

#include <stdbool.h>
#include <stdint.h>

#define API_KEY_PRIVATE_MIN 0x6000

enum api_key {
#define X(upper, name, key, oldest, min, max, flexible) API_KEY_##upper = (key),
    API_KEY_TABLE(X)
#undef X
};

struct api_key_entry {
    int16_t key;
    int16_t version_oldest; /* With the versions that Kafka 4.0 dropped; the codec has them. */
    int16_t version_min;    /* Of Kafka 4. */
    int16_t version_max;    /* The last stable one. */
    int16_t version_flexible_min; /* INT16_MAX: none. */
    const char *name;
};

/* NULL for a key that is not in the table. */
const struct api_key_entry *api_key_find(int16_t key);
/* "?" for a key that is not in the table. */
const char *api_key_name(int16_t key);
bool api_key_is_private(int16_t key);
/* Both -1 for a key that is neither in the table nor private. Any version is answered. */
int16_t api_key_request_header_version(int16_t key, int16_t version);
int16_t api_key_response_header_version(int16_t key, int16_t version);
