/* Which broker speaks over a connection: when that connection breaks, the broker is gone, and the
 * controller hears of it at once instead of after the session's time.
 *
 * Owner: the connection. Loop: its shard's. */
#pragma once

#include "broker/api/request.h"

/* The broker of a registration or heartbeat that was accepted. */
void broker_session_note(struct request *request, int32_t broker_id, int64_t broker_epoch);
/* For connection_options.on_closed; the connection's context is its api_shard. */
void broker_session_on_closed(struct connection *connection);
