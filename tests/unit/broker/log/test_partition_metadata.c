/* Goal: a partition's directory tells its topic id as Kafka writes it.
 * Method: the golden files both ways, ids with every bit set once, a table of damage. */
#include "broker/log/partition_metadata.h"

#include "tests/rig/golden_datadir.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(partition_metadata, kafkas_files_come_out_as_they_went_in)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    struct golden_file file;
    uint32_t file_count = 0;
    for (size_t i = 0; golden_datadir_file_at(&golden, i, &file); i++) {
        if (strstr(file.name, PARTITION_METADATA_NAME) == NULL) {
            continue;
        }
        file_count += 1;
        struct wire_uuid topic_id;
        cr_assert_eq(partition_metadata_decode(file.bytes, file.byte_count, &topic_id), STATUS_OK);
        uint8_t bytes[PARTITION_METADATA_BYTES];
        partition_metadata_encode(&topic_id, bytes);
        cr_expect_eq(file.byte_count, sizeof bytes);
        cr_expect_arr_eq(bytes, file.bytes, sizeof bytes);
    }
    cr_expect_eq(file_count, 5);
    golden_datadir_close(&golden);
}

Test(partition_metadata, known_id_has_the_known_bytes)
{
    static const char text[] = "version: 0\ntopic_id: ACZldr_NRauteX486qMqDA";
    struct wire_uuid topic_id;
    cr_assert_eq(partition_metadata_decode((const uint8_t *)text, sizeof text - 1, &topic_id),
                 STATUS_OK);

    static const uint8_t expected[16] = {0x00, 0x26, 0x65, 0x76, 0xbf, 0xcd, 0x45, 0xab,
                                         0xad, 0x79, 0x7e, 0x3c, 0xea, 0xa3, 0x2a, 0x0c};
    cr_expect_arr_eq(topic_id.bytes, expected, sizeof expected);
}

Test(partition_metadata, every_bit_of_an_id_survives)
{
    for (size_t bit = 0; bit < 128; bit++) {
        struct wire_uuid topic_id = {0};
        topic_id.bytes[bit / 8] = (uint8_t)(1U << bit % 8);
        uint8_t bytes[PARTITION_METADATA_BYTES];
        partition_metadata_encode(&topic_id, bytes);
        struct wire_uuid decoded;
        cr_assert_eq(partition_metadata_decode(bytes, sizeof bytes, &decoded), STATUS_OK);
        cr_expect(wire_uuid_equals(&topic_id, &decoded), "bit %zu", bit);
    }
}

Test(partition_metadata, damaged_text_is_refused)
{
    static const struct {
        const char *text;
        enum status expected;
    } cases[] = {
        {"version: 0\ntopic_id: ACZldr_NRauteX486qMqDA\n", STATUS_OK},
        {"", STATUS_MALFORMED},
        {"version: 0\n", STATUS_MALFORMED},
        {"version:0\ntopic_id: ACZldr_NRauteX486qMqDA", STATUS_MALFORMED},
        {"version: 1\ntopic_id: ACZldr_NRauteX486qMqDA", STATUS_UNSUPPORTED},
        {"version: 0\ntopic_id: ACZldr_NRauteX486qMqD", STATUS_MALFORMED},
        {"version: 0\ntopic_id: ACZldr_NRauteX486qMqDAA", STATUS_MALFORMED},
        {"version: 0\ntopic_id: ACZldr/NRauteX486qMqDA", STATUS_MALFORMED},
        {"version: 0\ntopic_id: ACZldr_NRauteX486qMqDB", STATUS_MALFORMED},
        {"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA", STATUS_MALFORMED},
        {"version: 0\ntopic_id: ACZldr_NRauteX486qMqDA\nmore", STATUS_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wire_uuid topic_id;
        cr_expect_eq(partition_metadata_decode((const uint8_t *)cases[i].text,
                                               strlen(cases[i].text), &topic_id),
                     cases[i].expected, "case %zu", i);
    }
}
