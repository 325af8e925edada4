/* libmillrace: writing records.
 *
 * A producer is idempotent: what it reports as delivered is in the log exactly once and, per
 * partition, in the order of the sends, whatever breaks in between. Records are batched per
 * partition and sent by the client's thread; nobody has to poll.
 *
 * Include client.h. Owner: the application. Loop: any thread. Limits: `buffer_bytes`. */
#pragma once

#include "client.h"

#ifdef __cplusplus
extern "C" {
#endif

struct millrace_producer;

enum millrace_compression {
    MILLRACE_COMPRESSION_DEFAULT, /* lz4. */
    MILLRACE_COMPRESSION_NONE,
    MILLRACE_COMPRESSION_GZIP,
    MILLRACE_COMPRESSION_SNAPPY,
    MILLRACE_COMPRESSION_LZ4,
    MILLRACE_COMPRESSION_ZSTD,
};

struct millrace_delivery {
    const struct millrace_error *error; /* NULL: the record is in the log. */
    int32_t partition;                  /* -1: none was chosen yet. */
    int64_t offset;       /* -1 on failure, and where the log has it from a lost first try. */
    int64_t timestamp_ms; /* What the log holds. */
    void *tag;            /* As given to the send. */
};

/* Called once for each record, from the client's thread, per partition in the order of the sends.
 * It must not block; of all functions it may call millrace_producer_send() with timeout 0. */
typedef void millrace_on_delivery(void *context, const struct millrace_delivery *delivery);

struct millrace_producer_options {
    size_t size;
    enum millrace_compression compression;
    int64_t linger_ms;           /* How long a record may wait for others to share its batch. */
    size_t batch_bytes;          /* Of one batch before compression. 0: 256 KiB. */
    size_t record_bytes_max;     /* 0: 1,000,000. */
    size_t buffer_bytes;         /* Of all records not yet delivered. 0: 32 MiB. */
    int64_t delivery_timeout_ms; /* From send to report, retries included. 0: 120,000. */
    millrace_on_delivery *on_delivery; /* May be NULL: then ask millrace_producer_flush(). */
    void *context;
    struct millrace_bytes transactional_id; /* Null: no transactions. */
    int64_t transaction_timeout_ms;         /* After it the coordinator aborts. 0: 60,000. */
};

/* Does not wait. `options` may be NULL. */
MILLRACE_EXPORT int millrace_producer_open(struct millrace_client *client,
                                           const struct millrace_producer_options *options,
                                           struct millrace_producer **out_producer,
                                           struct millrace_error *error);

struct millrace_header {
    struct millrace_bytes key; /* Not null. */
    struct millrace_bytes value;
};

struct millrace_record {
    size_t size;
    struct millrace_bytes topic;
    struct millrace_bytes key;
    struct millrace_bytes value;
    const struct millrace_header *headers;
    size_t header_count;
    bool has_partition; /* Else the key's hash chooses, as Java's clients do; without a key: any. */
    int32_t partition;
    int64_t timestamp_ms; /* 0: now. */
};

/* Copies the record and returns; waits up to `timeout_ms` while the buffer is full. The report
 * comes to on_delivery with `tag`. */
MILLRACE_EXPORT int millrace_producer_send(struct millrace_producer *producer,
                                           const struct millrace_record *record, void *tag,
                                           int64_t timeout_ms, struct millrace_error *error);
/* Sends one record and waits for its report (without `error` and `tag` in it; NULL is allowed).
 * MILLRACE_TIMEOUT: its fate is open, it may still be delivered. */
MILLRACE_EXPORT int millrace_producer_send_wait(struct millrace_producer *producer,
                                                const struct millrace_record *record,
                                                int64_t timeout_ms,
                                                struct millrace_delivery *out_delivery,
                                                struct millrace_error *error);
/* Waits until all records sent before have their reports. Returns the first failure among those
 * reported since the last flush. */
MILLRACE_EXPORT int millrace_producer_flush(struct millrace_producer *producer, int64_t timeout_ms,
                                            struct millrace_error *error);
/* Flushes, then closes and frees in any case; what was not delivered by then is reported as
 * MILLRACE_CANCELED. Returns what the flush found. Accepts NULL. */
MILLRACE_EXPORT int millrace_producer_close(struct millrace_producer *producer, int64_t timeout_ms,
                                            struct millrace_error *error);

/* Transactions, for a producer with a transactional id. The first begin fences all producers of
 * the same id. Sends outside of a transaction are refused. */
MILLRACE_EXPORT int millrace_producer_begin(struct millrace_producer *producer, int64_t timeout_ms,
                                            struct millrace_error *error);

struct millrace_offset {
    struct millrace_bytes topic;
    int32_t partition;
    int64_t offset;       /* The next one to read. */
    int32_t leader_epoch; /* -1: not known. */
};

/* Commits offsets of `group` together with the transaction, whoever reads for it meanwhile: for a
 * consumer that was assigned its partitions, not for a member. */
MILLRACE_EXPORT int millrace_producer_send_offsets(struct millrace_producer *producer,
                                                   struct millrace_bytes group,
                                                   const struct millrace_offset *offsets,
                                                   size_t offset_count, int64_t timeout_ms,
                                                   struct millrace_error *error);
struct millrace_membership; /* See consumer.h. */
/* The same for a member of a group: refused, with error.must_abort, once the group has given its
 * partitions to others, so that what they read is not written twice. */
MILLRACE_EXPORT int millrace_producer_send_offsets_as(struct millrace_producer *producer,
                                                      const struct millrace_membership *member,
                                                      const struct millrace_offset *offsets,
                                                      size_t offset_count, int64_t timeout_ms,
                                                      struct millrace_error *error);
/* Flushes, then commits. error.must_abort: the transaction is not and will not be committed: abort
 * it, then begin the next. So it is when a record or an offset was refused, and when the
 * transaction took longer than transaction_timeout_ms, so that the coordinator has aborted it
 * (INVALID_TXN_STATE, or INVALID_PRODUCER_EPOCH where a write hears it first).
 * MILLRACE_PRODUCER_FENCED, with error.is_fatal: another producer has the transactional id, or a
 * cluster without transaction.version 2 says so of a commit that was late. */
MILLRACE_EXPORT int millrace_producer_commit(struct millrace_producer *producer, int64_t timeout_ms,
                                             struct millrace_error *error);
/* Nothing of the transaction is ever seen by committed readers. MILLRACE_PRODUCER_FENCED: the same
 * is true, but another producer has the id, and this one must be closed. */
MILLRACE_EXPORT int millrace_producer_abort(struct millrace_producer *producer, int64_t timeout_ms,
                                            struct millrace_error *error);

#ifdef __cplusplus
}
#endif
