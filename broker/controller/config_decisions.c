#include "broker/controller/config_decisions.h"

#include "broker/metadata/broker_config_keys.h"
#include "broker/metadata/topic_config.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSYNC_MIN "min.insync.replicas"
/* Of one resource after the change; a resource has fewer keys than that. */
#define VALUES_MAX 256U

/* Where min.insync.replicas changes; one place per item is there. */
struct insync_changes {
    bool is_cluster;
    uint32_t topic_count;
    const struct image_topic **topics;
};

/* One resource while its entries are decided. */
struct target {
    enum image_config_kind kind;
    char name[IMAGE_TOPIC_NAME_BYTES_MAX + 1]; /* As records spell it. */
    int32_t broker_id;                         /* -1: not one broker. */
    const struct image_topic *topic;           /* Of a topic. */
    const struct image_config_value *old_values;
    uint32_t old_count;
    struct image_config_value values[VALUES_MAX]; /* As they will be, sorted by key. */
    uint32_t count;
};

static bool find_topic(const struct decision *decision, struct config_decisions_resource *item,
                       struct target *target)
{
    const struct image_topic *topic = image_topic_by_name(decision->image, item->name);
    if (topic == NULL) {
        decision_refuse(&item->error, DECISION_UNKNOWN_TOPIC, "there is no topic %.*s",
                        decision_text_length(item->name), item->name.bytes);
        return false;
    }
    target->topic = topic;
    target->old_values = topic->configs;
    target->old_count = topic->config_count;
    size_t byte_count = strlen(topic->name);
    check(byte_count < sizeof target->name);
    memcpy(target->name, topic->name, byte_count + 1);
    return true;
}

static bool find_broker(const struct decision *decision, struct config_decisions_resource *item,
                        struct target *target)
{
    char text[16] = "";
    char *end = text;
    if (item->name.byte_count > 0 && item->name.byte_count < 12) {
        memcpy(text, item->name.bytes, (size_t)item->name.byte_count);
    }
    long id = strtol(text, &end, 10);
    if (end == text || *end != '\0' || id < 0 || id > INT32_MAX ||
        image_broker_by_id(decision->image, (int32_t)id) == NULL) {
        decision_refuse(&item->error, DECISION_REQUEST,
                        "there is no broker '%.*s'; name a broker id, or nothing for all brokers",
                        decision_text_length(item->name), item->name.bytes);
        return false;
    }
    target->broker_id = (int32_t)id;
    int written = snprintf(target->name, sizeof target->name, "%d", target->broker_id);
    check(written > 0);
    target->old_values =
        image_broker_configs(decision->image, target->broker_id, &target->old_count);
    return true;
}

static bool find_target(const struct decision *decision, struct config_decisions_resource *item,
                        struct target *target)
{
    *target = (struct target){.kind = item->kind, .broker_id = -1};
    switch (item->kind) {
    case IMAGE_CONFIG_TOPIC:
        return find_topic(decision, item, target);
    case IMAGE_CONFIG_BROKER:
        return find_broker(decision, item, target);
    case IMAGE_CONFIG_CLUSTER:
        target->old_values = image_broker_configs(decision->image, -1, &target->old_count);
        return true;
    case IMAGE_CONFIG_GROUP:
    case IMAGE_CONFIG_CLIENT_METRICS:
    default:
        decision_refuse(&item->error, DECISION_REQUEST,
                        "only topics and brokers can be configured");
        return false;
    }
}

static bool find_key(struct config_decisions_resource *item, const struct target *target,
                     struct wire_text name, struct config_key *out_key)
{
    const struct config_key *topic_key =
        target->kind == IMAGE_CONFIG_TOPIC ? topic_config_key(name) : NULL;
    bool is_found = topic_key != NULL;
    if (is_found) {
        *out_key = *topic_key;
    } else if (target->kind != IMAGE_CONFIG_TOPIC) {
        is_found = broker_config_keys_find(name, out_key);
    }
    if (!is_found) {
        decision_refuse(&item->error, DECISION_CONFIG, "there is no %s setting %.*s",
                        target->kind == IMAGE_CONFIG_TOPIC ? "topic" : "broker",
                        decision_text_length(name), name.bytes);
        return false;
    }
    if (!out_key->is_dynamic) {
        decision_refuse(&item->error, DECISION_CONFIG,
                        "%s is read at start; set it in the broker's file and restart it",
                        out_key->name);
        return false;
    }
    if (target->broker_id != -1 && broker_config_keys_is_shared(out_key->name)) {
        decision_refuse(&item->error, DECISION_CONFIG,
                        "all brokers must agree on %s; set it with an empty broker name",
                        out_key->name);
        return false;
    }
    return true;
}

