#include "proto/frame/frame_metrics.h"

void frame_metrics_register(struct frame_metrics *self, struct metric_table *table)
{
    self->connection_count = metric_register(table, "kafka_server_socket_connection_count",
                                             "Connections that are open now.");
    self->connection_refused_total =
        metric_register(table, "kafka_server_socket_connection_refused_total",
                        "Connections that were not taken because there were too many.");
    self->connection_broken_total =
        metric_register(table, "kafka_server_socket_connection_broken_total",
                        "Connections that were closed because of what the peer sent.");
    self->frame_total =
        metric_register(table, "kafka_network_request_total", "Requests that were received whole.");
    self->read_bytes_total = metric_register(table, "kafka_server_socket_incoming_byte_total",
                                             "Bytes received from clients and brokers.");
    self->written_bytes_total = metric_register(table, "kafka_server_socket_outgoing_byte_total",
                                                "Bytes of answers that were sent.");
}
