#include "broker/controller/topic_decisions.h"

#include "broker/controller/placement.h"
#include "broker/metadata/topic_config.h"
#include "broker/metadata/topic_name.h"
#include "proto/sys/check.h"

#include <string.h>

/* What is counted over all items of one request. */
struct round {
    struct decision *decision;
    struct placement *placement;
    const bool *is_repeated;  /* One flag per item. */
    uint32_t partition_count; /* Made so far. */
};

/* `names` is NULL when there was no memory for it. False: the request is too large. */
static bool begin_round(struct round *self, struct decision *decision,
                        const struct wire_text *names, uint32_t item_count)
{
    *self = (struct round){.decision = decision};
    if (names == NULL || item_count > DECISION_ITEMS_MAX) {
        return false;
    }
    self->is_repeated = decision_find_repeated(decision->arena, names, item_count);
    return self->is_repeated != NULL && placement_new(decision, &self->placement) == STATUS_OK;
}

/* Names that differ only in `.` and `_` would share their metrics' names. */
static bool is_clashing(struct wire_text name, const char *other)
{
    for (int32_t i = 0; i < name.byte_count; i++) {
        char a = name.bytes[i] == '.' ? '_' : name.bytes[i];
        char b = other[i] == '.' ? '_' : other[i];
        if (a != b || other[i] == '\0') {
            return false;
        }
    }
    return other[name.byte_count] == '\0';
}

static bool check_clash(const struct image *image, struct topic_decisions_create *item)
{
    if (memchr(item->name.bytes, '.', (size_t)item->name.byte_count) == NULL &&
        memchr(item->name.bytes, '_', (size_t)item->name.byte_count) == NULL) {
        return true;
    }
    for (uint32_t i = 0; i < image_topic_count(image); i++) {
        const char *other = image_topic_at(image, i)->name;
        if (is_clashing(item->name, other)) {
            decision_refuse(&item->error, DECISION_TOPIC_NAME,
                            "differs from topic %.80s only in '.' and '_', which metrics cannot "
                            "tell apart; choose another name",
                            other);
            return false;
        }
    }
    return true;
}

static bool create_check_name(const struct round *round, struct topic_decisions_create *item,
                              uint32_t place)
{
    const struct image *image = round->decision->image;
    if (round->is_repeated[place]) {
        decision_refuse(&item->error, DECISION_REQUEST,
                        "the request names this topic twice; name it once");
        return false;
    }
    if (!topic_name_is_valid(item->name)) {
        decision_refuse(&item->error, DECISION_TOPIC_NAME,
                        "a topic's name has 1 to 249 of letters, digits, '.', '_' and '-' and is "
                        "not '.' or '..'");
        return false;
    }
    if (image_topic_by_name(image, item->name) != NULL) {
        decision_refuse(&item->error, DECISION_TOPIC_EXISTS, "topic %.*s exists",
                        decision_text_length(item->name), item->name.bytes);
        return false;
    }
    return check_clash(image, item);
}

static uint32_t default_replication(const struct round *round)
{
    uint32_t wanted = round->decision->defaults.replication_factor;
    uint32_t broker_count = placement_broker_count(round->placement);
    if (wanted != 0) {
        return wanted;
    }
    return broker_count < 3 ? broker_count : 3;
}

static bool has_room(struct round *round, uint32_t partition_count, struct decision_error *error)
{
    uint32_t in_cluster = image_partition_count(round->decision->image);
    if (partition_count > DECISION_PARTITIONS_MAX ||
        round->partition_count + partition_count > DECISION_PARTITIONS_MAX) {
        decision_refuse(error,
                        partition_count > DECISION_PARTITIONS_MAX ? DECISION_PARTITION_COUNT
                                                                  : DECISION_LIMIT,
                        "one request makes at most %u partitions; ask for fewer at a time",
                        DECISION_PARTITIONS_MAX);
        return false;
    }
    if (in_cluster + round->partition_count + partition_count > DECISION_CLUSTER_PARTITIONS_MAX) {
        decision_refuse(error, DECISION_LIMIT,
                        "a cluster has at most %u partitions and %u are there; delete topics",
                        DECISION_CLUSTER_PARTITIONS_MAX, in_cluster);
        return false;
    }
    return true;
}

