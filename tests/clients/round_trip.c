/* A program over the library's public interface, for libmillrace.py:
 *   round_trip produce HOST:PORT TOPIC COUNT CODEC   says "half" when half of it is delivered
 *   round_trip transact HOST:PORT TOPIC COUNT        in transactions, each aborted and repeated
 *   round_trip consume HOST:PORT TOPIC COUNT         checks that each number is there once
 *   round_trip group HOST:PORT TOPIC GROUP [INSTANCE]   prints the numbers it gets as a member
 *   round_trip admin HOST:PORT TOPIC                 walks through the admin calls
 *
 * Records carry their number in the value, in a header and as the timestamp. */
#include <millrace/client.h>

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define PARTITION_COUNT 4
#define CODEC_COUNT 6
#define TIMEOUT_MS 60000
#define TXN_RECORDS 100
#define QUIET_POLLS 10

/* Young enough that no retention deletes the records while they are read. */
static long long first_timestamp;
static atomic_long delivered_count;
static atomic_long failed_count;
static atomic_long disordered_count;
static long half_count;
static int64_t last_offsets[PARTITION_COUNT] = {-1, -1, -1, -1};

static int fail(const struct millrace_error *error, const char *where)
{
    fprintf(stderr, "%s: ", where);
    millrace_error_print(error, stderr);
    return 1;
}

static void on_delivery(void *context, const struct millrace_delivery *delivery)
{
    (void)context;
    if (delivery->error != NULL) {
        if (atomic_fetch_add(&failed_count, 1) == 0) {
            millrace_error_print(delivery->error, stderr);
        }
        return;
    }
    if (delivery->offset >= 0) {
        disordered_count += delivery->offset <= last_offsets[delivery->partition];
        last_offsets[delivery->partition] = delivery->offset;
    }
    if (atomic_fetch_add(&delivered_count, 1) + 1 == half_count) {
        printf("half\n");
        fflush(stdout);
    }
}

static int send_number(struct millrace_producer *producer, const char *topic, long number,
                       struct millrace_error *error)
{
    char value[64];
    (void)snprintf(value, sizeof value, "record %ld with some words that repeat", number);
    struct millrace_header header = {millrace_text("number"), {&number, sizeof number}};
    struct millrace_record record = {.size = sizeof record,
                                     .topic = millrace_text(topic),
                                     .value = millrace_text(value),
                                     .headers = &header,
                                     .header_count = 1,
                                     .has_partition = true,
                                     .partition = (int32_t)(number % PARTITION_COUNT),
                                     .timestamp_ms = first_timestamp + number};
    return millrace_producer_send(producer, &record, NULL, TIMEOUT_MS, error);
}

static int produce(struct millrace_client *client, const char *topic, long count,
                   enum millrace_compression codec)
{
    struct millrace_producer_options options = {
        .size = sizeof options, .compression = codec, .on_delivery = on_delivery};
    struct millrace_producer *producer = NULL;
    struct millrace_error error;
    half_count = count / 2;
    if (millrace_producer_open(client, &options, &producer, &error)) {
        return fail(&error, "open");
    }
    for (long i = 0; i < count; i++) {
        if (send_number(producer, topic, i, &error)) {
            return fail(&error, "send");
        }
    }
    if (millrace_producer_close(producer, TIMEOUT_MS, &error)) {
        return fail(&error, "close");
    }
    printf("delivered %ld failed %ld disordered %ld\n", (long)delivered_count, (long)failed_count,
           (long)disordered_count);
    return delivered_count != count || failed_count != 0 || disordered_count != 0;
}

