/* Goal: names of a data directory are Kafka's, and no other name is taken for one.
 * Method: tables of names both ways, the names of the golden directory. */
#include "broker/log/log_name.h"

#include "tests/rig/golden_datadir.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#define HEX32 "0123456789abcdef0123456789abcdef"

static char longest_topic[LOG_NAME_TOPIC_BYTES_MAX + 1];

static void set_up(void)
{
    memset(longest_topic, 't', LOG_NAME_TOPIC_BYTES_MAX);
}

TestSuite(log_name, .init = set_up);

Test(log_name, topic_names_are_kafkas)
{
    cr_expect(log_name_is_topic("a", 1));
    cr_expect(log_name_is_topic("...", 3));
    cr_expect(log_name_is_topic("A-z.0_9", 7));
    cr_expect(log_name_is_topic(longest_topic, LOG_NAME_TOPIC_BYTES_MAX));
    cr_expect_not(log_name_is_topic("", 0));
    cr_expect_not(log_name_is_topic(".", 1));
    cr_expect_not(log_name_is_topic("..", 2));
    cr_expect_not(log_name_is_topic("a b", 3));
    cr_expect_not(log_name_is_topic("a/b", 3));
    cr_expect_not(log_name_is_topic("a\0b", 3));
    cr_expect_not(log_name_is_topic("\xc3\xa4", 2));
    char too_long[LOG_NAME_TOPIC_BYTES_MAX + 1];
    memset(too_long, 't', sizeof too_long);
    cr_expect_not(log_name_is_topic(too_long, sizeof too_long));
}