static bool check_replication(const struct round *round, uint32_t replication_factor,
                              struct decision_error *error)
{
    uint32_t broker_count = placement_broker_count(round->placement);
    if (replication_factor == 0 || replication_factor > DECISION_REPLICATION_MAX) {
        decision_refuse(error, DECISION_REPLICATION_FACTOR,
                        "a replication factor is 1 to %u, three or more to survive a failure",
                        DECISION_REPLICATION_MAX);
        return false;
    }
    if (replication_factor > broker_count) {
        decision_refuse(error, DECISION_REPLICATION_FACTOR,
                        "replication factor %u needs as many brokers, and %u are registered; lower "
                        "it or start more brokers",
                        replication_factor, broker_count);
        return false;
    }
    if (!placement_has_leader(round->placement)) {
        decision_refuse(error, DECISION_NO_BROKERS,
                        "no broker is unfenced now; try again when one is up");
        return false;
    }
    return true;
}

static uint32_t default_partitions(const struct round *round, struct wire_text name)
{
    const struct decision_defaults *defaults = &round->decision->defaults;
    if (!topic_config_is_internal(name)) {
        return defaults->partition_count;
    }
    return defaults->internal_partition_count == 0 ? 50 : defaults->internal_partition_count;
}

/* Automatic: what shall be made, from the request and the defaults. */
static bool create_check_counts(struct round *round, struct topic_decisions_create *item)
{
    if (item->partition_count == 0 || item->partition_count < -1) {
        decision_refuse(&item->error, DECISION_PARTITION_COUNT,
                        "a topic has at least one partition; -1 asks for the default");
        return false;
    }
    if (item->replication_factor == 0 || item->replication_factor < -1) {
        decision_refuse(&item->error, DECISION_REPLICATION_FACTOR,
                        "a replication factor is 1 to %u; -1 asks for the default",
                        DECISION_REPLICATION_MAX);
        return false;
    }
    item->made_partition_count = item->partition_count == -1 ? default_partitions(round, item->name)
                                                             : (uint32_t)item->partition_count;
    item->made_replication_factor = item->replication_factor == -1
                                        ? default_replication(round)
                                        : (uint32_t)item->replication_factor;
    return has_room(round, item->made_partition_count, &item->error) &&
           check_replication(round, item->made_replication_factor, &item->error);
}

/* By hand: the brokers of one partition; `replication_factor` is what all partitions have. */
static bool check_assignment(const struct round *round,
                             const struct topic_decisions_assignment *assignment,
                             uint32_t replication_factor, struct decision_error *error)
{
    const struct image *image = round->decision->image;
    bool has_leader = false;
    if (assignment->broker_count != replication_factor) {
        decision_refuse(error, DECISION_ASSIGNMENT,
                        "all partitions of a topic have the same number of replicas, here %u",
                        replication_factor);
        return false;
    }
    for (uint32_t i = 0; i < assignment->broker_count; i++) {
        const struct image_broker *broker = image_broker_by_id(image, assignment->brokers[i]);
        for (uint32_t k = 0; k < i; k++) {
            if (assignment->brokers[k] == assignment->brokers[i]) {
                decision_refuse(error, DECISION_ASSIGNMENT,
                                "broker %d is named twice for one partition",
                                assignment->brokers[i]);
                return false;
            }
        }
        if (broker == NULL) {
            decision_refuse(error, DECISION_ASSIGNMENT, "there is no broker %d",
                            assignment->brokers[i]);
            return false;
        }
        has_leader = has_leader || (!broker->is_fenced && !broker->is_shutting_down);
    }
    if (!has_leader) {
        decision_refuse(error, DECISION_ASSIGNMENT,
                        "none of the partition's brokers is up; name one that is");
    }
    return has_leader;
}

static bool create_check_assignments(struct round *round, struct topic_decisions_create *item)
{
    uint32_t count = item->assignment_count;
    if (item->partition_count != -1 || item->replication_factor != -1) {
        decision_refuse(&item->error, DECISION_REQUEST,
                        "an assignment says how many partitions and replicas there are; leave the "
                        "counts at -1");
        return false;
    }
    if (!has_room(round, count, &item->error)) {
        return false;
    }
    item->made_partition_count = count;
    item->made_replication_factor = item->assignments[0].broker_count;
    if (item->made_replication_factor == 0 ||
        item->made_replication_factor > DECISION_REPLICATION_MAX) {
        decision_refuse(&item->error, DECISION_REPLICATION_FACTOR,
                        "a replication factor is 1 to %u", DECISION_REPLICATION_MAX);
        return false;
    }
    bool *is_named = arena_take_array(round->decision->arena, count, sizeof *is_named);
    if (is_named == NULL) {
        decision_refuse(&item->error, DECISION_LIMIT, "the request is too large; split it");
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        int32_t index = item->assignments[i].index;
        if (index < 0 || (uint32_t)index >= count || is_named[index]) {
            decision_refuse(&item->error, DECISION_ASSIGNMENT,
                            "partitions are numbered from 0 without gaps; %d does not fit", index);
            return false;
        }
        is_named[index] = true;
        if (!check_assignment(round, &item->assignments[i], item->made_replication_factor,
                              &item->error)) {
            return false;
        }
    }
    return true;
}

