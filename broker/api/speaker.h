/* Who speaks over a connection: when it breaks, whoever watches over them hears of it at once
 * instead of after a session's time.
 *
 * A broker is told to the controller, a member of the processors' group to the coordinator. What is
 * told names the connection by a number that no other one of this process ever has, so that the end
 * of an old connection says nothing of somebody who speaks over a new one.
 *
 * Owner: the connection. Loop: its shard's. Limits: SPEAKER_MEMBERS_MAX members. */
#pragma once

#include "broker/api/request.h"
#include "broker/coordinator/group.h"

/* Of those that spoke over one connection; the latest count. */
#define SPEAKER_MEMBERS_MAX 4U

/* The number of the request's connection; 0: it has none, and its end will not be told. */
uint64_t speaker_number(struct request *request);
/* The broker of a registration or heartbeat that was accepted. */
void speaker_note_broker(struct request *request, int32_t broker_id, int64_t broker_epoch);
/* The member of a call that was answered and wants to be watched; else nothing happens. */
void speaker_note_member(struct request *request, const struct group_call *call,
                         struct wire_text group_id, struct wire_text member_id);
/* For connection_options.on_closed; the connection's context is its api_shard. */
void speaker_on_closed(struct connection *connection);