/* Sends the numbers of one transaction, and ends it. */
static int transact_once(struct millrace_producer *producer, const char *topic, long first,
                         bool is_commit)
{
    struct millrace_error error;
    if (millrace_producer_begin(producer, TIMEOUT_MS, &error)) {
        return fail(&error, "begin");
    }
    for (long i = first; i < first + TXN_RECORDS; i++) {
        if (send_number(producer, topic, i, &error)) {
            return fail(&error, "send");
        }
    }
    if (!is_commit) {
        return millrace_producer_abort(producer, TIMEOUT_MS, &error) ? fail(&error, "abort") : 0;
    }
    if (millrace_producer_commit(producer, TIMEOUT_MS, &error)) {
        return fail(&error, "commit");
    }
    if (first == 0) {
        printf("half\n"); /* For whoever wants to kill a broker meanwhile. */
        fflush(stdout);
    }
    return 0;
}

/* Each transaction is aborted first, so a committed reader sees its records once all the same. */
static int transact(struct millrace_client *client, const char *topic, long count)
{
    struct millrace_producer_options options = {.size = sizeof options,
                                                .transactional_id = millrace_text(topic)};
    struct millrace_producer *producer = NULL;
    struct millrace_producer *successor = NULL;
    struct millrace_error error;
    if (millrace_producer_open(client, &options, &producer, &error)) {
        return fail(&error, "open");
    }
    if (send_number(producer, topic, 0, &error) != MILLRACE_INVALID_ARGUMENT) {
        printf("a record was taken outside of a transaction\n");
        return 1;
    }
    for (long i = 0; i < count; i += TXN_RECORDS) {
        if (transact_once(producer, topic, i, false) || transact_once(producer, topic, i, true)) {
            return 1;
        }
    }
    if (millrace_producer_open(client, &options, &successor, &error) ||
        millrace_producer_begin(successor, TIMEOUT_MS, &error)) {
        return fail(&error, "successor");
    }
    int code = millrace_producer_begin(producer, TIMEOUT_MS, &error);
    code = code ? code : send_number(producer, topic, 0, &error);
    code = code ? code : millrace_producer_commit(producer, TIMEOUT_MS, &error);
    int is_early = code != 0 && error.is_fatal; /* A newer epoch alone does not say whose it is. */
    if (code != 0 && error.must_abort) {
        code = millrace_producer_abort(producer, TIMEOUT_MS, &error);
    }
    printf("fenced %d: %s: %s; %s; %s\n", error.is_fatal, error.name, error.what, error.why,
           error.fix);
    int is_wrong = is_early || code != MILLRACE_PRODUCER_FENCED || !error.is_fatal;
    millrace_producer_close(producer, TIMEOUT_MS, NULL);
    millrace_producer_close(successor, TIMEOUT_MS, NULL);
    return is_wrong;
}

struct seen {
    unsigned char *numbers;
    long count;
    long found;
    long wrong;
    long with_ingested;
    long last[PARTITION_COUNT];
};

static void look_at(struct seen *seen, const struct millrace_received *record)
{
    long number = -1;
    if (record->header_count == 1 && record->headers[0].value.size == sizeof number) {
        memcpy(&number, record->headers[0].value.data, sizeof number);
    }
    char value[64];
    int size = snprintf(value, sizeof value, "record %ld with some words that repeat", number);
    bool is_right = number >= 0 && number < seen->count && record->value.size == (size_t)size &&
                    memcmp(record->value.data, value, (size_t)size) == 0 &&
                    record->partition == number % PARTITION_COUNT && record->key.data == NULL &&
                    record->timestamp_ms == first_timestamp + number &&
                    number > seen->last[record->partition] && seen->numbers[number] == 0;
    seen->found += 1;
    seen->wrong += !is_right;
    seen->with_ingested += record->ingested_ms > 0;
    if (is_right) {
        seen->numbers[number] = 1;
        seen->last[record->partition] = number;
    }
}

