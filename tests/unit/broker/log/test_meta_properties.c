/* Goal: a data directory tells whose it is, in Kafka's words, and never names the wrong owner.
 * Method: the golden file, our own text back again, a table of odd and damaged texts. */
#include "broker/log/meta_properties.h"

#include "tests/rig/golden_datadir.h"

#include <criterion/criterion.h>
#include <string.h>

static enum status decode(const char *text, struct meta_properties *out_properties)
{
    return meta_properties_decode((const uint8_t *)text, strlen(text), out_properties);
}

Test(meta_properties, kafkas_file_reads_as_its_dump_tool_says)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    struct golden_file file = golden_datadir_file(&golden, META_PROPERTIES_NAME);
    struct meta_properties properties;
    cr_assert_eq(meta_properties_decode(file.bytes, file.byte_count, &properties), STATUS_OK);

    const json_t *expected =
        json_object_get(golden_datadir_expected(&golden, META_PROPERTIES_NAME), "properties");
    cr_expect_eq(properties.node_id, 1);
    cr_expect_str_eq(properties.cluster_id, golden_datadir_text(expected, "cluster.id"));
    cr_expect_str_eq(properties.directory_id, golden_datadir_text(expected, "directory.id"));
    golden_datadir_close(&golden);
}

Test(meta_properties, what_is_written_reads_back)
{
    struct meta_properties properties = {
        .node_id = 7, .cluster_id = "a: b=c\\d#e!", .directory_id = "QVREkWD4oBSH5MFrw_zQUg"};
    char text[META_PROPERTIES_BYTES_MAX];
    size_t byte_count = meta_properties_encode(&properties, text);
    struct meta_properties decoded;
    cr_assert_eq(meta_properties_decode((const uint8_t *)text, byte_count, &decoded), STATUS_OK);

    cr_expect_eq(decoded.node_id, 7);
    cr_expect_str_eq(decoded.cluster_id, properties.cluster_id);
    cr_expect_str_eq(decoded.directory_id, properties.directory_id);
}

Test(meta_properties, written_text_is_this)
{
    struct meta_properties properties = {.node_id = 1, .cluster_id = "c", .directory_id = "d"};
    char text[META_PROPERTIES_BYTES_MAX];
    size_t byte_count = meta_properties_encode(&properties, text);

    static const char expected[] = "version=1\ncluster.id=c\nnode.id=1\ndirectory.id=d\n";
    cr_expect_eq(byte_count, sizeof expected - 1);
    cr_expect_arr_eq(text, expected, sizeof expected - 1);
}

Test(meta_properties, javas_ways_to_write_a_pair_are_understood)
{
    struct meta_properties properties;
    cr_assert_eq(
        decode("! note\n  version : 1\r\ncluster.id  x\\:y\nother=1\nother=2\n", &properties),
        STATUS_OK);

    cr_expect_str_eq(properties.cluster_id, "x:y");
    cr_expect_eq(properties.node_id, -1);
    cr_expect_str_eq(properties.directory_id, "");
}

Test(meta_properties, damaged_text_is_refused)
{
    static const struct {
        const char *text;
        enum status expected;
    } cases[] = {
        {"version=1\n", STATUS_OK},
        {"", STATUS_MALFORMED},
        {"node.id=1\n", STATUS_MALFORMED},
        {"version=0\n", STATUS_UNSUPPORTED},
        {"version=2\n", STATUS_UNSUPPORTED},
        {"version=x\n", STATUS_MALFORMED},
        {"version=1\nversion=1\n", STATUS_MALFORMED},
        {"version=1\nnode.id=-1\n", STATUS_MALFORMED},
        {"version=1\nnode.id=2147483648\n", STATUS_MALFORMED},
        {"version=1\nnode.id=1\nnode.id=2\n", STATUS_MALFORMED},
        {"version=1\ncluster.id=\n", STATUS_MALFORMED},
        {"version=1\ncluster.id=a\rb\n", STATUS_MALFORMED},
        {"version=1\ncluster.id=a\xc3\xa4\n", STATUS_MALFORMED},
        {"version=1\ncluster.id=a\\", STATUS_MALFORMED},
        {"version=1\ncluster.id=\\u0041\n", STATUS_MALFORMED},
        {"version=1\ndirectory.id=12345678901234567890123456789012345678901234567890123456789012345"
         "\n",
         STATUS_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct meta_properties properties;
        cr_expect_eq(decode(cases[i].text, &properties), cases[i].expected, "case %zu", i);
    }
}