/* Collects the values that the topic gets; an internal one begins with what its kind needs. */
static bool create_check_configs(const struct round *round, struct topic_decisions_create *item,
                                 struct image_config_value *out_values, uint32_t *out_count)
{
    char reason[CONFIG_KEY_REASON_BYTES];
    uint32_t internal_count = 0;
    const struct image_config_value *internal = topic_config_internal(item->name, &internal_count);
    for (uint32_t i = 0; i < internal_count; i++) {
        topic_config_put(out_values, out_count, internal[i].key, internal[i].value);
    }
    for (uint32_t i = 0; i < item->config_count; i++) {
        const struct topic_decisions_config *config = &item->configs[i];
        const struct config_key *key = topic_config_key(config->key);
        if (key == NULL) {
            decision_refuse(&item->error, DECISION_CONFIG, "there is no topic setting %.*s",
                            decision_text_length(config->key), config->key.bytes);
            return false;
        }
        if (config_key_check(key, config->value, reason) != STATUS_OK) {
            decision_refuse(&item->error, DECISION_CONFIG, "%s", reason);
            return false;
        }
        struct wire_text value = config_key_trim(config->value);
        char *text = arena_copy_text(round->decision->arena, value.bytes, (size_t)value.byte_count);
        if (text == NULL) {
            decision_refuse(&item->error, DECISION_LIMIT, "the request is too large; split it");
            return false;
        }
        topic_config_put(out_values, out_count, key->name, text);
    }
    if (topic_config_check_all(out_values, *out_count, reason) != STATUS_OK) {
        decision_refuse(&item->error, DECISION_CONFIG, "%s", reason);
        return false;
    }
    return true;
}

static struct wire_uuid make_id(struct prng *prng)
{
    struct wire_uuid id;
    prng_fill(prng, id.bytes, sizeof id.bytes);
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0fU) | 0x40U); /* RFC 9562, version 4. */
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3fU) | 0x80U);
    return id;
}

/* A new partition: those that are up are in sync, having nothing to catch up with. */
static void write_partition(struct decision *decision, const struct wire_uuid *topic_id,
                            uint32_t index, const int32_t *brokers, uint32_t broker_count)
{
    struct image_partition partition = {.leader = -1};
    check(broker_count <= DECISION_REPLICATION_MAX);
    for (uint32_t i = 0; i < broker_count; i++) {
        const struct image_broker *broker = image_broker_by_id(decision->image, brokers[i]);
        partition.replicas[partition.replica_count++] = brokers[i];
        if (!broker->is_fenced && !broker->is_shutting_down) {
            partition.isr[partition.isr_count++] = brokers[i];
        }
    }
    check(partition.isr_count > 0);
    partition.leader = partition.isr[0];
    cluster_writer_partition(decision->writer, topic_id, (int32_t)index, &partition);
}

static const struct topic_decisions_assignment *
find_assignment(const struct topic_decisions_create *item, uint32_t index)
{
    for (uint32_t i = 0; i < item->assignment_count; i++) {
        uint32_t place = (index + i) % item->assignment_count; /* Most come in order. */
        if (item->assignments[place].index == (int32_t)index) {
            return &item->assignments[place];
        }
    }
    check_unreachable("each partition was found to be assigned");
}

static void create_write(struct round *round, struct topic_decisions_create *item,
                         const struct image_config_value *values, uint32_t value_count)
{
    struct decision *decision = round->decision;
    const char *name =
        arena_copy_text(decision->arena, item->name.bytes, (size_t)item->name.byte_count);
    if (name == NULL) {
        decision_refuse(&item->error, DECISION_LIMIT, "the request is too large; split it");
        return;
    }
    item->id = make_id(decision->prng);
    struct image_topic topic = {
        .id = item->id, .name = name, .is_internal = topic_config_is_internal(item->name)};
    cluster_writer_topic(decision->writer, &topic);
    placement_begin_topic(round->placement);
    for (uint32_t i = 0; i < item->made_partition_count; i++) {
        if (item->assignment_count > 0) {
            const struct topic_decisions_assignment *assignment = find_assignment(item, i);
            placement_count(round->placement, assignment->brokers, assignment->broker_count);
            write_partition(decision, &item->id, i, assignment->brokers, assignment->broker_count);
        } else {
            int32_t brokers[DECISION_REPLICATION_MAX];
            placement_choose(round->placement, item->made_replication_factor, brokers);
            write_partition(decision, &item->id, i, brokers, item->made_replication_factor);
        }
    }
    for (uint32_t i = 0; i < value_count; i++) {
        cluster_writer_config(decision->writer, IMAGE_CONFIG_TOPIC, name, values[i].key,
                              values[i].value);
    }
    round->partition_count += item->made_partition_count;
}

