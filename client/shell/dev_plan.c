#include "client/shell/dev_plan.h"

#include "proto/sys/check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAN_FORMAT 1
#define PLAN_FILE "dev.json"
#define CONTROL_FILE "dev.control"
#define FILE_BYTES_MAX 4096U

enum status dev_plan_make_directory(struct disk *disk, const char *path)
{
    char part[DISK_PATH_BYTES_MAX];
    size_t byte_count = strlen(path);
    if (byte_count == 0 || byte_count >= sizeof part) {
        return STATUS_INVALID;
    }
    for (size_t i = 1; i < byte_count; i++) {
        if (path[i] == '/') {
            memcpy(part, path, i);
            part[i] = '\0';
            TRY(disk_make_directory(disk, part));
        }
    }
    return disk_make_directory(disk, path);
}

static enum status load(struct disk *disk, const char *directory, const char *name,
                        json_t **out_json)
{
    char path[DISK_PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", directory, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        return STATUS_INVALID;
    }
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    enum status status = disk_read_file(disk, path, FILE_BYTES_MAX, &bytes, &byte_count);
    if (status != STATUS_OK) {
        return status == STATUS_FULL ? STATUS_CORRUPT : status;
    }
    json_t *json = json_loadb((const char *)bytes, byte_count, JSON_REJECT_DUPLICATES, NULL);
    free(bytes);
    if (json == NULL) {
        return STATUS_CORRUPT;
    }
    *out_json = json;
    return STATUS_OK;
}

/* Takes `json`. */
static enum status save(struct disk *disk, const char *directory, const char *name, json_t *json)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status status = disk_replace_file(disk, directory, name, text, strlen(text));
    free(text);
    return status;
}

static enum status plan_read(const json_t *json, struct dev_plan *out_plan)
{
    struct dev_plan plan = {0};
    const json_t *ports = json_object_get(json, "ports");
    json_int_t brokers = json_integer_value(json_object_get(json, "brokers"));
    /* 0 where it is missing: written before there were any. */
    json_int_t processors = json_integer_value(json_object_get(json, "processors"));
    if (json_integer_value(json_object_get(json, "format")) != PLAN_FORMAT || brokers < 1 ||
        brokers > DEV_BROKERS_MAX || json_array_size(ports) != (size_t)brokers || processors < 0 ||
        processors > DEV_PROCESSORS_MAX) {
        return STATUS_CORRUPT;
    }
    plan.broker_count = (uint32_t)brokers;
    plan.processor_count = (uint32_t)processors;
    for (uint32_t i = 0; i < plan.broker_count; i++) {
        json_int_t port = json_integer_value(json_array_get(ports, i));
        if (port < 1 || port > UINT16_MAX) {
            return STATUS_CORRUPT;
        }
        plan.ports[i] = (uint16_t)port;
    }
    *out_plan = plan;
    return STATUS_OK;
}

enum status dev_plan_load(struct disk *disk, const char *directory, struct dev_plan *out_plan)
{
    json_t *json = NULL;
    TRY(load(disk, directory, PLAN_FILE, &json));
    enum status status = plan_read(json, out_plan);
    json_decref(json);
    return status;
}

enum status dev_plan_save(struct disk *disk, const char *directory, const struct dev_plan *plan)
{
    json_t *ports = json_array();
    for (uint32_t i = 0; i < plan->broker_count; i++) {
        if (json_array_append_new(ports, json_integer(plan->ports[i])) != 0) {
            json_decref(ports);
            return STATUS_NO_MEMORY;
        }
    }
    return save(disk, directory, PLAN_FILE,
                json_pack("{s:i,s:i,s:o,s:i}", "format", PLAN_FORMAT, "brokers",
                          (int)plan->broker_count, "ports", ports, "processors",
                          (int)plan->processor_count));
}

static enum status control_read(const json_t *json, struct dev_control_point *out_point)
{
    struct dev_control_point point = {0};
    json_int_t port = json_integer_value(json_object_get(json, "port"));
    const json_t *secret = json_object_get(json, "secret");
    if (port < 1 || port > UINT16_MAX || json_string_length(secret) != DEV_SECRET_BYTES - 1) {
        return STATUS_CORRUPT;
    }
    point.port = (uint16_t)port;
    memcpy(point.secret, json_string_value(secret), sizeof point.secret);
    *out_point = point;
    return STATUS_OK;
}

enum status dev_plan_load_control(struct disk *disk, const char *directory,
                                  struct dev_control_point *out_point)
{
    json_t *json = NULL;
    TRY(load(disk, directory, CONTROL_FILE, &json));
    enum status status = control_read(json, out_point);
    json_decref(json);
    return status;
}

