/* Records in, reports out: batches per partition, sent to their leaders until they are in the log.
 *
 * A record waits until its topic is known, is appended to its partition's open batch, and leaves
 * with a request that gathers one batch of each ready partition that a broker leads. Whatever ends
 * an attempt, the batch is sent again with the same sequences until it is in the log, is refused
 * for good, or its time is over; so a report of success means exactly once and in order.
 *
 * Owner: whoever embeds it. Loop: the options'. Limits: `buffer_bytes_max` of records not yet
 * reported; five requests per broker on the wire. */
#pragma once

#include "client/accumulator.h"
#include "client/cluster.h"

struct producer_delivery {
    enum status status; /* OK: in the log. */
    int16_t error_code; /* What the broker said, when it refused for good; else 0. */
    int32_t partition;  /* -1: none was chosen. */
    int64_t offset;     /* -1: not told. */
    int64_t timestamp_ms;
    uint64_t number;     /* As given. */
    void *tag;           /* As given. */
    uint32_t byte_count; /* As counted against the buffer. */
};

struct producer_topic;

/* Who says when batches of a transaction may leave: txn_core. */
struct producer_gate {
    /* False: not yet; producer_core_pump() when that has changed. */
    bool (*may_send)(struct producer_gate *self, struct producer_topic *topic, int32_t partition);
    bool is_shut;     /* What is not on the wire is reported as CANCELED instead of sent. */
    bool is_implicit; /* A write adds its partition to the transaction: Produce 12. */
};

struct producer_core_options {
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id; /* Borrowed for life. */
    enum compression_codec codec;
    int64_t linger_ms;
    size_t batch_bytes_max;
    size_t record_bytes_max;
    size_t buffer_bytes_max;
    int64_t request_timeout_ms;
    int64_t delivery_timeout_ms;
    const char *transactional_id; /* Borrowed for life; NULL: none. */
    int64_t transaction_timeout_ms;
    struct producer_gate *gate; /* Borrowed for life. Needed with a transactional id, which leaves
                                   the identity to the gate's owner; else NULL. */
    /* Once per record; may send, not close. */
    void (*on_delivery)(void *context, const struct producer_delivery *delivery);
    void (*on_closed)(void *context);
    void *context;
};

struct producer_record {
    struct wire_text topic;
    int32_t partition; /* -1: by key, or any. */
    struct batch_builder_record record;
    void *tag;
    uint64_t number;
    bool is_urgent; /* Does not linger. */
};

struct producer_core {
    uint32_t magic;
    struct producer_core_options options;
    struct cluster cluster;
    struct compressor compressor;
    struct list topics; /* struct producer_topic. */
    struct list calls;  /* Produce requests on the wire. */
    size_t buffered_bytes;
    struct ask identity; /* InitProducerId. */
    bool is_identifying;
    struct retry identity_retry;
    int64_t identity_not_before_ns;
    int64_t producer_id; /* -1: not given yet. */
    int16_t producer_epoch;
    enum status fatal_status; /* Not OK: everything fails with it. */
    int16_t fatal_code;
    struct timer wake;  /* For lingering and delays. */
    struct timer sweep; /* For what is late. */
    struct mail pump_mail;
    bool is_pumping;
    bool is_closing;
    bool has_closed_cluster;
};

void producer_core_init(struct producer_core *self, const struct producer_core_options *options);
/* Reports what is left as CANCELED, or UNKNOWN where it was sent, then on_closed. */
void producer_core_close(struct producer_core *self);

/* Copies the record. FULL: the buffer; INVALID: the record's topic name or size; CANCELED: closing.
 * Then there is no report. */
MUST_USE enum status producer_core_send(struct producer_core *self,
                                        const struct producer_record *record);
/* Nothing of what was sent so far lingers. */
void producer_core_hurry(struct producer_core *self);
/* With a gate: who the producer is from now on. Sequences begin at 0, so nothing may be left of the
 * identity before. */
void producer_core_identify(struct producer_core *self, int64_t producer_id,
                            int16_t producer_epoch);
/* Sends what is ready, in a later turn. For produce_call and gates. */
void producer_core_pump(struct producer_core *self);
/* What a record counts for in the buffer. */
size_t producer_core_record_bytes(const struct producer_record *record);