static uint32_t place_of(const struct target *target, const char *key)
{
    uint32_t place = 0;
    while (place < target->count && strcmp(target->values[place].key, key) < 0) {
        place += 1;
    }
    return place;
}

static void put_value(struct target *target, const char *key, const char *value)
{
    uint32_t place = place_of(target, key);
    if (place == target->count || strcmp(target->values[place].key, key) != 0) {
        check(target->count < VALUES_MAX); /* Every key is one of a table. */
        memmove(target->values + place + 1, target->values + place,
                (target->count - place) * sizeof *target->values);
        target->count += 1;
    }
    target->values[place] = (struct image_config_value){.key = key, .value = value};
}

static void drop_value(struct target *target, const char *key)
{
    uint32_t place = place_of(target, key);
    if (place < target->count && strcmp(target->values[place].key, key) == 0) {
        target->count -= 1;
        memmove(target->values + place, target->values + place + 1,
                (target->count - place) * sizeof *target->values);
    }
}

/* Appends the items of `list` that are not in `text` yet and not in `without`. */
static void append_items(char *text, size_t *length, struct wire_text list, const char *without)
{
    while (list.byte_count > 0) {
        const char *comma = memchr(list.bytes, ',', (size_t)list.byte_count);
        int32_t taken = comma == NULL ? list.byte_count : (int32_t)(comma - list.bytes);
        struct wire_text item =
            config_key_trim((struct wire_text){.bytes = list.bytes, .byte_count = taken});
        char one[CONFIG_KEY_VALUE_BYTES_MAX + 1];
        check(item.byte_count >= 0);
        check((size_t)item.byte_count < sizeof one);
        memcpy(one, item.bytes, (size_t)item.byte_count);
        one[item.byte_count] = '\0';
        text[*length] = '\0';
        bool is_left_out = (without != NULL && config_key_lists(without, one)) ||
                           config_key_lists(text, one) || item.byte_count == 0;
        if (!is_left_out) {
            if (*length > 0) {
                text[(*length)++] = ',';
            }
            memcpy(text + *length, one, (size_t)item.byte_count);
            *length += (size_t)item.byte_count;
        }
        taken += comma == NULL ? 0 : 1;
        list.bytes += taken;
        list.byte_count -= taken;
    }
    text[*length] = '\0';
}

/* The list after APPEND or SUBTRACT, starting from what is set or else the built-in value. */
static const char *edit_list(struct decision *decision, const struct target *target,
                             const struct config_key *key,
                             const struct config_decisions_entry *entry)
{
    const char *set = config_key_lookup(target->values, target->count, key->name);
    struct wire_text old = wire_text_of(set != NULL ? set : key->fallback);
    size_t length = 0;
    char *text =
        arena_take(decision->arena, (size_t)old.byte_count + (size_t)entry->value.byte_count + 2);
    const char *given =
        arena_copy_text(decision->arena, entry->value.bytes, (size_t)entry->value.byte_count);
    if (text == NULL || given == NULL) {
        return NULL;
    }
    bool is_append = entry->operation == CONFIG_DECISIONS_APPEND;
    append_items(text, &length, old, is_append ? NULL : given);
    if (is_append) {
        append_items(text, &length, wire_text_of(given), NULL);
    }
    return text;
}

