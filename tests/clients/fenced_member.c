/* A member that the group went on without does not get its offsets into a transaction, and one that
 * is there does: fenced_member HOST:PORT TOPIC GROUP, for libmillrace.py. With "out" behind:
 * nor does one commit old work that was thrown out, and is in again since its last poll; with
 * "instance": nor one whose instance id a newer consumer has.
 *
 * Two consumers join one after the other; the first keeps its place of before the second came. */
#include <millrace/client.h>

#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 60000
#define POLLS_MAX 600
#define ILLEGAL_GENERATION 22
#define FENCED_INSTANCE_ID 82
#define OUT_MS 1000
#define OUT_POLLS 120 /* Long enough for a heartbeat to hear of it, and for a join. */

struct member {
    struct millrace_consumer *consumer;
    const char *instance; /* NULL: none. */
    int assigned_count;
    int batch_count;
};

static int fail(const struct millrace_error *error, const char *where)
{
    fprintf(stderr, "%s: ", where);
    millrace_error_print(error, stderr);
    return 1;
}

static void on_partitions(void *context, enum millrace_partitions_event event)
{
    struct member *self = context;
    self->assigned_count += event == MILLRACE_PARTITIONS_ASSIGNED;
}

static int join(struct millrace_client *client, char **arguments, int64_t patience_ms,
                struct member *self)
{
    struct millrace_consumer_options options = {.size = sizeof options,
                                                .group = millrace_text(arguments[3]),
                                                .group_start = MILLRACE_START_EARLIEST,
                                                .rebalance_timeout_ms = patience_ms,
                                                .instance_id = millrace_text(self->instance),
                                                .on_partitions = on_partitions,
                                                .context = self};
    struct millrace_bytes topic = millrace_text(arguments[2]);
    struct millrace_membership *place = NULL;
    struct millrace_error error;
    if (millrace_consumer_open(client, &options, &self->consumer, &error) ||
        millrace_consumer_subscribe(self->consumer, &topic, 1, &error)) {
        return fail(&error, "subscribe");
    }
    if (millrace_consumer_membership(self->consumer, &place, &error) != ILLEGAL_GENERATION) {
        printf("a place before the first poll\n");
        return 1;
    }
    return 0;
}

static int poll_once(struct member *self)
{
    struct millrace_batch *batch = NULL;
    struct millrace_error error;
    if (self->consumer != NULL && millrace_consumer_poll(self->consumer, 50, &batch, &error)) {
        return fail(&error, "poll");
    }
    self->batch_count += batch != NULL;
    millrace_batch_free(batch);
    return 0;
}

static void leave(struct member *members)
{
    for (int i = 0; i < 2; i++) {
        millrace_consumer_close(members[i].consumer, TIMEOUT_MS, NULL);
    }
}

/* Until each that is there has been given partitions so often in all, and has read something. */
static int poll_until(struct member *members, int first_count, int second_count)
{
    for (int i = 0; i < POLLS_MAX; i++) {
        if (poll_once(&members[0]) || poll_once(&members[1])) {
            return 1;
        }
        if (members[0].assigned_count >= first_count && members[1].assigned_count >= second_count &&
            members[0].batch_count > 0) {
            return 0;
        }
    }
    printf("the members were assigned %d and %d times\n", members[0].assigned_count,
           members[1].assigned_count);
    return 1;
}

/* One transaction with nothing but an offset; the code of sending that. */
static int transact(struct millrace_producer *producer, const char *topic,
                    const struct millrace_membership *place, int64_t offset)
{
    struct millrace_offset next = {millrace_text(topic), 0, offset, -1};
    struct millrace_error error;
    if (millrace_producer_begin(producer, TIMEOUT_MS, &error)) {
        return fail(&error, "begin");
    }
    int code = millrace_producer_send_offsets_as(producer, place, &next, 1, TIMEOUT_MS, &error);
    printf("generation %s: %s\n", offset == 1 ? "old" : "new", error.name);
    if (code != 0) {
        millrace_error_print(&error, stdout);
        printf("must abort %d fatal %d\n", error.must_abort, error.is_fatal);
    }
    int end = code == 0 ? millrace_producer_commit(producer, TIMEOUT_MS, &error)
                        : millrace_producer_abort(producer, TIMEOUT_MS, &error);
    return end != 0 ? fail(&error, "end") : code;
}

static int64_t committed(struct millrace_client *client, const char *group)
{
    struct millrace_group *described = NULL;
    struct millrace_error error;
    int64_t offset = -2;
    if (millrace_group_describe(client, millrace_text(group), TIMEOUT_MS, &described, &error)) {
        (void)fail(&error, "describe");
        return offset;
    }
    for (size_t i = 0; i < described->partition_count; i++) {
        if (described->partitions[i]->partition == 0) {
            offset = described->partitions[i]->committed;
        }
    }
    millrace_group_free(described);
    return offset;
}

