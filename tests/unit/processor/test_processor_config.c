/* Goal: a setting is taken as written, or refused with what is wrong; files as well as pairs.
 * Method: one processor's settings, set one by one and from texts. */
#include "processor/processor_config.h"

#include <criterion/criterion.h>
#include <string.h>

static struct processor_config config;
static char error[PROCESSOR_CONFIG_ERROR_BYTES_MAX];

static void set_up(void)
{
    processor_config_init(&config);
    error[0] = '\0';
}

TestSuite(processor_config, .init = set_up);

static enum status set(const char *key, const char *value)
{
    return processor_config_set(&config, key, value, error);
}

Test(processor_config, a_list_of_brokers_is_taken_apart)
{
    cr_assert_eq(set("bootstrap.servers", "a:1,b:2"), STATUS_OK);

    cr_expect_eq(config.bootstrap_count, 2);
    cr_expect_str_eq(config.bootstrap[1].host, "b");
    cr_expect_eq(config.bootstrap[1].port, 2);
}

Test(processor_config, what_is_no_address_is_refused)
{
    cr_expect_eq(set("bootstrap.servers", ""), STATUS_INVALID);
    cr_expect_eq(set("bootstrap.servers", "a:1,nonsense"), STATUS_INVALID);
    cr_expect_eq(set("listeners", "127.0.0.1:70000"), STATUS_INVALID);
    cr_expect_neq(strstr(error, "listeners"), NULL, "%s", error);
}

Test(processor_config, output_has_room_for_two_of_the_largest_records)
{
    cr_expect_eq(config.output_bytes_max, 268435456);
    cr_assert_eq(set("task.output.bytes.max", "33554432"), STATUS_OK);
    cr_expect_eq(config.output_bytes_max, 33554432);
    cr_expect_eq(set("task.output.bytes.max", "33554431"), STATUS_INVALID);
    cr_expect_eq(config.output_bytes_max, 33554432);
}

Test(processor_config, unknown_keys_are_named)
{
    cr_expect_eq(set("no.such.key", "1"), STATUS_INVALID);
    cr_expect_neq(strstr(error, "no.such.key"), NULL, "%s", error);
}

Test(processor_config, a_point_must_be_one_of_a_task)
{
    cr_expect_eq(set("test.kill.at", "nowhere"), STATUS_INVALID);
    cr_expect_eq(set("test.kill.at", "output_sent:0"), STATUS_INVALID);
    cr_assert_eq(set("test.kill.at", "output_sent:3"), STATUS_OK);
    cr_expect_str_eq(config.kill_point, "output_sent");
    cr_expect_eq(config.kill_count, 3);
    cr_assert_eq(set("test.kill.at", ""), STATUS_OK);
    cr_expect_str_eq(config.kill_point, "");
}

Test(processor_config, a_file_has_comments_blank_lines_and_settings)
{
    static const char text[] = "# a comment\n\n  listeners=127.0.0.1:9100  \nparser.path=/x/y\n";
    cr_assert_eq(processor_config_read(&config, text, strlen(text), error), STATUS_OK, "%s", error);

    cr_expect_eq(config.listener.port, 9100);
    cr_expect_str_eq(config.parser, "/x/y");
}

Test(processor_config, a_line_without_a_sign_is_told)
{
    static const char text[] = "listeners\n";
    cr_expect_eq(processor_config_read(&config, text, strlen(text), error), STATUS_INVALID);
    cr_expect_neq(strstr(error, "listeners"), NULL, "%s", error);
}

Test(processor_config, every_row_can_be_set_to_its_initial_value)
{
    struct processor_config_row row;
    for (uint32_t i = 0; processor_config_row_at(i, &row); i++) {
        if (row.initial[0] != '\0') {
            cr_expect_eq(set(row.key, row.initial), STATUS_OK, "%s", error);
        }
    }
}

Test(processor_config, an_open_listener_needs_the_word_insecure)
{
    cr_expect_eq(processor_config_finish(&config, error), STATUS_OK);
    cr_assert_eq(set("listeners", "0.0.0.0:9100"), STATUS_OK);
    cr_expect_eq(processor_config_finish(&config, error), STATUS_INVALID);
    cr_expect_not_null(strstr(error, "insecure=true"));

    cr_expect_eq(set("insecure", "yes"), STATUS_INVALID);
    cr_assert_eq(set("insecure", "true"), STATUS_OK);
    cr_expect_eq(processor_config_finish(&config, error), STATUS_OK);
}
