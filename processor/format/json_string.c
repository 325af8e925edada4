#include "processor/format/json_string.h"

#include "proto/sys/check.h"

#include <string.h>

#define ESCAPE_BYTES_MAX ((size_t)6) /* Of \u00.. */

/* Bytes of the character that starts at `bytes`, 0: none does. The second byte's range is what
 * shuts out overlong forms, surrogates and what is beyond Unicode (Unicode 15, table 3-7). */
static size_t character_bytes(const uint8_t *bytes, size_t left)
{
    uint8_t first = bytes[0];
    uint8_t second_min = 0x80;
    uint8_t second_max = 0xbf;
    size_t count = 0;
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xc2 && first <= 0xdf) {
        count = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        count = 3;
        second_min = first == 0xe0 ? 0xa0 : 0x80;
        second_max = first == 0xed ? 0x9f : 0xbf;
    } else if (first >= 0xf0 && first <= 0xf4) {
        count = 4;
        second_min = first == 0xf0 ? 0x90 : 0x80;
        second_max = first == 0xf4 ? 0x8f : 0xbf;
    }
    if (count == 0 || left < count || bytes[1] < second_min || bytes[1] > second_max) {
        return 0;
    }
    for (size_t i = 2; i < count; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return count;
}

bool json_string_is_utf8(const uint8_t *bytes, size_t byte_count)
{
    size_t i = 0;
    while (i < byte_count) {
        size_t count = character_bytes(bytes + i, byte_count - i);
        if (count == 0) {
            return false;
        }
        i += count;
    }
    return true;
}

static uint32_t hex_value(const uint8_t *bytes)
{
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t digit = bytes[i] <= '9' ? bytes[i] - (uint32_t)'0' : (bytes[i] | 0x20U) - 'a' + 10;
        value = value << 4 | digit;
    }
    return value;
}

static size_t put_character(uint32_t code, uint8_t *out)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

/* The escape of four digits at `bytes`, and its other half behind it. Bytes read, 0: only half. */
static size_t decode_unicode(const uint8_t *bytes, size_t left, uint8_t *out, size_t *written)
{
    uint32_t code = hex_value(bytes + 2);
    size_t read = 6;
    if (code >= 0xdc00 && code <= 0xdfff) {
        return 0;
    }
    if (code >= 0xd800 && code <= 0xdbff) {
        if (left < 12 || bytes[6] != '\\' || bytes[7] != 'u') {
            return 0;
        }
        uint32_t low = hex_value(bytes + 8);
        if (low < 0xdc00 || low > 0xdfff) {
            return 0;
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        read = 12;
    }
    *written += put_character(code, out + *written);
    return read;
}

static uint8_t decode_letter(uint8_t letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        check(letter == '"' || letter == '\\' || letter == '/');
        return letter;
    }
}

bool json_string_decode(const uint8_t *bytes, size_t byte_count, uint8_t *out,
                        size_t *out_byte_count)
{
    size_t written = 0;
    size_t i = 0;
    while (i < byte_count) {
        const uint8_t *escape = memchr(bytes + i, '\\', byte_count - i);
        size_t plain = escape == NULL ? byte_count - i : (size_t)(escape - (bytes + i));
        if (!json_string_is_utf8(bytes + i, plain)) {
            return false;
        }
        memcpy(out + written, bytes + i, plain);
        written += plain;
        i += plain;
        if (escape == NULL) {
            break;
        }
        if (escape[1] != 'u') {
            out[written++] = decode_letter(escape[1]);
            i += 2;
            continue;
        }
        size_t read = decode_unicode(escape, byte_count - i, out, &written);
        if (read == 0) {
            return false;
        }
        i += read;
    }
    check(i == byte_count && written <= byte_count);
    *out_byte_count = written;
    return true;
}

static size_t write_special(uint8_t byte, uint8_t *out)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "btn\0fr"; /* For 0x08 to 0x0d. */
    out[0] = '\\';
    if (byte == '"' || byte == '\\') {
        out[1] = byte;
        return 2;
    }
    if (byte >= 0x08 && byte <= 0x0d && letters[byte - 0x08] != '\0') {
        out[1] = (uint8_t)letters[byte - 0x08];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = (uint8_t)hex[byte >> 4];
    out[5] = (uint8_t)hex[byte & 0xf];
    return ESCAPE_BYTES_MAX;
}

enum status json_string_write(const uint8_t *bytes, size_t byte_count, uint8_t *out,
                              size_t capacity, size_t *out_byte_count)
{
    if (capacity < 2) {
        return STATUS_FULL;
    }
    size_t written = 0;
    out[written++] = '"';
    for (size_t i = 0; i < byte_count; i++) {
        size_t left = capacity - written - 1; /* The closing quote has its place. */
        if (bytes[i] >= 0x20 && bytes[i] != '"' && bytes[i] != '\\') {
            if (left == 0) {
                return STATUS_FULL;
            }
            out[written++] = bytes[i];
            continue;
        }
        uint8_t escape[ESCAPE_BYTES_MAX];
        size_t escape_bytes = write_special(bytes[i], escape);
        if (left < escape_bytes) {
            return STATUS_FULL;
        }
        memcpy(out + written, escape, escape_bytes);
        written += escape_bytes;
    }
    out[written++] = '"';
    *out_byte_count = written;
    return STATUS_OK;
}
