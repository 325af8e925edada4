/* Goal: a second run finds the plan of the first, and settings say what the broker shall be.
 * Method: real files in a directory of the test's own; texts compared as a whole. */
#include "client/shell/dev_plan.h"

#include "proto/sys/host/host_disk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct host_disk disk;
static char directory[64];

static void remove_file(void *context, const char *name, bool is_directory)
{
    (void)context;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    if (!is_directory) {
        status_ignore(disk_remove(&disk.disk, path), "the directory stays then");
    }
}

static void set_up(void)
{
    host_disk_init(&disk, &(struct host_disk_options){.trace = NULL});
    (void)snprintf(directory, sizeof directory, "/tmp/millrace-test-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
}

static void tear_down(void)
{
    status_ignore(disk_list(&disk.disk, directory, remove_file, NULL), "as above");
    status_ignore(disk_remove(&disk.disk, directory), "as above");
}

TestSuite(dev_plan, .init = set_up, .fini = tear_down);

Test(dev_plan, second_run_finds_what_the_first_one_saved)
{
    struct dev_plan plan = {.broker_count = 3, .ports = {20001, 20002, 65535}};
    struct dev_plan found = {0};

    cr_expect_eq(dev_plan_load(&disk.disk, directory, &found), STATUS_NOT_FOUND);
    cr_assert_eq(dev_plan_save(&disk.disk, directory, &plan), STATUS_OK);
    cr_assert_eq(dev_plan_load(&disk.disk, directory, &found), STATUS_OK);

    cr_expect_eq(found.broker_count, 3);
    cr_expect_arr_eq(found.ports, plan.ports, 3 * sizeof plan.ports[0]);
}

Test(dev_plan, files_that_are_no_plan_are_corrupt)
{
    const char *const bad[] = {"",
                               "{",
                               "[]",
                               "{\"format\":2,\"brokers\":1,\"ports\":[1]}",
                               "{\"format\":1,\"brokers\":0,\"ports\":[]}",
                               "{\"format\":1,\"brokers\":17,\"ports\":[1]}",
                               "{\"format\":1,\"brokers\":2,\"ports\":[1]}",
                               "{\"format\":1,\"brokers\":1,\"ports\":[65536]}",
                               "{\"format\":1,\"brokers\":1,\"ports\":[\"1\"]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(disk_replace_file(&disk.disk, directory, "dev.json", bad[i], strlen(bad[i])),
                     STATUS_OK);
        struct dev_plan plan = {.broker_count = 9};
        cr_expect_eq(dev_plan_load(&disk.disk, directory, &plan), STATUS_CORRUPT, "%s", bad[i]);
        cr_expect_eq(plan.broker_count, 9);
    }
}

Test(dev_plan, control_point_is_kept_and_removed)
{
    struct dev_control_point point = {.port = 40123, .secret = "0123456789abcdef0123456789abcdef"};
    struct dev_control_point found = {0};

    cr_assert_eq(dev_plan_save_control(&disk.disk, directory, &point), STATUS_OK);
    cr_assert_eq(dev_plan_load_control(&disk.disk, directory, &found), STATUS_OK);
    cr_expect_eq(found.port, 40123);
    cr_expect_str_eq(found.secret, point.secret);

    dev_plan_remove_control(&disk.disk, directory);
    cr_expect_eq(dev_plan_load_control(&disk.disk, directory, &found), STATUS_NOT_FOUND);
}

Test(dev_plan, directories_above_are_made_too)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/a/b", directory);

    cr_expect_eq(dev_plan_make_directory(&disk.disk, path), STATUS_OK);
    cr_expect_eq(dev_plan_make_directory(&disk.disk, path), STATUS_OK);

    cr_expect_eq(disk_remove(&disk.disk, path), STATUS_OK);
    *strrchr(path, '/') = '\0';
    cr_expect_eq(disk_remove(&disk.disk, path), STATUS_OK);
}

Test(dev_plan, three_of_three_or_more_vote_else_one)
{
    cr_expect_eq(dev_plan_voter_count(1), 1);
    cr_expect_eq(dev_plan_voter_count(2), 1);
    cr_expect_eq(dev_plan_voter_count(3), 3);
    cr_expect_eq(dev_plan_voter_count(5), 3);
}

Test(dev_plan, broker_alone_needs_no_voters)
{
    struct dev_plan plan = {.broker_count = 1, .ports = {9092}};
    char text[DEV_CONFIG_BYTES_MAX];

    cr_assert_eq(dev_plan_broker_config(&plan, 1, NULL, 0, text), STATUS_OK);

    cr_expect_str_eq(text,
                     "# Written by `millrace dev` at every start of this node, from its --set.\n"
                     "node.id=1\n"
                     "listeners=127.0.0.1:9092\n"
                     "log.dir=data\n"
                     "auto.create.topics.enable=true\n"
                     "internal.topic.partitions=16\n"
                     "shards=1\n"
                     "journal.bytes=67108864\n");
}

Test(dev_plan, users_settings_beat_ours)
{
    struct dev_plan plan = {.broker_count = 4, .ports = {11, 12, 13, 14}};
    const char *const settings[] = {"shards=2", "shards.of.other=1", "node.idx=5"};
    char text[DEV_CONFIG_BYTES_MAX];

    cr_assert_eq(dev_plan_broker_config(&plan, 4, settings, 3, text), STATUS_OK);

    cr_expect_str_eq(text,
                     "# Written by `millrace dev` at every start of this node, from its --set.\n"
                     "node.id=4\n"
                     "listeners=127.0.0.1:14\n"
                     "log.dir=data\n"
                     "controller.quorum.voters=1@127.0.0.1:11,2@127.0.0.1:12,3@127.0.0.1:13\n"
                     "auto.create.topics.enable=true\n"
                     "internal.topic.partitions=16\n"
                     "journal.bytes=67108864\n"
                     "shards=2\n"
                     "shards.of.other=1\n"
                     "node.idx=5\n");
}

Test(dev_plan, two_brokers_have_one_voter)
{
    struct dev_plan plan = {.broker_count = 2, .ports = {11, 12}};
    char text[DEV_CONFIG_BYTES_MAX];

    cr_assert_eq(dev_plan_broker_config(&plan, 2, NULL, 0, text), STATUS_OK);

    cr_expect_not_null(strstr(text, "\ncontroller.quorum.voters=1@127.0.0.1:11\n"));
}

Test(dev_plan, settings_that_do_not_fit_are_refused)
{
    struct dev_plan plan = {.broker_count = 1, .ports = {9092}};
    static char long_setting[DEV_CONFIG_BYTES_MAX];
    memset(long_setting, 'x', sizeof long_setting - 1);
    const char *const settings[] = {long_setting};
    char text[DEV_CONFIG_BYTES_MAX];

    cr_expect_eq(dev_plan_broker_config(&plan, 1, settings, 1, text), STATUS_FULL);
}