static int consume(struct millrace_client *client, const char *topic, long count)
{
    struct seen seen = {
        .numbers = calloc(1, (size_t)count), .count = count, .last = {-1, -1, -1, -1}};
    struct millrace_consumer *consumer = NULL;
    struct millrace_error error;
    struct millrace_assignment all = {.topic = millrace_text(topic),
                                      .partition = MILLRACE_ALL_PARTITIONS,
                                      .start = {MILLRACE_START_EARLIEST, 0}};
    if (millrace_consumer_open(client, NULL, &consumer, &error) ||
        millrace_consumer_assign(consumer, &all, 1, TIMEOUT_MS, &error)) {
        return fail(&error, "assign");
    }
    struct millrace_batch *batch = NULL;
    int code = 0;
    while ((code = millrace_consumer_poll(consumer, 1500, &batch, &error)) == 0 && batch != NULL) {
        for (size_t i = 0; i < millrace_batch_count(batch); i++) {
            look_at(&seen, millrace_batch_record(batch, i));
        }
        millrace_batch_free(batch);
    }
    if (code != 0) {
        return fail(&error, "poll");
    }
    millrace_consumer_close(consumer, 1000, NULL);
    printf("found %ld wrong %ld ingested %ld\n", seen.found, seen.wrong, seen.with_ingested);
    free(seen.numbers);
    return seen.found != count || seen.wrong != 0;
}

/* ---- as a member of a group ---- */

static void on_partitions(void *context, enum millrace_partitions_event event)
{
    static const char *const names[] = {"assigned", "revoked", "lost"};
    (void)context;
    fprintf(stderr, "%s\n", names[event]);
}

/* From the header, or, where others have written it, the value. */
static long number_of(const struct millrace_received *record)
{
    long number = -1;
    char text[24] = "";
    if (record->header_count == 1 && record->headers[0].value.size == sizeof number) {
        memcpy(&number, record->headers[0].value.data, sizeof number);
    } else if (record->value.size < sizeof text) {
        memcpy(text, record->value.data, record->value.size);
        number = strtol(text, NULL, 10);
    }
    return number;
}

static bool is_input_over(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) > 0;
}

/* Prints the number of each record, until its input has ended and none has come for a while. */
static int group(struct millrace_client *client, const char *topic, const char *name,
                 const char *instance)
{
    struct millrace_consumer_options options = {.size = sizeof options,
                                                .group = millrace_text(name),
                                                .instance_id = millrace_text(instance),
                                                .group_start = MILLRACE_START_EARLIEST,
                                                .session_timeout_ms = 6000,
                                                .rebalance_timeout_ms = 10000,
                                                .auto_commit_ms = 50,
                                                .on_partitions = on_partitions};
    struct millrace_consumer *consumer = NULL;
    struct millrace_batch *batch = NULL;
    struct millrace_error error;
    struct millrace_bytes topics[1] = {millrace_text(topic)};
    if (millrace_consumer_open(client, &options, &consumer, &error) ||
        millrace_consumer_subscribe(consumer, topics, 1, &error)) {
        return fail(&error, "subscribe");
    }
    int quiet_count = 0;
    while (quiet_count < QUIET_POLLS) {
        if (millrace_consumer_poll(consumer, 100, &batch, &error)) {
            return fail(&error, "poll");
        }
        quiet_count = batch == NULL && is_input_over() ? quiet_count + 1 : 0;
        for (size_t i = 0; batch != NULL && i < millrace_batch_count(batch); i++) {
            const struct millrace_received *record = millrace_batch_record(batch, i);
            printf("%ld\n", number_of(record));
        }
        fflush(stdout);
        millrace_batch_free(batch);
    }
    return millrace_consumer_close(consumer, TIMEOUT_MS, &error) ? fail(&error, "close") : 0;
}