static void create_one(struct round *round, struct topic_decisions_create_request *request,
                       uint32_t place)
{
    struct topic_decisions_create *item = &request->items[place];
    uint32_t value_count = 0;
    uint32_t internal_count = 0;
    (void)topic_config_internal(item->name, &internal_count);
    struct image_config_value *values = arena_take_array(
        round->decision->arena, (size_t)item->config_count + internal_count, sizeof *values);
    if (values == NULL) {
        decision_refuse(&item->error, DECISION_LIMIT, "the request is too large; split it");
        return;
    }
    bool is_allowed = create_check_name(round, item, place) &&
                      (item->assignment_count > 0 ? create_check_assignments(round, item)
                                                  : create_check_counts(round, item)) &&
                      create_check_configs(round, item, values, &value_count);
    if (!is_allowed) {
        return;
    }
    struct cluster_writer_mark mark = cluster_writer_mark(round->decision->writer);
    create_write(round, item, values, value_count);
    if (request->validate_only) {
        cluster_writer_rewind(round->decision->writer, mark);
        item->id = (struct wire_uuid){{0}};
    }
}

void topic_decisions_create_topics(struct decision *decision,
                                   struct topic_decisions_create_request *request)
{
    struct round round;
    struct wire_text *names = arena_take_array(decision->arena, request->item_count, sizeof *names);
    for (uint32_t i = 0; names != NULL && i < request->item_count; i++) {
        names[i] = request->items[i].name;
    }
    bool has_round = begin_round(&round, decision, names, request->item_count);
    for (uint32_t i = 0; i < request->item_count; i++) {
        struct topic_decisions_create *item = &request->items[i];
        item->error = (struct decision_error){.reason = DECISION_NONE};
        item->id = (struct wire_uuid){{0}};
        item->made_partition_count = 0;
        item->made_replication_factor = 0;
        if (!has_round) {
            decision_refuse(&item->error, DECISION_LIMIT, "the request is too large; split it");
            continue;
        }
        create_one(&round, request, i);
    }
}

static const struct image_topic *delete_find(const struct decision *decision,
                                             const struct topic_decisions_delete *item)
{
    return item->name.byte_count >= 0 ? image_topic_by_name(decision->image, item->name)
                                      : image_topic_by_id(decision->image, &item->id);
}

static void delete_one(struct decision *decision, struct topic_decisions_delete *item,
                       bool is_repeated)
{
    const struct image_topic *topic = delete_find(decision, item);
    if (topic == NULL) {
        bool is_by_name = item->name.byte_count >= 0;
        decision_refuse(&item->error,
                        is_by_name ? DECISION_UNKNOWN_TOPIC : DECISION_UNKNOWN_TOPIC_ID,
                        is_by_name ? "there is no such topic" : "no topic has this id");
        return;
    }
    size_t name_bytes = strlen(topic->name);
    check(name_bytes < sizeof item->deleted_name);
    memcpy(item->deleted_name, topic->name, name_bytes + 1);
    item->deleted_id = topic->id;
    if (is_repeated) {
        decision_refuse(&item->error, DECISION_REQUEST,
                        "the request names this topic twice; name it once");
        return;
    }
    if (topic->is_internal) {
        decision_refuse(&item->error, DECISION_INTERNAL_TOPIC,
                        "%s holds the cluster's own state and cannot be deleted", topic->name);
        return;
    }
    cluster_writer_remove_topic(decision->writer, &topic->id);
}

/* By name and by id are the same topic; one that is not there repeats nothing. */
static const bool *delete_find_repeated(struct decision *decision,
                                        const struct topic_decisions_delete_request *request)
{
    struct wire_text *keys = arena_take_array(decision->arena, request->item_count, sizeof *keys);
    if (keys == NULL || request->item_count > DECISION_ITEMS_MAX) {
        return NULL;
    }
    for (uint32_t i = 0; i < request->item_count; i++) {
        const struct image_topic *topic = delete_find(decision, &request->items[i]);
        keys[i] = topic == NULL ? request->items[i].name : wire_text_of(topic->name);
    }
    return decision_find_repeated(decision->arena, keys, request->item_count);
}

