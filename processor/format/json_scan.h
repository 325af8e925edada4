/* JSON's grammar over bytes: where a string, a number, any value ends.
 *
 * Nothing is stored and nothing decoded: what a query does not ask for is only walked over. A NULL
 * result means that the bytes break the grammar (RFC 8259) or end too early. Bytes from 0x80 on are
 * taken as they come; whoever uses a string's contents looks at them (json_string.h).
 *
 * Owner: the caller. Loop: any. Limits: JSON_SCAN_DEPTH_MAX levels of arrays and objects. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define JSON_SCAN_DEPTH_MAX 64U

/* What a string's contents need besides copying. */
#define JSON_SCAN_ESCAPE 1U
#define JSON_SCAN_HIGH 2U /* Bytes from 0x80 on. */

static inline const uint8_t *json_scan_space(const uint8_t *next, const uint8_t *end)
{
    while (next < end && (*next == ' ' || *next == '\n' || *next == '\r' || *next == '\t')) {
        next++;
    }
    return next;
}

/* `next` is at a backslash: the byte after the escape. */
const uint8_t *json_scan_escape(const uint8_t *next, const uint8_t *end);
/* Any value, with `depth` levels open around it; no space in front. */
const uint8_t *json_scan_value(const uint8_t *next, const uint8_t *end, uint32_t depth);

/* The end of a whole number that is written plainly and has something behind it; NULL: look closer.
 * Nearly all numbers are such. */
static inline const uint8_t *json_scan_plain(const uint8_t *next, const uint8_t *end)
{
    next += next < end && *next == '-';
    const uint8_t *first = next;
    while (next < end && (unsigned)(*next - '0') <= 9) {
        next++;
    }
    bool is_plain = next > first && next < end && (*first != '0' || next == first + 1);
    return is_plain && (*next == ',' || *next == '}' || *next == ']') ? next : NULL;
}

#ifdef __SSE2__
/* Of 16 bytes: a bit for each that a string cannot just walk over (quote, backslash, control). */
static inline uint32_t json_scan_special(const uint8_t *next, uint32_t *high)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)next);
    __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i escapes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    *high = (uint32_t)_mm_movemask_epi8(bytes);
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, escapes), controls));
}
#endif

/* `next` is behind the opening quote: the closing one. `flags` collects JSON_SCAN_*. */
static inline const uint8_t *json_scan_string(const uint8_t *next, const uint8_t *end,
                                              uint32_t *flags)
{
    for (;;) {
#ifdef __SSE2__
        while (end - next >= 16) {
            uint32_t high = 0;
            uint32_t special = json_scan_special(next, &high);
            if (special == 0) {
                *flags |= high != 0 ? JSON_SCAN_HIGH : 0;
                next += 16;
                continue;
            }
            uint32_t before = special & (0U - special); /* Bits below it are plain bytes. */
            *flags |= (high & (before - 1)) != 0 ? JSON_SCAN_HIGH : 0;
            next += __builtin_ctz(special);
            break;
        }
#endif
        while (next < end && *next != '"' && *next != '\\' && *next >= 0x20) {
            *flags |= *next >= 0x80 ? JSON_SCAN_HIGH : 0;
            next++;
        }
        if (next == end || *next < 0x20) {
            return NULL;
        }
        if (*next == '"') {
            return next;
        }
        *flags |= JSON_SCAN_ESCAPE;
        next = json_scan_escape(next, end);
        if (next == NULL) {
            return NULL;
        }
    }
}