static int expect_offsets(struct millrace_client *client, const char *topic, int64_t start,
                          int64_t end)
{
    struct millrace_topic *described = NULL;
    struct millrace_error error;
    if (millrace_topic_describe(client, millrace_text(topic), TIMEOUT_MS, &described, &error)) {
        return fail(&error, "describe");
    }
    int is_wrong = described->partition_count == 0 || described->config_count == 0 ||
                   described->partitions[0]->start != start ||
                   described->partitions[0]->end != end || described->partitions[0]->isr_count < 1;
    if (is_wrong) {
        printf("partition 0: %lld to %lld\n", (long long)described->partitions[0]->start,
               (long long)described->partitions[0]->end);
    }
    millrace_topic_free(described);
    return is_wrong;
}

static const struct millrace_config *config_named(const struct millrace_configs *list,
                                                  const char *name)
{
    for (size_t i = 0; i < list->config_count; i++) {
        if (list->configs[i]->name.size == strlen(name) &&
            memcmp(list->configs[i]->name.data, name, strlen(name)) == 0) {
            return list->configs[i];
        }
    }
    return NULL;
}

static int admin_configs(struct millrace_client *client, const char *topic)
{
    struct millrace_error error;
    struct millrace_configs *configs = NULL;
    struct millrace_config change = {.name = millrace_text("retention.ms"),
                                     .value = millrace_text("7000000")};
    struct millrace_config bad = {.name = millrace_text("no.such.setting"),
                                  .value = millrace_text("1")};
    if (millrace_configs_alter(client, MILLRACE_CONFIG_OF_TOPIC, millrace_text(topic), &change, 1,
                               TIMEOUT_MS, &error) ||
        millrace_configs_describe(client, MILLRACE_CONFIG_OF_TOPIC, millrace_text(topic),
                                  TIMEOUT_MS, &configs, &error)) {
        return fail(&error, "configs");
    }
    const struct millrace_config *found = config_named(configs, "retention.ms");
    int is_wrong = found == NULL || found->value.size != 7 || found->is_default ||
                   memcmp(found->value.data, "7000000", 7) != 0;
    millrace_configs_free(configs);
    is_wrong |= millrace_configs_alter(client, MILLRACE_CONFIG_OF_TOPIC, millrace_text(topic), &bad,
                                       1, TIMEOUT_MS, &error) == 0;
    printf("configs %s; %s: %s; %s; %s\n", is_wrong ? "wrong" : "right", error.name, error.what,
           error.why, error.fix);
    return is_wrong;
}

static int admin_topics(struct millrace_client *client, const char *topic)
{
    struct millrace_error error;
    struct millrace_new_topic wanted = {
        .size = sizeof wanted, .name = millrace_text(topic), .partition_count = 2};
    if (millrace_topic_create(client, &wanted, TIMEOUT_MS, &error)) {
        return fail(&error, "create");
    }
    int code = millrace_topic_create(client, &wanted, TIMEOUT_MS, &error);
    if (code != MILLRACE_TOPIC_EXISTS) {
        printf("created twice: %d\n", code);
        return 1;
    }
    millrace_error_print(&error, stdout);
    if (millrace_topic_grow(client, wanted.name, 5, TIMEOUT_MS, &error)) {
        return fail(&error, "grow");
    }
    struct millrace_topics *topics = NULL;
    if (millrace_topics_list(client, TIMEOUT_MS, &topics, &error)) {
        return fail(&error, "list");
    }
    int count = 0;
    for (size_t i = 0; i < topics->topic_count; i++) {
        count += topics->topics[i]->name.size == strlen(topic) &&
                 memcmp(topics->topics[i]->name.data, topic, strlen(topic)) == 0 &&
                 topics->topics[i]->partition_count == 5;
    }
    millrace_topics_free(topics);
    printf("listed %d\n", count);
    return count != 1;
}

