/* Goal: no bytes in an internal topic or in a ledger's snapshot break a coordinator, and what a
 * machine keeps of them is what its own snapshot brings back.
 * Method: the first byte says which machine, and whether the rest is records one after another or a
 * snapshot whose checksum is put right. The machine applies them as a load does, ends transactions
 * in between, and a second one is loaded from its snapshot. */
#include "broker/coordinator/group_book.h"
#include "broker/coordinator/ledger_load.h"
#include "broker/coordinator/ledger_snapshot.h"
#include "broker/coordinator/txn_book.h"
#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"

#include <stdlib.h>
#include <string.h>

#define SNAPSHOT_CHECKSUM_OFFSET 6U
#define SNAPSHOT_CHECKSUMMED_FROM 10U

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static int64_t still(struct clock *self)
{
    (void)self;
    return 0;
}

static void drop_line(struct trace *self, enum trace_level level, const char *line,
                      size_t byte_count)
{
    (void)self;
    (void)level;
    (void)line;
    (void)byte_count;
}

/* A ledger that only has a loop: machines ask it for nothing else while they load. */
static struct clock clock_of_run = {.monotonic_ns = still, .wall_ms = still};
static struct trace trace_of_run = {.write_line = drop_line};
static struct loop loop_of_run;
static struct ledger ledger_of_run;

static const struct group_limits group_limits = {.session_ms_min = 1,
                                                 .session_ms_max = 1000000,
                                                 .member_count_max = 1000,
                                                 .metadata_bytes_max = 4096,
                                                 .retention_ms = 1000,
                                                 .retention_check_ms = 1000};
static const struct txn_limits txn_limits = {
    .timeout_ms_max = 1000, .sweep_ms = 1000, .expiration_ms = 1000, .expiry_check_ms = 1000};
static struct txn_context txn_context = {.limits = &txn_limits};

static struct ledger_kind kind_of(uint8_t choice)
{
    return (choice & 1) == 0 ? group_kind(&group_limits) : txn_kind(&txn_context);
}

static void *open_machine(const struct ledger_kind *kind)
{
    loop_of_run.clock = &clock_of_run;
    loop_of_run.trace = &trace_of_run;
    timer_queue_init(&loop_of_run.timers, &clock_of_run, NULL);
    ledger_of_run.magic = LEDGER_MAGIC;
    ledger_of_run.options.loop = &loop_of_run;
    return kind->open(kind->context, &ledger_of_run);
}

/* The records that a machine keeps, as a snapshot. */
static uint8_t *keep(const struct ledger_kind *kind, void *machine, size_t *out_byte_count,
                     int64_t *out_record_count)
{
    struct ledger_snapshot_writer writer;
    ledger_snapshot_begin(&writer);
    kind->snapshot(machine, &writer);
    *out_record_count = writer.record_count;
    struct ledger_snapshot_head head = {.partition = 0, .leader_epoch = 0, .next_offset = 1};
    uint8_t *bytes = NULL;
    check(ledger_snapshot_finish(&writer, &head, &bytes, out_byte_count) == STATUS_OK);
    return bytes;
}

/* OK only when every record was read. */
static enum status load(const struct ledger_kind *kind, void *machine, const uint8_t *bytes,
                        size_t byte_count)
{
    struct ledger_snapshot_head head;
    struct wire_reader reader;
    struct ledger_record record;
    TRY(ledger_snapshot_open(bytes, byte_count, &head, &reader));
    enum status status;
    while ((status = ledger_snapshot_next(&reader, &record)) == STATUS_OK) {
        kind->apply(machine, &record);
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* What comes back from a snapshot is the same, and stays the same. */
static void hold(const struct ledger_kind *kind, void *machine)
{
    size_t byte_count[2];
    int64_t record_count[2];
    uint8_t *bytes[2];
    bytes[0] = keep(kind, machine, &byte_count[0], &record_count[0]);
    void *twin = open_machine(kind);
    check(load(kind, twin, bytes[0], byte_count[0]) == STATUS_OK);
    bytes[1] = keep(kind, twin, &byte_count[1], &record_count[1]);
    check(byte_count[0] == byte_count[1]);
    check(record_count[0] == record_count[1]);
    kind->close(twin);
    free(bytes[0]);
    free(bytes[1]);
}

static uint32_t take_number(const uint8_t **bytes, size_t *byte_count)
{
    if (*byte_count < 2) {
        *byte_count = 0;
        return 0;
    }
    uint32_t number = (uint32_t)((*bytes)[0] << 8 | (*bytes)[1]);
    *bytes += 2;
    *byte_count -= 2;
    return number;
}

static struct wire_bytes take_bytes(const uint8_t **bytes, size_t *byte_count, uint32_t length)
{
    length = length < *byte_count ? length : (uint32_t)*byte_count;
    struct wire_bytes taken = {*bytes, (int32_t)length};
    *bytes += length;
    *byte_count -= length;
    return taken;
}

/* Each: lengths of key and value (65535: null), a producer (0: none), then both. Length of the key
 * 65535: a transaction of that producer ends. */
static void feed_records(const struct ledger_kind *kind, void *machine, const uint8_t *bytes,
                         size_t byte_count)
{
    int64_t offset = 0;
    while (byte_count > 0) {
        uint32_t key_bytes = take_number(&bytes, &byte_count);
        uint32_t value_bytes = take_number(&bytes, &byte_count);
        uint32_t producer = take_number(&bytes, &byte_count);
        if (key_bytes == UINT16_MAX) {
            kind->end_txn(machine, producer % 4, producer % 8 < 4);
            continue;
        }
        struct ledger_record record = {
            .offset = offset, .producer_id = producer % 4 == 0 ? -1 : (int64_t)(producer % 4)};
        record.key = take_bytes(&bytes, &byte_count, key_bytes);
        record.value = value_bytes == UINT16_MAX ? (struct wire_bytes){NULL, -1}
                                                 : take_bytes(&bytes, &byte_count, value_bytes);
        kind->apply(machine, &record);
        offset += 1;
    }
}

static void feed_snapshot(const struct ledger_kind *kind, void *machine, const uint8_t *bytes,
                          size_t byte_count)
{
    uint8_t *copy = malloc(byte_count + 1);
    check(copy != NULL);
    memcpy(copy, bytes, byte_count);
    if (byte_count > SNAPSHOT_CHECKSUMMED_FROM) {
        uint32_t checksum = __builtin_bswap32(
            crc32c(0, copy + SNAPSHOT_CHECKSUMMED_FROM, byte_count - SNAPSHOT_CHECKSUMMED_FROM));
        memcpy(copy + SNAPSHOT_CHECKSUM_OFFSET, &checksum, sizeof checksum);
    }
    status_ignore(load(kind, machine, copy, byte_count), "damage is expected");
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    if (byte_count < 1 || byte_count > 65536) {
        return 0;
    }
    struct ledger_kind kind = kind_of(bytes[0]);
    void *machine = open_machine(&kind);
    if ((bytes[0] & 2) == 0) {
        feed_records(&kind, machine, bytes + 1, byte_count - 1);
    } else {
        feed_snapshot(&kind, machine, bytes + 1, byte_count - 1);
    }
    hold(&kind, machine);
    kind.close(machine);
    return 0;
}
