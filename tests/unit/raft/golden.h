/* Bytes against a golden text of hex digits, for the formats of raft/README.md. */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `golden` may hold spaces and newlines. */
static inline void expect_golden(const void *bytes, size_t byte_count, const char *golden)
{
    const unsigned char *at = bytes;
    char *got = calloc(byte_count * 2 + 1, 1);
    char *wanted = calloc(strlen(golden) + 1, 1);
    for (size_t i = 0; i < byte_count; i++) {
        (void)snprintf(got + 2 * i, 3, "%02x", at[i]);
    }
    size_t length = 0;
    for (const char *digit = golden; *digit != 0; digit++) {
        if (*digit != ' ' && *digit != '\n') {
            wanted[length] = *digit;
            length += 1;
        }
    }
    cr_expect_str_eq(got, wanted, "got %s", got);
    free(got);
    free(wanted);
}
