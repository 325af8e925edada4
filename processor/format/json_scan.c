#include "processor/format/json_scan.h"

#include "processor/row/decimal_text.h"
#include "proto/sys/check.h"

#include <string.h>

_Static_assert(JSON_SCAN_DEPTH_MAX <= 64, "a bit of one word per level");

static bool is_hex(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

const uint8_t *json_scan_escape(const uint8_t *next, const uint8_t *end)
{
    check(*next == '\\');
    if (end - next < 2) {
        return NULL;
    }
    switch (next[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return next + 2;
    case 'u':
        break;
    default:
        return NULL;
    }
    if (end - next < 6) {
        return NULL;
    }
    bool is_good = is_hex(next[2]) && is_hex(next[3]) && is_hex(next[4]) && is_hex(next[5]);
    return is_good ? next + 6 : NULL;
}

static const uint8_t *scan_word(const uint8_t *next, const uint8_t *end, const char *word)
{
    size_t byte_count = strlen(word);
    if ((size_t)(end - next) < byte_count || memcmp(next, word, byte_count) != 0) {
        return NULL;
    }
    return next + byte_count;
}

/* A string, number or word. */
static const uint8_t *scan_scalar(const uint8_t *next, const uint8_t *end)
{
    struct decimal_text number;
    const uint8_t *plain = NULL;
    uint32_t flags = 0;
    switch (*next) {
    case '"':
        next = json_scan_string(next + 1, end, &flags);
        return next == NULL ? NULL : next + 1;
    case 't':
        return scan_word(next, end, "true");
    case 'f':
        return scan_word(next, end, "false");
    case 'n':
        return scan_word(next, end, "null");
    default:
        plain = json_scan_plain(next, end);
        return plain != NULL ? plain : decimal_text_scan(next, end, &number);
    }
}

/* `"key" :` and the space behind it. */
static const uint8_t *scan_key(const uint8_t *next, const uint8_t *end)
{
    uint32_t flags = 0;
    if (next == end || *next != '"') {
        return NULL;
    }
    next = json_scan_string(next + 1, end, &flags);
    if (next == NULL) {
        return NULL;
    }
    next = json_scan_space(next + 1, end);
    if (next == end || *next != ':') {
        return NULL;
    }
    return json_scan_space(next + 1, end);
}

/* The levels that are open: a bit each, 1 for an object, the innermost lowest. */
struct levels {
    uint64_t kinds;
    uint32_t count;
};

/* Behind a value: closes what ends here and goes to where the next value begins. NULL: broken.
 * `levels->count` 0 afterwards: the outermost value has ended. */
static const uint8_t *scan_separator(const uint8_t *next, const uint8_t *end, struct levels *levels)
{
    while (levels->count > 0) {
        next = json_scan_space(next, end);
        if (next == end) {
            return NULL;
        }
        bool is_object = (levels->kinds & 1U) != 0;
        if (*next == ',') {
            next = json_scan_space(next + 1, end);
            return is_object ? scan_key(next, end) : next;
        }
        if (*next != (is_object ? '}' : ']')) {
            return NULL;
        }
        next++;
        levels->kinds >>= 1;
        levels->count--;
    }
    return next;
}

const uint8_t *json_scan_value(const uint8_t *next, const uint8_t *end, uint32_t depth)
{
    check(depth <= JSON_SCAN_DEPTH_MAX);
    struct levels levels = {0};
    for (;;) {
        if (next == end) {
            return NULL;
        }
        if (*next != '{' && *next != '[') {
            next = scan_scalar(next, end);
        } else if (depth + levels.count == JSON_SCAN_DEPTH_MAX) {
            return NULL;
        } else {
            bool is_object = *next == '{';
            next = json_scan_space(next + 1, end);
            levels.kinds = levels.kinds << 1 | is_object;
            levels.count++;
            if (next < end && *next == (is_object ? '}' : ']')) {
                levels.kinds >>= 1;
                levels.count--;
                next++;
            } else {
                next = is_object ? scan_key(next, end) : next;
                if (next == NULL) {
                    return NULL;
                }
                continue; /* At the first value inside. */
            }
        }
        if (next == NULL) {
            return NULL;
        }
        next = scan_separator(next, end, &levels);
        if (next == NULL || levels.count == 0) {
            return next;
        }
    }
}
