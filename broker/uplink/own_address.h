/* Whether another process lives at this voter's own address: who works on a copy of a voter's data
 * directory hears no leader, since the other voters speak to the address in their list.
 *
 * As long as no leader was heard, this process asks at that address, the one that
 * controller.quorum.voters gives it, who is there. Itself: fine. Nobody: fine, too; a process that
 * died does not answer, so a restart is not held up. Another process with the same node id, and
 * that for as long as a stopping one may take: this one is the second, and has to go. A leader
 * heard ends the asking for good: from then on the others speak to this process.
 *
 * | bytes of the request (private key OWN_ADDRESS_KEY, version 0) | |
 * |---|---|
 * | 4 | node id of who asks |
 *
 * | bytes of the answer | |
 * |---|---|
 * | 4 | node id |
 * | 16 | incarnation: random, of this process |
 *
 * Owner: the broker. Loop: the quorum's. Limits: one question at a time. */
#pragma once

#include "client/link.h"
#include "proto/kafka/api_key.h"
#include "proto/wire/reader.h"

#define OWN_ADDRESS_KEY (API_KEY_PRIVATE_MIN + 0x12)

struct own_address;

struct own_address_options {
    struct loop *loop;
    int32_t node_id;
    struct wire_uuid incarnation_id; /* Of this process. */
    struct address address;          /* As the other voters know it. Copied. */
    int64_t patience_ms;             /* How long another one may be seen. */
    bool (*has_leader)(void *context);
    /* Another one is this voter. Once; nothing is asked any more. */
    void (*on_other)(void *context);
    void *context;
};

MUST_USE enum status own_address_new(const struct own_address_options *options,
                                     struct own_address **out_self);
void own_address_close(struct own_address *self, void (*on_closed)(void *context), void *context);
