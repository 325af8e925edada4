/* What stands in front of every request and of every answer, in the right one of its versions.
 *
 * Which version follows from the API key and version, which stand first in every request header.
 * The header's tag section is skipped, nothing in it is known yet.
 *
 * Owner: the caller. Loop: any. */
#pragma once

#include "proto/kafka/header.h"

/* STATUS_UNSUPPORTED for an API key that is not in the table nor private, STATUS_MALFORMED for
 * bytes that are no header; both close the connection. Whether the version is served is not looked
 * at. The client id points into the input and may be null. */
MUST_USE enum status request_header_decode(struct wire_reader *reader,
                                           struct kafka_request_header *out);
/* For the side that asks. Failures are the writer's. */
void request_header_encode(const struct kafka_request_header *in, struct wire_writer *writer);
/* In front of the answer to `request`. */
void request_header_encode_response(const struct kafka_request_header *request,
                                    struct wire_writer *writer);
/* The header of the answer to `request`: fails with STATUS_MALFORMED for another correlation. */
MUST_USE enum status request_header_decode_response(struct wire_reader *reader,
                                                    const struct kafka_request_header *request);
