/* Writes one record: hello-produce HOST:PORT TOPIC TEXT */
#include <millrace/client.h>

int main(int count, char **arguments)
{
    struct millrace_client_options options = {.size = sizeof options};
    struct millrace_record record = {.size = sizeof record};
    struct millrace_client *client = NULL;
    struct millrace_producer *producer = NULL;
    struct millrace_delivery delivery;
    struct millrace_error error;
    if (count != 4)
        return 2;
    options.bootstrap = millrace_text(arguments[1]);
    record.topic = millrace_text(arguments[2]);
    record.value = millrace_text(arguments[3]);
    if (millrace_client_open(&options, &client, &error) ||
        millrace_producer_open(client, NULL, &producer, &error) ||
        millrace_producer_send_wait(producer, &record, 10000, &delivery, &error))
        millrace_error_print(&error, stderr);
    else
        printf("partition %d offset %lld\n", (int)delivery.partition, (long long)delivery.offset);
    millrace_producer_close(producer, 1000, NULL);
    return millrace_client_close(client, 1000, NULL) || error.code;
}