void topic_decisions_delete_topics(struct decision *decision,
                                   struct topic_decisions_delete_request *request)
{
    const bool *is_repeated = delete_find_repeated(decision, request);
    for (uint32_t i = 0; i < request->item_count; i++) {
        struct topic_decisions_delete *item = &request->items[i];
        item->error = (struct decision_error){.reason = DECISION_NONE};
        item->deleted_id = (struct wire_uuid){{0}};
        item->deleted_name[0] = '\0';
        if (is_repeated == NULL) {
            decision_refuse(&item->error, DECISION_LIMIT, "the request is too large; split it");
            continue;
        }
        delete_one(decision, item, is_repeated[i]);
    }
}

static bool grow_check(struct round *round, struct topic_decisions_grow *item, uint32_t place,
                       const struct image_topic **out_topic)
{
    const struct image_topic *topic = image_topic_by_name(round->decision->image, item->name);
    if (round->is_repeated[place]) {
        decision_refuse(&item->error, DECISION_REQUEST,
                        "the request names this topic twice; name it once");
        return false;
    }
    if (topic == NULL) {
        decision_refuse(&item->error, DECISION_UNKNOWN_TOPIC, "there is no such topic");
        return false;
    }
    if (topic->is_internal) {
        decision_refuse(&item->error, DECISION_INTERNAL_TOPIC,
                        "%s finds its records by the number of its partitions; it stays as it is",
                        topic->name);
        return false;
    }
    if (item->partition_count <= 0 || (uint32_t)item->partition_count <= topic->partition_count) {
        decision_refuse(&item->error, DECISION_PARTITION_COUNT,
                        "%s has %u partitions; a topic only grows, so ask for more in all",
                        topic->name, topic->partition_count);
        return false;
    }
    uint32_t added = (uint32_t)item->partition_count - topic->partition_count;
    if (!has_room(round, added, &item->error)) {
        return false;
    }
    uint8_t replication_factor = topic->partitions[0].replica_count;
    if (item->assignment_count > 0 && item->assignment_count != added) {
        decision_refuse(&item->error, DECISION_ASSIGNMENT,
                        "%u partitions are added and %u are assigned; name each new one", added,
                        item->assignment_count);
        return false;
    }
    for (uint32_t i = 0; i < item->assignment_count; i++) {
        if (!check_assignment(round, &item->assignments[i], replication_factor, &item->error)) {
            return false;
        }
    }
    *out_topic = topic;
    return item->assignment_count > 0 || check_replication(round, replication_factor, &item->error);
}

static void grow_write(struct round *round, const struct topic_decisions_grow *item,
                       const struct image_topic *topic)
{
    uint8_t replication_factor = topic->partitions[0].replica_count;
    placement_begin_topic(round->placement);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        placement_count(round->placement, topic->partitions[i].replicas,
                        topic->partitions[i].replica_count);
    }
    for (uint32_t i = topic->partition_count; i < (uint32_t)item->partition_count; i++) {
        int32_t chosen[DECISION_REPLICATION_MAX];
        const int32_t *brokers = chosen;
        if (item->assignment_count > 0) {
            brokers = item->assignments[i - topic->partition_count].brokers;
        } else {
            placement_choose(round->placement, replication_factor, chosen);
        }
        write_partition(round->decision, &topic->id, i, brokers, replication_factor);
    }
    round->partition_count += (uint32_t)item->partition_count - topic->partition_count;
}

void topic_decisions_create_partitions(struct decision *decision,
                                       struct topic_decisions_grow_request *request)
{
    struct round round;
    struct wire_text *names = arena_take_array(decision->arena, request->item_count, sizeof *names);
    for (uint32_t i = 0; names != NULL && i < request->item_count; i++) {
        names[i] = request->items[i].name;
    }
    bool has_round = begin_round(&round, decision, names, request->item_count);
    for (uint32_t i = 0; i < request->item_count; i++) {
        struct topic_decisions_grow *item = &request->items[i];
        const struct image_topic *topic = NULL;
        item->error = (struct decision_error){.reason = DECISION_NONE};
        if (!has_round) {
            decision_refuse(&item->error, DECISION_LIMIT, "the request is too large; split it");
            continue;
        }
        struct cluster_writer_mark mark = cluster_writer_mark(decision->writer);
        if (grow_check(&round, item, i, &topic)) {
            grow_write(&round, item, topic);
        }
        if (request->validate_only) {
            cluster_writer_rewind(decision->writer, mark);
        }
    }
}
