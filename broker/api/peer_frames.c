#include "broker/api/peer_frames.h"

#include "proto/sys/check.h"
#include "raft/peer_transport.h"

#include <stdlib.h>

struct peer_frame {
    struct mail mail;
    struct quorum_peers *peers;
    struct frame *frame;
};

static void take_deliver(struct mail *mail)
{
    struct peer_frame *self = container_of(mail, struct peer_frame, mail);
    peer_transport_receive(self->peers, self->frame->bytes, self->frame->byte_count);
    frame_unref(self->frame);
    free(self);
}

void peer_frames_take(struct api_shard *shard, struct frame *frame, struct ticket *ticket)
{
    struct api_node *node = shard->node;
    connection_forget(ticket);
    struct peer_frame *self = node->peers == NULL ? NULL : calloc(1, sizeof *self);
    if (self == NULL) {
        frame_unref(frame); /* Raft says it again. */
        return;
    }
    self->peers = node->peers;
    self->frame = frame;
    self->mail.deliver = take_deliver;
    mailbox_post(&node->quorum_loop->mailbox, &self->mail);
}