static bool set_entry(struct decision *decision, struct config_decisions_resource *item,
                      struct target *target, const struct config_key *key,
                      const struct config_decisions_entry *entry)
{
    char reason[CONFIG_KEY_REASON_BYTES];
    bool is_edit = entry->operation == CONFIG_DECISIONS_APPEND ||
                   entry->operation == CONFIG_DECISIONS_SUBTRACT;
    if (is_edit && key->type != CONFIG_KEY_LIST) {
        decision_refuse(&item->error, DECISION_CONFIG,
                        "%s is not a list; set it instead of appending or subtracting", key->name);
        return false;
    }
    if (config_key_check(key, entry->value, reason) != STATUS_OK) {
        decision_refuse(&item->error, DECISION_CONFIG, "%s", reason);
        return false;
    }
    struct wire_text value = config_key_trim(entry->value);
    const char *text =
        is_edit ? edit_list(decision, target, key, entry)
                : arena_copy_text(decision->arena, value.bytes, (size_t)value.byte_count);
    if (text == NULL) {
        decision_refuse(&item->error, DECISION_LIMIT, "the request is too large; split it");
        return false;
    }
    if (config_key_check(key, wire_text_of(text), reason) != STATUS_OK) {
        decision_refuse(&item->error, DECISION_CONFIG, "%s", reason);
        return false;
    }
    put_value(target, key->name, text);
    return true;
}

/* The name that lives: the table's, or that of a value which is set already. */
static const char *stored_name(const struct target *target, const struct config_key *key)
{
    for (uint32_t i = 0; i < target->old_count; i++) {
        if (strcmp(target->old_values[i].key, key->name) == 0) {
            return target->old_values[i].key;
        }
    }
    return key->name;
}

static bool decide_entry(struct decision *decision, struct config_decisions_resource *item,
                         struct target *target, const struct config_decisions_entry *entry)
{
    struct config_key key;
    if (!find_key(item, target, entry->key, &key)) {
        return false;
    }
    key.name = stored_name(target, &key);
    switch (entry->operation) {
    case CONFIG_DECISIONS_SET:
    case CONFIG_DECISIONS_APPEND:
    case CONFIG_DECISIONS_SUBTRACT:
        return set_entry(decision, item, target, &key, entry);
    case CONFIG_DECISIONS_DELETE:
        drop_value(target, key.name);
        return true;
    default:
        decision_refuse(&item->error, DECISION_REQUEST,
                        "operation %d is not one of set 0, delete 1, append 2, subtract 3",
                        entry->operation);
        return false;
    }
}

static bool check_repeated_keys(struct decision *decision, struct config_decisions_resource *item)
{
    struct wire_text *keys = arena_take_array(decision->arena, item->entry_count, sizeof *keys);
    for (uint32_t i = 0; keys != NULL && i < item->entry_count; i++) {
        keys[i] = item->entries[i].key;
    }
    const bool *is_repeated =
        keys == NULL ? NULL : decision_find_repeated(decision->arena, keys, item->entry_count);
    if (is_repeated == NULL) {
        decision_refuse(&item->error, DECISION_LIMIT, "the request is too large; split it");
        return false;
    }
    for (uint32_t i = 0; i < item->entry_count; i++) {
        if (is_repeated[i]) {
            decision_refuse(&item->error, DECISION_REQUEST, "%.*s is named twice; name it once",
                            decision_text_length(keys[i]), keys[i].bytes);
            return false;
        }
    }
    return true;
}

static void write_differences(struct decision *decision, const struct target *target)
{
    for (uint32_t i = 0; i < target->old_count; i++) {
        const char *key = target->old_values[i].key;
        if (config_key_lookup(target->values, target->count, key) == NULL) {
            cluster_writer_config(decision->writer, target->kind, target->name, key, NULL);
        }
    }
    for (uint32_t i = 0; i < target->count; i++) {
        const struct image_config_value *value = &target->values[i];
        const char *old = config_key_lookup(target->old_values, target->old_count, value->key);
        if (old == NULL || strcmp(old, value->value) != 0) {
            cluster_writer_config(decision->writer, target->kind, target->name, value->key,
                                  value->value);
        }
    }
}

static void clear_elr_of(struct decision *decision, const struct image_topic *topic)
{
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        struct image_partition next = topic->partitions[i];
        if (next.elr_count == 0 || next.leader == -1) {
            continue; /* Nobody acknowledges anything there: who was eligible still is. */
        }
        memset(next.elr, 0, sizeof next.elr);
        next.elr_count = 0;
        next.partition_epoch += 1;
        cluster_writer_change_partition(decision->writer, &topic->id, (int32_t)i, &next);
    }
}

