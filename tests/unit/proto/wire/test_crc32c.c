/* Goal: our CRC-32C is the one that Kafka computes, in one go or in parts.
 * Method: the published check value, then 324 buffers with the sums that Kafka's classes gave. */
#include "proto/wire/crc32c.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define LINE_BYTES_MAX ((size_t)1 << 18)

static uint8_t digit_value(char digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* Turns the hexadecimal digits at the start of `line` into bytes, in place. */
static size_t decode_hex(char *line)
{
    size_t byte_count = 0;
    for (; line[2 * byte_count] != ','; byte_count++) {
        uint8_t high = digit_value(line[2 * byte_count]);
        line[byte_count] = (char)(high << 4 | digit_value(line[2 * byte_count + 1]));
    }
    return byte_count;
}

Test(crc32c, check_value_of_the_standard_comes_out)
{
    cr_expect_eq(crc32c(0, "123456789", 9), 0xe3069283U);
    cr_expect_eq(crc32c(0, NULL, 0), 0U);
}

Test(crc32c, earlier_result_goes_on_where_it_ended)
{
    uint32_t first = crc32c(0, "1234", 4);

    cr_expect_eq(crc32c(first, "56789", 5), 0xe3069283U);
    cr_expect_eq(crc32c(first, "", 0), first);
}

Test(crc32c, values_of_two_parts_make_the_value_of_the_whole)
{
    static uint8_t bytes[70000];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 253);
    }
    uint32_t whole = crc32c(0, bytes, sizeof bytes);
    for (size_t first = 0; first <= sizeof bytes; first += first < 70 ? 1 : 6993) {
        uint32_t second_bytes = (uint32_t)(sizeof bytes - first);
        uint32_t second = crc32c(0, bytes + first, second_bytes);

        cr_expect_eq(crc32c_join(crc32c(0, bytes, first), second, second_bytes), whole,
                     "split at %zu", first);
    }
    cr_expect_eq(crc32c_join(whole, 0, 0), whole);
}

Test(crc32c, every_golden_buffer_has_its_golden_sum)
{
    gzFile file = gzopen(GOLDEN_DIR "/crc32c.csv.gz", "rb");
    cr_assert_not_null(file);
    char *line = malloc(LINE_BYTES_MAX);
    cr_assert_not_null(line);
    cr_assert_not_null(gzgets(file, line, (int)LINE_BYTES_MAX)); /* Names of the columns. */

    int case_count = 0;
    for (; gzgets(file, line, (int)LINE_BYTES_MAX) != NULL; case_count++) {
        uint32_t expected = (uint32_t)strtoul(strchr(line, ',') + 1, NULL, 16);
        size_t byte_count = decode_hex(line);
        cr_expect_eq(crc32c(0, line, byte_count), expected, "case %d", case_count);
    }

    cr_expect_eq(case_count, 324);
    free(line);
    gzclose(file);
}