Test(log_name, directories_tell_topic_partition_and_state)
{
    static const struct {
        const char *name;
        const char *topic_name; /* NULL: no partition's directory. */
        int32_t partition;
        enum log_name_state state;
    } cases[] = {
        {"golden-0", "golden", 0, LOG_NAME_LIVE},
        {"a-b-17", "a-b", 17, LOG_NAME_LIVE},
        {"a--1", "a-", 1, LOG_NAME_LIVE},
        {"-1-2", "-1", 2, LOG_NAME_LIVE},
        {"a-2147483647", "a", INT32_MAX, LOG_NAME_LIVE},
        {"a-3." HEX32 "-delete", "a", 3, LOG_NAME_DELETED},
        {"a.b-3." HEX32 "-future", "a.b", 3, LOG_NAME_FUTURE},
        {"a-3." HEX32 "-stray", "a", 3, LOG_NAME_STRAY},
        {"a-2147483648", NULL, 0, LOG_NAME_LIVE},
        {"a-03", NULL, 0, LOG_NAME_LIVE},
        {"a-", NULL, 0, LOG_NAME_LIVE},
        {"-3", NULL, 0, LOG_NAME_LIVE},
        {"a", NULL, 0, LOG_NAME_LIVE},
        {"", NULL, 0, LOG_NAME_LIVE},
        {".-3", NULL, 0, LOG_NAME_LIVE},
        {"a b-3", NULL, 0, LOG_NAME_LIVE},
        {"a-3-delete", NULL, 0, LOG_NAME_LIVE},
        {"-delete", NULL, 0, LOG_NAME_LIVE},
        {"a-3.0123456789abcdef0123456789abcdeX-delete", NULL, 0, LOG_NAME_LIVE},
        {"a-3." HEX32 "0-delete", NULL, 0, LOG_NAME_LIVE},
        {"." HEX32 "-delete", NULL, 0, LOG_NAME_LIVE},
        {"a-3-" HEX32 "-delete", NULL, 0, LOG_NAME_LIVE},
        {"journal", NULL, 0, LOG_NAME_LIVE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct log_name_directory directory;
        bool is_partition = log_name_parse_directory(cases[i].name, &directory);
        cr_assert_eq(is_partition, cases[i].topic_name != NULL, "%s", cases[i].name);
        if (is_partition) {
            cr_expect_str_eq(directory.topic_name, cases[i].topic_name);
            cr_expect_eq(directory.partition, cases[i].partition);
            cr_expect_eq(directory.state, cases[i].state);
        }
    }
}

Test(log_name, files_tell_offset_kind_and_state)
{
    static const struct {
        const char *name;
        int64_t offset; /* -1: no segment's file. */
        enum log_name_file file;
        enum log_name_state state;
    } cases[] = {
        {"00000000000000000100.log", 100, LOG_NAME_LOG, LOG_NAME_LIVE},
        {"00000000000000000000.index", 0, LOG_NAME_INDEX, LOG_NAME_LIVE},
        {"09223372036854775807.timeindex", INT64_MAX, LOG_NAME_TIMEINDEX, LOG_NAME_LIVE},
        {"00000000000000000001.txnindex.deleted", 1, LOG_NAME_TXNINDEX, LOG_NAME_DELETED},
        {"00000000000000000001.ingest", 1, LOG_NAME_INGEST, LOG_NAME_LIVE},
        {"00000000000000000001.snapshot.deleted", 1, LOG_NAME_SNAPSHOT, LOG_NAME_DELETED},
        {"00000000000000000001.log.cleaned", 1, LOG_NAME_LOG, LOG_NAME_CLEANED},
        {"00000000000000000001.log.swap", 1, LOG_NAME_LOG, LOG_NAME_SWAP},
        {"09223372036854775808.log", -1, LOG_NAME_LOG, LOG_NAME_LIVE},
        {"99999999999999999999.log", -1, LOG_NAME_LOG, LOG_NAME_LIVE},
        {"0000000000000000001.log", -1, LOG_NAME_LOG, LOG_NAME_LIVE},
        {"000000000000000000001.log", -1, LOG_NAME_LOG, LOG_NAME_LIVE},
        {"0000000000000000000x.log", -1, LOG_NAME_LOG, LOG_NAME_LIVE},
        {"00000000000000000001", -1, LOG_NAME_LOG, LOG_NAME_LIVE},
        {"00000000000000000001.logs", -1, LOG_NAME_LOG, LOG_NAME_LIVE},
        {"00000000000000000001.log.deleted.deleted", -1, LOG_NAME_LOG, LOG_NAME_LIVE},
        {"leader-epoch-checkpoint", -1, LOG_NAME_LOG, LOG_NAME_LIVE},
        {"", -1, LOG_NAME_LOG, LOG_NAME_LIVE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct log_name_parts parts;
        bool is_file = log_name_parse_file(cases[i].name, &parts);
        cr_assert_eq(is_file, cases[i].offset >= 0, "%s", cases[i].name);
        if (is_file) {
            cr_expect_eq(parts.offset, cases[i].offset);
            cr_expect_eq(parts.file, cases[i].file);
            cr_expect_eq(parts.state, cases[i].state);
            char name[LOG_NAME_BYTES_MAX + 1];
            log_name_of_file(parts.offset, parts.file, parts.state, name);
            cr_expect_str_eq(name, cases[i].name);
        }
    }
}

Test(log_name, names_of_directories_come_back)
{
    char name[LOG_NAME_BYTES_MAX + 1];
    struct log_name_directory directory;
    cr_assert_eq(log_name_of_directory("a-b", 17, name), STATUS_OK);
    cr_expect_str_eq(name, "a-b-17");

    struct wire_uuid unique = {{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45,
                                0x67, 0x89, 0xab, 0xcd, 0xef}};
    log_name_of_deleted_directory("a-b", 17, &unique, name);
    cr_expect_str_eq(name, "a-b-17." HEX32 "-delete");
    log_name_of_deleted_directory(longest_topic, 17, &unique, name);
    cr_expect_eq(strlen(name), LOG_NAME_BYTES_MAX);
    cr_assert(log_name_parse_directory(name, &directory));
    cr_expect_eq(directory.partition, 17);
    cr_expect_eq(directory.state, LOG_NAME_DELETED);
    cr_expect_eq(strlen(directory.topic_name), LOG_NAME_BYTES_MAX - 43);
}

Test(log_name, name_beyond_the_file_systems_limit_is_refused)
{
    char name[LOG_NAME_BYTES_MAX + 1];
    cr_expect_eq(log_name_of_directory(longest_topic, 99999, name), STATUS_OK);
    cr_expect_eq(strlen(name), LOG_NAME_BYTES_MAX);
    cr_expect_eq(log_name_of_directory(longest_topic, 100000, name), STATUS_INVALID);
}

Test(log_name, every_golden_name_is_known)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    struct golden_file file;
    uint32_t segment_file_count = 0;
    for (size_t i = 0; golden_datadir_file_at(&golden, i, &file); i++) {
        char path[LOG_NAME_BYTES_MAX + 1] = {0};
        strncpy(path, file.name, LOG_NAME_BYTES_MAX);
        char *slash = strchr(path, '/');
        if (slash == NULL) {
            continue;
        }
        *slash = 0;
        struct log_name_directory directory;
        cr_expect(log_name_parse_directory(path, &directory), "%s", path);
        struct log_name_parts parts;
        segment_file_count += log_name_parse_file(slash + 1, &parts) ? 1 : 0;
    }
    cr_expect_eq(segment_file_count, 42);
    golden_datadir_close(&golden);
}

Test(log_name, directory_of_a_bad_topic_aborts, .signal = SIGABRT)
{
    char name[LOG_NAME_BYTES_MAX + 1];
    status_ignore(log_name_of_directory("a/b", 0, name), "never returns");
}
