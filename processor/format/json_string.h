/* The contents of a JSON string as UTF-8, and back.
 *
 * Owner: the caller. Loop: any. Limits: the caller's buffers. */
#pragma once

#include "proto/sys/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No byte that Unicode has no character for: overlong forms, surrogates, beyond U+10FFFF, cut. */
bool json_string_is_utf8(const uint8_t *bytes, size_t byte_count);
/* Contents that passed json_scan_string(), escapes resolved, into `out`, which has room for
 * `byte_count` bytes (no escape is shorter than what it stands for). False: half a surrogate pair,
 * or not UTF-8. */
bool json_string_decode(const uint8_t *bytes, size_t byte_count, uint8_t *out,
                        size_t *out_byte_count);
/* `bytes` with the two quotes around. Bytes from 0x20 on are written as they are, but for quote and
 * backslash. FULL: they do not fit `capacity`. */
MUST_USE enum status json_string_write(const uint8_t *bytes, size_t byte_count, uint8_t *out,
                                       size_t capacity, size_t *out_byte_count);
