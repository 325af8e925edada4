/* A question of a request to the coordinator of a transactional id: there and back.
 *
 * It is a coordinator_call with the memory of its answer; where the coordinator needs a producer id
 * that nobody has, one is taken from the shard's block and the question put again.
 *
 * Owner: the request's state. Loop: the connection's shard. Limits: TXN_ASK_BYTES_MAX an answer. */
#pragma once

#include "broker/api/coordinator_call.h"
#include "broker/coordinator/txn.h"

#define TXN_ASK_BYTES_MAX ((size_t)64 << 20)

struct txn_ask {
    struct txn_call txn; /* `in` and `out` are the caller's. */
    struct request *request;
    enum ledger_fault fault;
    void (*on_answered)(struct txn_ask *self); /* May run inside the post. */
    /* Its own: */
    struct coordinator_call call;
    struct producer_ids_wait wait;
    struct wire_text id;
};

void txn_ask_init(struct txn_ask *self, struct request *request);
void txn_ask_done(struct txn_ask *self);
/* `id` decides which partition is asked. */
void txn_ask_post(struct txn_ask *self, struct wire_text id,
                  enum ledger_verdict (*decide)(struct ledger_op *op, void *machine),
                  void (*on_answered)(struct txn_ask *self));
/* The only ask of its request: sends what was encoded and gives its memory back behind it. */
void txn_ask_send(struct txn_ask *self);
int16_t txn_ask_code(const struct txn_ask *self); /* Of its fault. */
/* Clients that do not know "a newer producer uses the id" are told of a newer epoch. */
int16_t txn_ask_fenced_code(const struct request *request, int16_t code,
                            int16_t version_that_knows);
