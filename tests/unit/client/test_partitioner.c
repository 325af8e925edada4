/* Goal: keys go where Java's producer sends them.
 * Method: 2,000 keys with their hashes and partitions as Kafka's own code gave them. */
#include "client/partitioner.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

static size_t unhex(const char *text, uint8_t *out_bytes)
{
    size_t count = 0;
    for (; text[0] != ',' && text[0] != '\0'; text += 2) {
        char pair[3] = {text[0], text[1], '\0'};
        out_bytes[count++] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return count;
}

Test(partitioner, every_golden_key_has_its_hash_and_partitions)
{
    gzFile file = gzopen(GOLDEN_DIR "/partitioner.csv.gz", "rb");
    cr_assert_not_null(file);
    char line[4096];
    uint8_t key[2048];
    int count = 0;
    cr_assert_not_null(gzgets(file, line, sizeof line));

    while (gzgets(file, line, sizeof line) != NULL) {
        size_t key_bytes = unhex(line, key);
        char *fields = strchr(line, ',') + 1;
        int hash = 0;
        int positive = 0;
        int of[4] = {0};
        cr_assert_eq(
            sscanf(fields, "%d,%d,%d,%d,%d,%d", &hash, &positive, &of[0], &of[1], &of[2], &of[3]),
            6);
        cr_expect_eq(partitioner_murmur2(key, key_bytes), hash);
        cr_expect_eq(partitioner_of_key(key, key_bytes, 1), of[0]);
        cr_expect_eq(partitioner_of_key(key, key_bytes, 3), of[1]);
        cr_expect_eq(partitioner_of_key(key, key_bytes, 12), of[2]);
        cr_expect_eq(partitioner_of_key(key, key_bytes, 100), of[3]);
        count += 1;
    }

    cr_expect_eq(count, 2000);
    gzclose(file);
}
