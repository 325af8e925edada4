#include "proto/kafka/api_key.h"

#include <stddef.h>

static const struct api_key_entry entries[] = {
#define X(upper, name, key, oldest, min, max, flexible)                                            \
    {(key), (oldest), (min), (max), (flexible), (name)},
    API_KEY_TABLE(X)
#undef X
};

const struct api_key_entry *api_key_find(int16_t key)
{
    /* Invariant: entries below `low` have smaller keys; those from `high` on do not. */
    size_t low = 0;
    size_t high = sizeof entries / sizeof entries[0];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entries[middle].key < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool is_found = low < sizeof entries / sizeof entries[0] && entries[low].key == key;
    return is_found ? &entries[low] : NULL;
}

const char *api_key_name(int16_t key)
{
    const struct api_key_entry *entry = api_key_find(key);
    return entry == NULL ? "?" : entry->name;
}

bool api_key_is_private(int16_t key)
{
    return key >= API_KEY_PRIVATE_MIN;
}

static bool is_flexible(const struct api_key_entry *entry, int16_t version)
{
    return version >= entry->version_flexible_min;
}

int16_t api_key_request_header_version(int16_t key, int16_t version)
{
    if (api_key_is_private(key)) {
        return 2;
    }
    const struct api_key_entry *entry = api_key_find(key);
    if (entry == NULL) {
        return -1;
    }
    return is_flexible(entry, version) ? 2 : 1;
}

int16_t api_key_response_header_version(int16_t key, int16_t version)
{
    if (api_key_is_private(key)) {
        return 1;
    }
    const struct api_key_entry *entry = api_key_find(key);
    if (entry == NULL) {
        return -1;
    }
    /* A client that asks for too new a version of ApiVersions must be able to read the answer, so
     * its header never changes. */
    return key != API_KEY_API_VERSIONS && is_flexible(entry, version) ? 1 : 0;
}
