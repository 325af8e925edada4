/* What was learnt of a topic's records: which member comes after which, and the very bytes between
 * two values.
 *
 * A guess that costs a comparison when it is right and nothing but a search when it is wrong. The
 * bytes kept are `{"key":` of the first member and `,"key":` of the others, space included, so
 * bytes that are equal to them need no parsing: the same bytes were parsed when they were learnt. A
 * member that records leave out is jumped over; a new one is put in where it was met. When there is
 * no room for one, all are forgotten.
 *
 * Owner: the reader. Loop: its. Limits: JSON_SHAPE_MEMBERS_MAX members, JSON_SHAPE_LEAD_MAX bytes
 * of one; what is beyond is searched in every record. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define JSON_SHAPE_MEMBERS_MAX 128U
#define JSON_SHAPE_LEAD_MAX 64U

struct json_shape_member {
    uint8_t lead[JSON_SHAPE_LEAD_MAX]; /* From the value before to the value. */
    uint8_t lead_bytes;
    uint8_t key_start; /* The key's raw bytes within `lead`, quotes excluded. */
    uint8_t key_bytes;
    bool is_first;  /* The lead opens the object; that of others begins with a comma. */
    int32_t column; /* -1: not asked for. */
};

struct json_shape {
    uint32_t member_count;
    struct json_shape_member members[JSON_SHAPE_MEMBERS_MAX];
};

/* Where a member was met: the bytes from the value before to its value, its key's raw bytes. */
struct json_shape_met {
    const uint8_t *lead;
    const uint8_t *lead_end;
    const uint8_t *key;
    const uint8_t *key_end;
    bool is_first;
    int32_t column;
};

/* Two words that may overlap cover every length from one word to two without a loop. */
static inline bool json_shape_equals(const uint8_t *left, const uint8_t *right, size_t byte_count)
{
#ifdef __SSE2__
    if (byte_count >= 16) {
        __m128i equal = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)left),
                                       _mm_loadu_si128((const __m128i *)(const void *)right));
        const uint8_t *left_tail = left + byte_count - 16;
        const uint8_t *right_tail = right + byte_count - 16;
        __m128i tail = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)left_tail),
                                      _mm_loadu_si128((const __m128i *)(const void *)right_tail));
        return _mm_movemask_epi8(_mm_and_si128(equal, tail)) == 0xffff &&
               (byte_count <= 32 || memcmp(left + 16, right + 16, byte_count - 32) == 0);
    }
#endif
    uint64_t words[4] = {0};
    if (byte_count >= 8) {
        memcpy(&words[0], left, 8);
        memcpy(&words[1], right, 8);
        memcpy(&words[2], left + byte_count - 8, 8);
        memcpy(&words[3], right + byte_count - 8, 8);
        return ((words[0] ^ words[1]) | (words[2] ^ words[3])) == 0;
    }
    return memcmp(left, right, byte_count) == 0;
}

/* Does the guess hold? `left` bytes of the record are there from `next` on. A member that opens an
 * object is none that follows another, though its bytes may be there. */
static inline bool json_shape_holds(const struct json_shape_member *member, bool is_first,
                                    const uint8_t *next, size_t left)
{
    return member->is_first == is_first && left >= member->lead_bytes &&
           json_shape_equals(next, member->lead, member->lead_bytes);
}

/* A member was searched where number `index` was guessed. Learns it; returns the number of the
 * member to guess next. */
uint32_t json_shape_learn(struct json_shape *self, uint32_t index,
                          const struct json_shape_met *met);
