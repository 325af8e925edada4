#include "proto/sys/bulk_copy.h"

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__

#include <emmintrin.h>

#define LINE_BYTES 64U

/* Whole lines; `to` is at the border of one. */
static void copy_lines(uint8_t *to, const uint8_t *from, size_t line_count)
{
    for (size_t i = 0; i < line_count; i++) {
        const __m128i *source = (const __m128i *)(const void *)from;
        __m128i *target = (__m128i *)(void *)to;
        __m128i first = _mm_loadu_si128(source);
        __m128i second = _mm_loadu_si128(source + 1);
        __m128i third = _mm_loadu_si128(source + 2);
        __m128i fourth = _mm_loadu_si128(source + 3);
        _mm_stream_si128(target, first);
        _mm_stream_si128(target + 1, second);
        _mm_stream_si128(target + 2, third);
        _mm_stream_si128(target + 3, fourth);
        from += LINE_BYTES;
        to += LINE_BYTES;
    }
    /* Such stores are not ordered with others, so whoever is told of them must find them there. */
    _mm_sfence();
}

void bulk_copy(void *to, const void *from, size_t byte_count)
{
    if (byte_count < BULK_COPY_BYTES_MIN) {
        memcpy(to, from, byte_count);
        return;
    }
    uint8_t *target = to;
    const uint8_t *source = from;
    size_t head = (LINE_BYTES - (uintptr_t)target % LINE_BYTES) % LINE_BYTES;
    size_t line_count = (byte_count - head) / LINE_BYTES;
    size_t end = head + line_count * LINE_BYTES;
    memcpy(target, source, head);
    copy_lines(target + head, source + head, line_count);
    memcpy(target + end, source + end, byte_count - end);
}

#else

void bulk_copy(void *to, const void *from, size_t byte_count)
{
    memcpy(to, from, byte_count);
}

#endif