static int fence(struct millrace_client *client, char **arguments)
{
    struct member members[2] = {{0}, {0}};
    struct millrace_membership *old = NULL;
    struct millrace_membership *current = NULL;
    struct millrace_producer *producer = NULL;
    struct millrace_producer_options options = {.size = sizeof options,
                                                .transactional_id = millrace_text(arguments[3])};
    struct millrace_error error;
    if (join(client, arguments, 0, &members[0]) || poll_until(members, 1, 0) ||
        millrace_consumer_membership(members[0].consumer, &old, &error) ||
        join(client, arguments, 0, &members[1]) || poll_until(members, 2, 1) ||
        millrace_consumer_membership(members[0].consumer, &current, &error) ||
        millrace_producer_open(client, &options, &producer, &error)) {
        return fail(&error, "the members");
    }
    int is_wrong =
        old->generation < 1 || current->generation <= old->generation || old->member_id.size == 0;
    is_wrong |= transact(producer, arguments[2], old, 1) != ILLEGAL_GENERATION;
    is_wrong |= committed(client, arguments[3]) > 0;
    is_wrong |= transact(producer, arguments[2], current, 2) != 0;
    printf("committed %lld\n", (long long)committed(client, arguments[3]));
    millrace_membership_free(old);
    millrace_membership_free(current);
    millrace_producer_close(producer, TIMEOUT_MS, NULL);
    leave(members);
    return is_wrong;
}

/* The first reads, and polls no more: the second takes over, and its loop joins again. What it
 * commits is refused from then on. */
static int throw_out(struct millrace_client *client, char **arguments)
{
    struct member members[2] = {{0}, {0}};
    struct millrace_offset next = {millrace_text(arguments[2]), 0, 1, -1};
    struct millrace_error error;
    if (join(client, arguments, OUT_MS, &members[0]) || poll_until(members, 1, 0) ||
        join(client, arguments, OUT_MS, &members[1])) {
        return 1;
    }
    int refused_count = 0;
    int late_count = 0;
    int all = 0;
    for (int i = 0; all == 0 && i < POLLS_MAX; i++) {
        if (poll_once(&members[1])) {
            return 1;
        }
        int code = millrace_consumer_commit(members[0].consumer, &next, 1, TIMEOUT_MS, &error);
        refused_count += code != 0;
        late_count += code == 0 && refused_count > 0;
        if (i >= OUT_POLLS) {
            all = millrace_consumer_commit(members[0].consumer, NULL, 0, TIMEOUT_MS, &error);
        }
    }
    printf("refused %d late %d all: %s\n", refused_count > 0, late_count, error.name);
    leave(members);
    return late_count > 0 || all != ILLEGAL_GENERATION;
}

static int replace(struct millrace_client *client, char **arguments)
{
    struct member members[2] = {{.instance = "one"}, {.instance = "one"}};
    struct millrace_membership *old = NULL;
    struct millrace_producer *producer = NULL;
    struct millrace_producer_options options = {.size = sizeof options,
                                                .transactional_id = millrace_text(arguments[3])};
    struct millrace_error error;
    if (join(client, arguments, 0, &members[0]) || poll_until(members, 1, 0) ||
        millrace_consumer_membership(members[0].consumer, &old, &error) ||
        join(client, arguments, 0, &members[1]) ||
        millrace_producer_open(client, &options, &producer, &error)) {
        return fail(&error, "the members");
    }
    for (int i = 0; i < POLLS_MAX && members[1].assigned_count == 0; i++) {
        if (poll_once(&members[1])) {
            return 1;
        }
    }
    int code = transact(producer, arguments[2], old, 1);
    millrace_membership_free(old);
    millrace_producer_close(producer, TIMEOUT_MS, NULL);
    leave(members);
    return code != FENCED_INSTANCE_ID;
}

int main(int count, char **arguments)
{
    struct millrace_client_options options = {.size = sizeof options};
    struct millrace_client *client = NULL;
    struct millrace_error error = {.code = 0};
    if (count != 4 && count != 5) {
        return 2;
    }
    options.bootstrap = millrace_text(arguments[1]);
    if (millrace_client_open(&options, &client, &error)) {
        return fail(&error, "open");
    }
    int result = count == 4                              ? fence(client, arguments)
                 : strcmp(arguments[4], "instance") == 0 ? replace(client, arguments)
                                                         : throw_out(client, arguments);
    return millrace_client_close(client, 1000, NULL) || result;
}
