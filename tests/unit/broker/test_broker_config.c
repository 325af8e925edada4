/* Goal: a setting is what was meant, or an error that says what, why and how to mend it.
 * Method: texts as a person would write them, good and bad. */
#include "broker/broker_config.h"

#include <criterion/criterion.h>
#include <string.h>

static struct broker_config config;
static struct broker_config_error error;

static void set_up(void)
{
    broker_config_init(&config);
}

static enum status read_text(const char *text)
{
    return broker_config_read(&config, text, strlen(text), &error);
}

TestSuite(broker_config, .init = set_up);

Test(broker_config, defaults_stand_without_a_file)
{
    cr_expect_eq(config.node_id, 1);
    cr_expect_eq(config.journal_bytes, 268435456);
    cr_expect(!config.is_auto_create);
    cr_assert_eq(broker_config_finish(&config, &error), STATUS_OK);
    cr_expect_str_eq(config.listen.host, "127.0.0.1");
    cr_expect_eq(config.listen.port, 9092);
    cr_expect_eq(config.voter_count, 0);
}

Test(broker_config, a_file_has_comments_blanks_and_values)
{
    cr_assert_eq(read_text("# node\n\n node.id = 3 \r\nauto.create.topics.enable=true\n"
                           "controller.quorum.voters=1@127.0.0.1:9092,3@127.0.0.1:9094"),
                 STATUS_OK);
    cr_assert_eq(broker_config_finish(&config, &error), STATUS_OK);

    cr_expect_eq(config.node_id, 3);
    cr_expect(config.is_auto_create);
    cr_expect_eq(config.voter_count, 2);
    cr_expect_eq(config.voters[1].node_id, 3);
    cr_expect_eq(config.voters[1].address.port, 9094);
}

Test(broker_config, an_error_names_line_key_and_bounds)
{
    cr_expect_eq(read_text("node.id=1\nshards=9000\n"), STATUS_INVALID);

    cr_expect_not_null(strstr(error.text, "line 2"));
    cr_expect_not_null(strstr(error.text, "shards"));
    cr_expect_not_null(strstr(error.text, "from 0 to 64"));
}

Test(broker_config, an_unknown_key_is_refused)
{
    cr_expect_eq(read_text("zookeeper.connect=localhost\n"), STATUS_INVALID);
    cr_expect_not_null(strstr(error.text, "zookeeper.connect"));
}

Test(broker_config, a_number_with_something_behind_it_is_no_number)
{
    cr_expect_eq(read_text("node.id=7x"), STATUS_INVALID);
    cr_expect_eq(read_text("node.id="), STATUS_INVALID);
    cr_expect_eq(config.node_id, 1);
}

Test(broker_config, an_open_listener_needs_the_word_insecure)
{
    cr_assert_eq(read_text("listeners=0.0.0.0:9092"), STATUS_OK);
    cr_expect_eq(broker_config_finish(&config, &error), STATUS_INVALID);
    cr_expect_not_null(strstr(error.text, "insecure=true"));

    cr_assert_eq(read_text("insecure=true"), STATUS_OK);
    cr_expect_eq(broker_config_finish(&config, &error), STATUS_OK);
}

Test(broker_config, more_voters_than_a_quorum_has_are_refused)
{
    cr_assert_eq(read_text("controller.quorum.voters=1@a:1,2@a:2,3@a:3,4@a:4,5@a:5,6@a:6"),
                 STATUS_OK);
    cr_expect_eq(broker_config_finish(&config, &error), STATUS_INVALID);
}

Test(broker_config, a_voter_without_a_port_is_refused)
{
    cr_assert_eq(read_text("controller.quorum.voters=1@a"), STATUS_OK);
    cr_expect_eq(broker_config_finish(&config, &error), STATUS_INVALID);
    cr_expect_not_null(strstr(error.text, "ID@HOST:PORT"));
}
