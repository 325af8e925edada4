/* Prints a topic until no record comes for two seconds: hello-consume HOST:PORT TOPIC */
#include <millrace/client.h>

int main(int count, char **arguments)
{
    struct millrace_client_options options = {.size = sizeof options};
    struct millrace_assignment all = {.partition = -1, .start = {MILLRACE_START_EARLIEST, 0}};
    struct millrace_client *client = NULL;
    struct millrace_consumer *consumer = NULL;
    struct millrace_batch *batch = NULL;
    struct millrace_error error;
    if (count != 3)
        return 2;
    options.bootstrap = millrace_text(arguments[1]);
    all.topic = millrace_text(arguments[2]);
    if (!millrace_client_open(&options, &client, &error) &&
        !millrace_consumer_open(client, NULL, &consumer, &error) &&
        !millrace_consumer_assign(consumer, &all, 1, 10000, &error))
        while (!millrace_consumer_poll(consumer, 2000, &batch, &error) && batch != NULL) {
            for (size_t i = 0; i < millrace_batch_count(batch); i++) {
                const struct millrace_received *record = millrace_batch_record(batch, i);
                printf("%.*s\n", (int)record->value.size, (const char *)record->value.data);
            }
            millrace_batch_free(batch);
        }
    if (error.code)
        millrace_error_print(&error, stderr);
    millrace_consumer_close(consumer, 1000, NULL);
    return millrace_client_close(client, 1000, NULL) || error.code;
}
