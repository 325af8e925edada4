#include "broker/api/broker_session.h"

#include "broker/api/dispatch.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define BROKER_SESSION_MAGIC 0xb40ce5e5U

struct broker_session {
    uint32_t magic;
    struct mail mail; /* To the quorum's loop, when the connection is gone. */
    struct controller *controller;
    int32_t broker_id;
    int64_t broker_epoch;
};

void broker_session_note(struct request *request, int32_t broker_id, int64_t broker_epoch)
{
    struct connection *connection = connection_of(request->ticket);
    if (connection == NULL) {
        return; /* Gone while it was decided; the session's time will tell. */
    }
    struct broker_session *self = connection_data(connection);
    if (self == NULL) {
        self = calloc(1, sizeof *self);
        if (self == NULL) {
            return; /* Then the session's time decides. */
        }
        self->magic = BROKER_SESSION_MAGIC;
        self->controller = request->shard->node->controller;
        connection_set_data(connection, self);
    }
    check(self->magic == BROKER_SESSION_MAGIC);
    self->broker_id = broker_id;
    self->broker_epoch = broker_epoch;
}

static void lost_deliver(struct mail *mail)
{
    struct broker_session *self = container_of(mail, struct broker_session, mail);
    check(self->magic == BROKER_SESSION_MAGIC);
    controller_broker_lost(self->controller, self->broker_id, self->broker_epoch);
    free(self);
}

void broker_session_on_closed(struct connection *connection)
{
    struct broker_session *self = connection_data(connection);
    if (self == NULL) {
        return;
    }
    struct api_shard *shard = connection_context(connection);
    connection_set_data(connection, NULL);
    if (shard->node->is_stopping) {
        free(self); /* We are the ones who go. */
        return;
    }
    self->mail.deliver = lost_deliver;
    mailbox_post(&shard->node->quorum_loop->mailbox, &self->mail);
}
