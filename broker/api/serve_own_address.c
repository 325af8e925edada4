#include "broker/api/serve_own_address.h"

#include "broker/api/dispatch.h"

void serve_own_address(struct request *request)
{
    (void)wire_read_int32(&request->body); /* Who asks needs no other answer than all. */
    if (!request_body_is_whole(request, wire_reader_status(&request->body))) {
        return;
    }
    if (!access_authorize(&request->context, ACCESS_CLUSTER_ACTION, ACCESS_CLUSTER,
                          wire_text_of("kafka-cluster"))) {
        request_close(request, "asking a broker who it is is not allowed");
        return;
    }
    const struct api_node *node = request->shard->node;
    request_begin_answer(request);
    wire_write_int32(&request->writer, node->broker_id);
    wire_write_uuid(&request->writer, &node->incarnation_id);
    request_send(request);
}
