/* Goal: no sequence of reads leaves the input, whatever the bytes say.
 * Method: the first byte says how many reads follow it, each byte of them is one kind of read, the
 * rest is what they read. After each read the invariants of the reader hold, and what it handed
 * out lies in the input. */
#include "proto/sys/check.h"
#include "proto/wire/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static volatile uint8_t sink;

/* Touches the run, so that a sanitizer sees it. */
static void check_run(const struct wire_reader *before, const void *run, int32_t byte_count)
{
    check(byte_count >= -1);
    check(byte_count < 0 || (size_t)byte_count <= wire_reader_left(before));
    for (int32_t i = 0; i < byte_count; i++) {
        sink = ((const uint8_t *)run)[i];
    }
}

static void read_number(struct wire_reader *reader, uint8_t kind)
{
    switch (kind % 12) {
    case 0:
        wire_read_int8(reader);
        break;
    case 1:
        wire_read_int16(reader);
        break;
    case 2:
        wire_read_uint16(reader);
        break;
    case 3:
        wire_read_int32(reader);
        break;
    case 4:
        wire_read_uint32(reader);
        break;
    case 5:
        wire_read_int64(reader);
        break;
    case 6:
        wire_read_float64(reader);
        break;
    case 7:
        wire_read_uuid(reader);
        break;
    case 8:
        wire_read_uvarint32(reader);
        break;
    case 9:
        wire_read_uvarint64(reader);
        break;
    case 10:
        wire_read_varint32(reader);
        break;
    default:
        wire_read_varint64(reader);
        break;
    }
}

static void read_sized(struct wire_reader *reader, uint8_t kind)
{
    struct wire_reader before = *reader;
    bool is_flexible = (kind & 4) != 0;
    bool may_be_null = (kind & 8) != 0;
    struct wire_text text = {0};
    struct wire_bytes run = {0};
    struct wire_records records = {0};
    int32_t count = 0;
    size_t element_bytes_min = (size_t)(kind >> 4) + 1;
    switch (kind & 3) {
    case 0:
        text = wire_read_text(reader, is_flexible, may_be_null);
        check_run(&before, text.bytes, text.byte_count);
        break;
    case 1:
        run = wire_read_bytes(reader, is_flexible, may_be_null);
        check_run(&before, run.bytes, run.byte_count);
        break;
    case 2:
        records = wire_read_records(reader, is_flexible, may_be_null);
        check_run(&before, records.single.base, records.byte_count);
        break;
    default:
        count = wire_read_count(reader, is_flexible, may_be_null, element_bytes_min);
        check(count >= -1);
        check(count < 0 || (size_t)count * element_bytes_min <= wire_reader_left(reader));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    size_t read_count = byte_count == 0 ? 0 : bytes[0];
    if (byte_count < 1 + read_count) {
        return 0;
    }
    struct wire_reader reader;
    wire_reader_init(&reader, bytes + 1 + read_count, byte_count - 1 - read_count);
    for (size_t i = 0; i < read_count; i++) {
        size_t left = wire_reader_left(&reader);
        enum status status = wire_reader_status(&reader);
        uint8_t kind = bytes[1 + i];
        if (kind % 2 == 0) {
            read_number(&reader, kind / 2);
        } else {
            read_sized(&reader, kind / 2);
        }
        check(wire_reader_left(&reader) <= left);
        check(wire_reader_status(&reader) == STATUS_OK || wire_reader_left(&reader) == 0);
        check(status == STATUS_OK || wire_reader_status(&reader) == status);
    }
    return 0;
}
