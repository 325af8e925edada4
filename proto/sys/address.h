/* Where a stream leads: a host, by name or number, and a port.
 *
 * Owner: whoever embeds it; a plain value. Loop: any. Limits: ADDRESS_HOST_BYTES_MAX. */
#pragma once

#include "proto/sys/status.h"

#include <stdbool.h>
#include <stdint.h>

#define ADDRESS_HOST_BYTES_MAX 256U

struct address {
    char host[ADDRESS_HOST_BYTES_MAX]; /* A name or a numeric address, NUL-terminated. */
    uint16_t port;                     /* 0 when listening: the system chooses. */
};

/* "host:port" or "[v6]:port". STATUS_MALFORMED leaves `out_address` untouched. */
MUST_USE enum status address_parse(const char *text, struct address *out_address);

/* Nobody on another host can come that way. A name other than localhost may lead anywhere. */
bool address_is_loopback(const struct address *self);
