#include "client/shell/shell_topic.h"

#include "client/shell/shell_client.h"
#include "client/shell/shell_error.h"
#include "client/shell/shell_options.h"
#include "client/shell/shell_output.h"

#include <stdio.h>
#include <string.h>

#define TOPIC_CONFIGS_MAX 64U
#define TOPIC_ID_TEXT_BYTES 23U

/* As Kafka's tools print it: base64 for URLs, without padding. */
static void format_id(const uint8_t id[16], char text[TOPIC_ID_TEXT_BYTES])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t length = 0;
    uint32_t bits = 0;
    uint32_t bit_count = 0;
    for (size_t i = 0; i < 16; i++) {
        bits = bits << 8U | id[i];
        bit_count += 8;
        while (bit_count >= 6) {
            bit_count -= 6;
            text[length] = digits[bits >> bit_count & 63U];
            length += 1;
        }
    }
    text[length] = digits[bits << (6 - bit_count) & 63U];
    text[length + 1] = '\0';
}

static enum shell_exit read_configs(const struct shell_call *call, struct millrace_config *configs,
                                    size_t *out_count)
{
    const char *pair = NULL;
    size_t count = 0;
    while ((pair = shell_options_text_at(call, "--config", (uint32_t)count)) != NULL) {
        const char *equals = strchr(pair, '=');
        if (equals == NULL || equals == pair) {
            return shell_fail(call,
                              (struct shell_cause){"USAGE", "it is KEY=VALUE",
                                                   "for example --config retention.ms=60000"},
                              "--config '%.200s' names no setting", pair);
        }
        if (count == TOPIC_CONFIGS_MAX) {
            return shell_fail(call, (struct shell_cause){"USAGE", "there is a limit", "give fewer"},
                              "more than %u settings are given", TOPIC_CONFIGS_MAX);
        }
        configs[count] = (struct millrace_config){.name = {pair, (size_t)(equals - pair)},
                                                  .value = millrace_text(equals + 1)};
        count += 1;
    }
    *out_count = count;
    return SHELL_DONE;
}

static enum shell_exit print_created(const struct shell_call *call, const char *name,
                                     bool is_created)
{
    if (call->format == SHELL_JSON) {
        return shell_output_json(call, json_pack("{s:s,s:b}", "name", name, "created", is_created));
    }
    printf("topic %s %s\n", name, is_created ? "created" : "was there already");
    return SHELL_DONE;
}

static enum shell_exit create(const struct shell_call *call, const struct millrace_new_topic *topic)
{
    struct millrace_client *client = NULL;
    enum shell_exit exit = shell_client_open(call, &client);
    if (exit != SHELL_DONE) {
        return exit;
    }
    struct millrace_error error;
    int code = millrace_topic_create(client, topic, SHELL_CLIENT_MS_MAX, &error);
    if (code == 0) {
        exit = print_created(call, call->operands[0], true);
    } else if (code == MILLRACE_TOPIC_EXISTS && shell_options_has(call, "--if-not-exists")) {
        exit = print_created(call, call->operands[0], false);
    } else {
        exit = shell_client_fail(call, &error);
    }
    (void)millrace_client_close(client, SHELL_CLIENT_MS_MAX, NULL);
    return exit;
}

static enum shell_exit create_run(struct shell_call *call)
{
    struct millrace_config configs[TOPIC_CONFIGS_MAX];
    size_t config_count = 0;
    int64_t partitions = 0;
    int64_t replicas = 0;
    enum shell_exit exit = shell_options_number(call, "--partitions",
                                                (struct shell_range){1, 1, INT16_MAX}, &partitions);
    if (exit == SHELL_DONE) {
        exit = shell_options_number(call, "--replication-factor", (struct shell_range){0, 1, 5},
                                    &replicas);
    }
    if (exit == SHELL_DONE) {
        exit = read_configs(call, configs, &config_count);
    }
    if (exit != SHELL_DONE) {
        return exit;
    }
    if (replicas == 1 || replicas == 2) {
        (void)fprintf(stderr, "warning: replication factor %d: %s; 3 is the practice\n",
                      (int)replicas,
                      replicas == 1 ? "what one broker loses is lost"
                                    : "nothing can be written while one of two is down");
    }
    const struct millrace_new_topic topic = {.size = sizeof topic,
                                             .name = millrace_text(call->operands[0]),
                                             .partition_count = (int32_t)partitions,
                                             .replication_factor = (int32_t)replicas,
                                             .configs = configs,
                                             .config_count = config_count};
    return create(call, &topic);
}

static enum shell_exit list_run(struct shell_call *call, struct millrace_client *client)
{
    struct millrace_topics *topics = NULL;
    struct millrace_error error;
    if (millrace_topics_list(client, SHELL_CLIENT_MS_MAX, &topics, &error) != 0) {
        return shell_client_fail(call, &error);
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < topics->topic_count; i++) {
        const struct millrace_topic_row *topic = topics->topics[i];
        (void)json_array_append_new(
            rows, json_pack("{s:o,s:i,s:i,s:b}", "name", shell_output_bytes(topic->name),
                            "partitions", (int)topic->partition_count, "replication_factor",
                            (int)topic->replication_factor, "internal", topic->is_internal));
    }
    enum shell_exit exit = shell_output_rows(call, rows, "no topics");
    millrace_topics_free(topics);
    return exit;
}