static bool changes_insync_min(const struct target *target)
{
    const char *old = config_key_lookup(target->old_values, target->old_count, INSYNC_MIN);
    const char *new = config_key_lookup(target->values, target->count, INSYNC_MIN);
    return old != new && (old == NULL || new == NULL || strcmp(old, new) != 0);
}

/* A partition may change only once in a command, whoever asks for it. */
static void clear_elrs(struct decision *decision, const struct insync_changes *changes)
{
    for (uint32_t i = 0; i < changes->topic_count; i++) {
        clear_elr_of(decision, changes->topics[i]);
    }
    for (uint32_t i = 0; changes->is_cluster && i < image_topic_count(decision->image); i++) {
        const struct image_topic *topic = image_topic_at(decision->image, i);
        bool is_done = false;
        for (uint32_t k = 0; k < changes->topic_count && !is_done; k++) {
            is_done = changes->topics[k] == topic;
        }
        if (!is_done &&
            config_key_lookup(topic->configs, topic->config_count, INSYNC_MIN) == NULL) {
            clear_elr_of(decision, topic);
        }
    }
}

static void decide_resource(struct decision *decision, struct config_decisions_resource *item,
                            const struct config_decisions_request *request,
                            struct insync_changes *changes)
{
    struct target target;
    char reason[CONFIG_KEY_REASON_BYTES];
    if (!find_target(decision, item, &target) || !check_repeated_keys(decision, item)) {
        return;
    }
    check(target.old_count <= VALUES_MAX);
    if (!request->is_replacing) {
        for (uint32_t i = 0; i < target.old_count; i++) {
            target.values[i] = target.old_values[i];
        }
        target.count = target.old_count;
    }
    for (uint32_t i = 0; i < item->entry_count; i++) {
        if (!decide_entry(decision, item, &target, &item->entries[i])) {
            return;
        }
    }
    if (target.topic != NULL &&
        topic_config_check_all(target.values, target.count, reason) != STATUS_OK) {
        decision_refuse(&item->error, DECISION_CONFIG, "%s", reason);
        return;
    }
    if (request->validate_only) {
        return;
    }
    write_differences(decision, &target);
    if (!changes_insync_min(&target)) {
        return;
    }
    if (target.topic == NULL) {
        changes->is_cluster = true;
    } else {
        changes->topics[changes->topic_count++] = target.topic;
    }
}

/* NULL when the request is too large. */
static const bool *find_repeated(struct decision *decision,
                                 const struct config_decisions_request *request)
{
    struct wire_text *names = arena_take_array(decision->arena, request->item_count, sizeof *names);
    if (names == NULL || request->item_count > DECISION_ITEMS_MAX) {
        return NULL;
    }
    for (uint32_t i = 0; i < request->item_count; i++) {
        const struct config_decisions_resource *item = &request->items[i];
        size_t byte_count = item->name.byte_count < 0 ? 0 : (size_t)item->name.byte_count;
        char *name = arena_take(decision->arena, byte_count + 1);
        if (name == NULL) {
            return NULL;
        }
        name[0] = (char)item->kind; /* A topic and a broker of one name are two things. */
        if (byte_count > 0) {
            memcpy(name + 1, item->name.bytes, byte_count);
        }
        names[i] = (struct wire_text){.bytes = name, .byte_count = (int32_t)byte_count + 1};
    }
    return decision_find_repeated(decision->arena, names, request->item_count);
}

void config_decisions_alter(struct decision *decision, struct config_decisions_request *request)
{
    struct insync_changes changes = {
        .topics = arena_take_array(decision->arena, request->item_count, sizeof *changes.topics)};
    const bool *is_repeated = find_repeated(decision, request);
    bool has_room = is_repeated != NULL && changes.topics != NULL;
    for (uint32_t i = 0; i < request->item_count; i++) {
        struct config_decisions_resource *item = &request->items[i];
        item->error = (struct decision_error){.reason = DECISION_NONE};
        if (!has_room) {
            decision_refuse(&item->error, DECISION_LIMIT, "the request is too large; split it");
        } else if (is_repeated[i]) {
            decision_refuse(&item->error, DECISION_REQUEST,
                            "the request names this resource twice; name it once");
        } else {
            decide_resource(decision, item, request, &changes);
        }
    }
    if (has_room) {
        clear_elrs(decision, &changes);
    }
}