static int admin_records(struct millrace_client *client, const char *topic)
{
    struct millrace_error error;
    struct millrace_producer *producer = NULL;
    struct millrace_delivery delivery;
    if (millrace_producer_open(client, NULL, &producer, &error)) {
        return fail(&error, "open");
    }
    for (int i = 0; i < 10; i++) {
        struct millrace_record record = {.size = sizeof record,
                                         .topic = millrace_text(topic),
                                         .value = millrace_text("ten of them"),
                                         .has_partition = true,
                                         .timestamp_ms = first_timestamp + i};
        if (millrace_producer_send_wait(producer, &record, TIMEOUT_MS, &delivery, &error)) {
            return fail(&error, "send");
        }
        if (delivery.partition != 0 || delivery.offset != i) {
            printf("delivered to %d, %lld\n", (int)delivery.partition, (long long)delivery.offset);
            return 1;
        }
    }
    millrace_producer_close(producer, TIMEOUT_MS, NULL);
    struct millrace_offset_query query = {.topic = millrace_text(topic),
                                          .start = {MILLRACE_START_TIME, first_timestamp + 4}};
    int64_t start = -1;
    if (millrace_offsets_list(client, &query, 1, MILLRACE_READ_COMMITTED, TIMEOUT_MS, &error) ||
        millrace_records_delete(client, millrace_text(topic), 0, 7, TIMEOUT_MS, &start, &error)) {
        return fail(&error, "records");
    }
    printf("offset by time %lld, start %lld\n", (long long)query.offset, (long long)start);
    return query.offset != 4 || start != 7 || expect_offsets(client, topic, 7, 10);
}

static int admin(struct millrace_client *client, const char *topic)
{
    struct millrace_error error;
    struct millrace_cluster *cluster = NULL;
    if (millrace_cluster_describe(client, TIMEOUT_MS, &cluster, &error)) {
        return fail(&error, "cluster");
    }
    printf("nodes %zu controller %d epoch %d\n", cluster->node_count, (int)cluster->controller,
           (int)cluster->controller_epoch);
    int is_wrong = cluster->node_count == 0 || cluster->cluster_id.size == 0;
    millrace_cluster_free(cluster);
    is_wrong |=
        admin_topics(client, topic) || admin_configs(client, topic) || admin_records(client, topic);
    if (millrace_topic_delete(client, millrace_text(topic), TIMEOUT_MS, &error)) {
        return fail(&error, "delete");
    }
    struct millrace_topic *gone = NULL;
    int code = millrace_topic_describe(client, millrace_text(topic), TIMEOUT_MS, &gone, &error);
    printf("after the delete: %s\n", error.name);
    return is_wrong || code != MILLRACE_UNKNOWN_TOPIC;
}

int main(int count, char **arguments)
{
    struct millrace_client_options options = {.size = sizeof options};
    struct millrace_client *client = NULL;
    struct millrace_error error;
    if (count < 4) {
        return 2;
    }
    const char *first = getenv("MILLRACE_FIRST_TIMESTAMP");
    first_timestamp = first == NULL ? 0 : strtoll(first, NULL, 10);
    if (first_timestamp <= 0) {
        return 2;
    }
    options.bootstrap = millrace_text(arguments[2]);
    if (millrace_client_open(&options, &client, &error)) {
        return fail(&error, "client");
    }
    int code = 2;
    long record_count = count > 4 ? strtol(arguments[4], NULL, 10) : 0;
    if (strcmp(arguments[1], "produce") == 0 && count == 6) {
        long codec = strtol(arguments[5], NULL, 10);
        code = produce(client, arguments[3], record_count,
                       (enum millrace_compression)(codec % CODEC_COUNT));
    } else if (strcmp(arguments[1], "transact") == 0 && count == 5) {
        code = transact(client, arguments[3], record_count);
    } else if (strcmp(arguments[1], "group") == 0 && count >= 5) {
        code = group(client, arguments[3], arguments[4], count > 5 ? arguments[5] : NULL);
    } else if (strcmp(arguments[1], "consume") == 0 && count == 5) {
        code = consume(client, arguments[3], record_count);
    } else if (strcmp(arguments[1], "admin") == 0) {
        code = admin(client, arguments[3]);
    }
    return millrace_client_close(client, TIMEOUT_MS, &error) || code;
}