static json_t *numbers_of(const int32_t *numbers, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, json_integer(numbers[i]));
    }
    return list;
}

static json_t *partitions_of(const struct millrace_topic *topic)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < topic->partition_count; i++) {
        const struct millrace_partition *partition = topic->partitions[i];
        (void)json_array_append_new(
            rows, json_pack("{s:i,s:o,s:o,s:o,s:o,s:o,s:o}", "partition", (int)partition->partition,
                            "leader", shell_output_known(partition->leader), "epoch",
                            shell_output_known(partition->leader_epoch), "isr",
                            numbers_of(partition->isr, partition->isr_count), "replicas",
                            numbers_of(partition->replicas, partition->replica_count), "start",
                            shell_output_known(partition->start), "end",
                            shell_output_known(partition->end)));
    }
    return rows;
}

static json_t *config_of(const struct millrace_topic *topic)
{
    json_t *values = json_object();
    for (size_t i = 0; i < topic->config_count; i++) {
        const struct millrace_config *config = topic->configs[i];
        char name[256];
        (void)snprintf(name, sizeof name, "%.*s", (int)config->name.size,
                       (const char *)config->name.data);
        (void)json_object_set_new(values, name, shell_output_bytes(config->value));
    }
    return values;
}

/* People look for what somebody has set; the defaults are in the JSON. */
static void print_changed(const struct millrace_topic *topic)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < topic->config_count; i++) {
        const struct millrace_config *config = topic->configs[i];
        if (!config->is_default) {
            (void)json_array_append_new(rows, json_pack("{s:o,s:o}", "config",
                                                        shell_output_bytes(config->name), "value",
                                                        shell_output_bytes(config->value)));
        }
    }
    if (json_array_size(rows) > 0) {
        (void)putchar('\n');
    }
    shell_output_table(rows, stdout);
}

static enum shell_exit print_topic(const struct shell_call *call,
                                   const struct millrace_topic *topic)
{
    char id[TOPIC_ID_TEXT_BYTES];
    format_id(topic->id, id);
    if (call->format == SHELL_JSON) {
        return shell_output_json(
            call, json_pack("{s:o,s:s,s:o,s:o}", "name", shell_output_bytes(topic->name), "id", id,
                            "partitions", partitions_of(topic), "config", config_of(topic)));
    }
    printf("topic %s, id %s\n\n", call->operands[0], id);
    shell_output_table(partitions_of(topic), stdout);
    print_changed(topic);
    return SHELL_DONE;
}

static enum shell_exit describe_run(struct shell_call *call, struct millrace_client *client)
{
    struct millrace_topic *topic = NULL;
    struct millrace_error error;
    if (millrace_topic_describe(client, millrace_text(call->operands[0]), SHELL_CLIENT_MS_MAX,
                                &topic, &error) != 0) {
        return shell_client_fail(call, &error);
    }
    enum shell_exit exit = print_topic(call, topic);
    millrace_topic_free(topic);
    return exit;
}

static enum shell_exit delete_run(struct shell_call *call, struct millrace_client *client)
{
    const char *name = call->operands[0];
    struct millrace_error error;
    if (millrace_topic_delete(client, millrace_text(name), SHELL_CLIENT_MS_MAX, &error) != 0) {
        return shell_client_fail(call, &error);
    }
    if (call->format == SHELL_JSON) {
        return shell_output_json(call, json_pack("{s:s,s:b}", "name", name, "deleted", true));
    }
    printf("topic %s deleted\n", name);
    return SHELL_DONE;
}

static const struct shell_option create_options[] = {
    {"--partitions", "N", "how many partitions; 1", false},
    {"--replication-factor", "R", "on how many brokers each is kept; min(3, brokers)", false},
    {"--config", "KEY=VALUE", "a setting of the topic", true},
    {"--if-not-exists", NULL, "a topic that is there already is no error", false},
    {NULL, NULL, NULL, false},
};

#define EXAMPLES(...) ((const char *const[]){__VA_ARGS__, NULL})

const struct shell_command shell_topic_commands[] = {
    {.words = "topic create",
     .operands = "NAME",
     .operand_count = 1,
     .summary = "create a topic",
     .options = create_options,
     .examples = EXAMPLES("millrace topic create flights --partitions 4",
                          "millrace topic create audit --config retention.ms=86400000",
                          "millrace topic create flights --if-not-exists -o json"),
     .run = create_run},
    {.words = "topic list",
     .operands = "",
     .summary = "list all topics",
     .examples = EXAMPLES("millrace topic list", "millrace topic list -o json"),
     .run_client = list_run},
    {.words = "topic describe",
     .operands = "NAME",
     .operand_count = 1,
     .summary = "show partitions, leaders, ends and settings of a topic",
     .notes = "In a table only settings that somebody has changed are shown, in JSON all of them.",
     .examples =
         EXAMPLES("millrace topic describe flights", "millrace topic describe flights -o json"),
     .run_client = describe_run},
    {.words = "topic delete",
     .operands = "NAME",
     .operand_count = 1,
     .summary = "delete a topic and its records",
     .examples = EXAMPLES("millrace topic delete flights"),
     .run_client = delete_run},
    {.words = NULL},
};
