/* Calls to the controller as Kafka's requests, and their answers as results; and what a private
 * forwarding request is called. Pure. */
#pragma once

#include "broker/controller/controller.h"
#include "proto/kafka/api_key.h"
#include "proto/wire/writer.h"

/* A client's request sent on to the active controller: version 0, the body is the client's frame,
 * the answer's body is the frame for the client. */
#define UPLINK_WIRE_FORWARD_KEY (API_KEY_PRIVATE_MIN + 0x10)

struct uplink_wire_version {
    int16_t api_key;
    int16_t api_version;
};

/* False: this kind is not sent on. */
bool uplink_wire_version_of(enum controller_request_kind kind,
                            struct uplink_wire_version *out_version);
void uplink_wire_encode(const struct controller_request *request, struct wire_writer *writer);
/* Fills the command's results. NOT_LEADER: the controller is not there. */
MUST_USE enum status uplink_wire_decode(struct controller_request *request,
                                        struct wire_reader *reader, struct arena *arena);