enum status dev_plan_save_control(struct disk *disk, const char *directory,
                                  const struct dev_control_point *point)
{
    return save(
        disk, directory, CONTROL_FILE,
        json_pack("{s:i,s:s}", "port", (int)point->port, "secret", (const char *)point->secret));
}

void dev_plan_remove_control(struct disk *disk, const char *directory)
{
    char path[DISK_PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/" CONTROL_FILE, directory);
    status_ignore(disk_remove(disk, path), "a stale one leads nowhere, which its reader sees");
}

uint32_t dev_plan_voter_count(uint32_t broker_count)
{
    return broker_count < DEV_VOTERS_MAX ? 1 : DEV_VOTERS_MAX;
}

struct text {
    char *bytes;
    size_t byte_count;
    bool is_full;
};

static void text_add(struct text *text, const char *part)
{
    size_t part_bytes = strlen(part);
    if (text->is_full || text->byte_count + part_bytes >= DEV_CONFIG_BYTES_MAX) {
        text->is_full = true;
        return;
    }
    memcpy(text->bytes + text->byte_count, part, part_bytes + 1);
    text->byte_count += part_bytes;
}

static bool is_set_by_user(const char *key, const char *const *settings, uint32_t setting_count)
{
    size_t byte_count = strlen(key);
    for (uint32_t i = 0; i < setting_count; i++) {
        if (strncmp(settings[i], key, byte_count) == 0 && settings[i][byte_count] == '=') {
            return true;
        }
    }
    return false;
}

struct user_settings {
    const char *const *pairs;
    uint32_t count;
};

/* Ours, unless the user says otherwise, then the user's. */
static enum status write_config(const char *const (*ours)[2], size_t our_count,
                                struct user_settings user, char *text)
{
    struct text out = {.bytes = text};
    text_add(&out, "# Written by `millrace dev` at every start of this node, from its --set.\n");
    for (size_t i = 0; i < our_count; i++) {
        if (ours[i][1][0] != '\0' && !is_set_by_user(ours[i][0], user.pairs, user.count)) {
            text_add(&out, ours[i][0]);
            text_add(&out, "=");
            text_add(&out, ours[i][1]);
            text_add(&out, "\n");
        }
    }
    for (uint32_t i = 0; i < user.count; i++) {
        text_add(&out, user.pairs[i]);
        text_add(&out, "\n");
    }
    return out.is_full ? STATUS_FULL : STATUS_OK;
}

/* A broker that is alone needs no list: it is one voter by itself. */
static void format_voters(const struct dev_plan *plan, char *text, size_t text_bytes)
{
    size_t length = 0;
    text[0] = '\0';
    if (plan->broker_count == 1) {
        return;
    }
    for (uint32_t i = 0; i < dev_plan_voter_count(plan->broker_count); i++) {
        int added = snprintf(text + length, text_bytes - length, "%s%u@" DEV_HOST ":%u",
                             i == 0 ? "" : ",", i + 1, plan->ports[i]);
        length += (size_t)added;
        check(length < text_bytes);
    }
}

enum status dev_plan_broker_config(const struct dev_plan *plan, uint32_t number,
                                   const char *const *settings, uint32_t setting_count, char *text)
{
    check(number >= 1 && number <= plan->broker_count);

    char node[16];
    char listener[32];
    char voters[128];
    (void)snprintf(node, sizeof node, "%u", number);
    (void)snprintf(listener, sizeof listener, DEV_HOST ":%u", plan->ports[number - 1]);
    format_voters(plan, voters, sizeof voters);
    const char *const ours[][2] = {
        {"node.id", node},
        {"listeners", listener},
        {"log.dir", "data"}, /* The broker runs in its own folder, which may be moved. */
        {"controller.quorum.voters", voters},
        {"auto.create.topics.enable", "true"},
        {"internal.topic.partitions", "16"},
        /* Several brokers share one machine, and a journal is preallocated. */
        {"shards", "1"},
        {"journal.bytes", "67108864"},
    };

    struct user_settings user = {settings, setting_count};
    return write_config(ours, sizeof ours / sizeof ours[0], user, text);
}

enum status dev_plan_processor_config(const struct dev_plan *plan, const char *const *settings,
                                      uint32_t setting_count, char *text)
{
    char bootstrap[DEV_BROKERS_MAX * 24];
    size_t length = 0;
    for (uint32_t i = 0; i < plan->broker_count; i++) {
        length += (size_t)snprintf(bootstrap + length, sizeof bootstrap - length,
                                   "%s" DEV_HOST ":%u", i == 0 ? "" : ",", plan->ports[i]);
        check(length < sizeof bootstrap);
    }
    const char *const ours[][2] = {
        {"bootstrap.servers", bootstrap},
        {"listeners", DEV_HOST ":0"},
    };
    struct user_settings user = {settings, setting_count};
    return write_config(ours, sizeof ours / sizeof ours[0], user, text);
}
