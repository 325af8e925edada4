/* A transaction that took too long must be aborted, and its producer goes on; but not if another
 * one has taken over meanwhile: late_producer HOST:PORT TOPIC, for libmillrace.py.
 *
 * A plain record behind the transaction's is seen by a committed reader when the coordinator has
 * aborted the transaction, so nobody waits for a time. Prints what is said and what is seen. */
#include <millrace/client.h>

#include <stdlib.h>

#define TIMEOUT_MS 60000
#define TRANSACTION_TIMEOUT_MS 1000
#define POLL_MS 200
#define POLLS_MAX 300

struct world {
    const char *topic;
    struct millrace_consumer *reader;
    struct millrace_producer *plain;
    struct millrace_producer *late;
    struct millrace_producer *heir;
    int seen_count;
};

static int fail(const struct millrace_error *error, const char *where)
{
    fprintf(stderr, "%s: ", where);
    millrace_error_print(error, stderr);
    return 1;
}

static int say(const char *what, int code, const struct millrace_error *error)
{
    printf("%s: %s abort %d fatal %d\n", what, error->name, error->must_abort, error->is_fatal);
    if (code != 0) {
        millrace_error_print(error, stderr);
    }
    return code;
}

static int write_one(const struct world *world, struct millrace_producer *producer,
                     const char *text, struct millrace_error *error)
{
    struct millrace_record record = {.size = sizeof record,
                                     .topic = millrace_text(world->topic),
                                     .value = millrace_text(text),
                                     .has_partition = true};
    return millrace_producer_send_wait(producer, &record, TIMEOUT_MS, NULL, error);
}

/* Until so many records in all were seen. */
static int see(struct world *world, int count)
{
    struct millrace_error error;
    for (int i = 0; i < POLLS_MAX && world->seen_count < count; i++) {
        struct millrace_batch *batch = NULL;
        if (millrace_consumer_poll(world->reader, POLL_MS, &batch, &error)) {
            return fail(&error, "poll");
        }
        for (size_t k = 0; batch != NULL && k < millrace_batch_count(batch); k++) {
            struct millrace_bytes value = millrace_batch_record(batch, k)->value;
            printf("seen: %.*s\n", (int)value.size, (const char *)value.data);
            world->seen_count += 1;
        }
        millrace_batch_free(batch);
    }
    return world->seen_count != count;
}

static int transact(const struct world *world, struct millrace_producer *producer, const char *text)
{
    struct millrace_error error;
    if (millrace_producer_begin(producer, TIMEOUT_MS, &error) ||
        write_one(world, producer, text, &error) ||
        millrace_producer_commit(producer, TIMEOUT_MS, &error)) {
        return fail(&error, text);
    }
    return 0;
}

/* Begins a transaction that the coordinator then aborts. */
static int be_late(struct world *world)
{
    struct millrace_error error;
    if (millrace_producer_begin(world->late, TIMEOUT_MS, &error) ||
        write_one(world, world->late, "lost", &error) ||
        write_one(world, world->plain, "plain", &error)) {
        return fail(&error, "late");
    }
    return see(world, world->seen_count + 1);
}

/* What the producer hears who is late. */
static int end_late(struct world *world, int is_writing)
{
    struct millrace_error error;
    if (is_writing) {
        (void)say("write", write_one(world, world->late, "lost", &error), &error);
    }
    (void)say("commit", millrace_producer_commit(world->late, TIMEOUT_MS, &error), &error);
    return say("abort", millrace_producer_abort(world->late, TIMEOUT_MS, &error), &error);
}

static int play(struct world *world)
{
    struct millrace_error error;
    for (int is_writing = 0; is_writing < 2; is_writing++) {
        if (be_late(world) || end_late(world, is_writing) ||
            transact(world, world->late, "in time") || see(world, world->seen_count + 1)) {
            return 1;
        }
    }
    if (be_late(world) || transact(world, world->heir, "heir") ||
        end_late(world, 1) != MILLRACE_PRODUCER_FENCED) {
        return 1;
    }
    (void)say("begin", millrace_producer_begin(world->late, TIMEOUT_MS, &error), &error);
    return transact(world, world->heir, "heir") || see(world, world->seen_count + 2);
}

static int open_all(struct world *world, struct millrace_client *client)
{
    struct millrace_consumer_options committed = {.size = sizeof committed,
                                                  .isolation = MILLRACE_READ_COMMITTED};
    struct millrace_producer_options options = {
        .size = sizeof options,
        .transactional_id = millrace_text("late"),
        .transaction_timeout_ms = TRANSACTION_TIMEOUT_MS,
    };
    struct millrace_assignment all = {.topic = millrace_text(world->topic),
                                      .start = {MILLRACE_START_EARLIEST, 0}};
    struct millrace_error error;
    if (millrace_producer_open(client, NULL, &world->plain, &error) ||
        millrace_producer_open(client, &options, &world->late, &error) ||
        millrace_producer_open(client, &options, &world->heir, &error) ||
        write_one(world, world->plain, "first", &error) ||
        millrace_consumer_open(client, &committed, &world->reader, &error) ||
        millrace_consumer_assign(world->reader, &all, 1, TIMEOUT_MS, &error)) {
        return fail(&error, "open");
    }
    return see(world, 1);
}

int main(int count, char **arguments)
{
    struct millrace_client_options options = {.size = sizeof options};
    struct millrace_client *client = NULL;
    struct millrace_error error = {.code = 0};
    if (count != 3) {
        return 2;
    }
    options.bootstrap = millrace_text(arguments[1]);
    if (millrace_client_open(&options, &client, &error)) {
        return fail(&error, "open");
    }
    struct world world = {.topic = arguments[2]};
    int result = open_all(&world, client) || play(&world);
    millrace_consumer_close(world.reader, TIMEOUT_MS, NULL);
    millrace_producer_close(world.plain, TIMEOUT_MS, NULL);
    millrace_producer_close(world.late, TIMEOUT_MS, NULL);
    millrace_producer_close(world.heir, TIMEOUT_MS, NULL);
    return millrace_client_close(client, 1000, NULL) || result;
}
