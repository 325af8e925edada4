/* What the listener needs of a connection besides the door: a place in its list.
 *
 * Owner: the listener. Loop: the connection's. */
#pragma once

#include "proto/frame/connection.h"
#include "proto/sys/list.h"

/* In no list at first. */
struct list *connection_link(struct connection *self);
struct connection *connection_of_link(struct list *link);
