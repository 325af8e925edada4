/* Copies a topic to another one exactly once: hello-transform HOST:PORT FROM TO */
#include <millrace/client.h>

int main(int count, char **arguments)
{
    struct millrace_client_options options = {.size = sizeof options};
    struct millrace_consumer_options reader = {.size = sizeof reader,
                                               .group_start = MILLRACE_START_EARLIEST};
    struct millrace_producer_options writer = {.size = sizeof writer};
    struct millrace_client *client = NULL;
    struct millrace_consumer *consumer = NULL;
    struct millrace_producer *producer = NULL;
    struct millrace_batch *batch = NULL;
    struct millrace_membership *member = NULL;
    struct millrace_error error;
    if (count != 4)
        return 2;
    options.bootstrap = millrace_text(arguments[1]);
    struct millrace_bytes from = millrace_text(arguments[2]);
    reader.group = writer.transactional_id = millrace_text("hello-transform");
    if (!millrace_client_open(&options, &client, &error) &&
        !millrace_consumer_open(client, &reader, &consumer, &error) &&
        !millrace_producer_open(client, &writer, &producer, &error) &&
        !millrace_consumer_subscribe(consumer, &from, 1, &error))
        while (!millrace_consumer_poll(consumer, 5000, &batch, &error) && batch != NULL) {
            struct millrace_offset next = {from, millrace_batch_partition(batch),
                                           millrace_batch_next_offset(batch), -1};
            int code = millrace_consumer_membership(consumer, &member, &error) ||
                       millrace_producer_begin(producer, 10000, &error);
            for (size_t i = 0; !code && i < millrace_batch_count(batch); i++) {
                struct millrace_record copy = {.size = sizeof copy,
                                               .topic = millrace_text(arguments[3])};
                copy.key = millrace_batch_record(batch, i)->key;
                copy.value = millrace_batch_record(batch, i)->value;
                code = millrace_producer_send(producer, &copy, NULL, 10000, &error);
            }
            code = code ||
                   millrace_producer_send_offsets_as(producer, member, &next, 1, 10000, &error) ||
                   millrace_producer_commit(producer, 10000, &error);
            millrace_membership_free(member);
            millrace_batch_free(batch);
            if (code)
                break;
        }
    if (error.code)
        millrace_error_print(&error, stderr);
    millrace_producer_close(producer, 1000, NULL);
    millrace_consumer_close(consumer, 1000, NULL);
    return millrace_client_close(client, 1000, NULL) || error.code;
}
