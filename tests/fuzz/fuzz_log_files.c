/* Goal: no file of a data directory, however damaged, is read past its end or believed out of
 * order; what is believed can be written again and says the same then. Method: the first byte
 * chooses the format, the rest is the file. */
#include "broker/log/checkpoint_file.h"
#include "broker/log/epoch_file.h"
#include "broker/log/log_name.h"
#include "broker/log/meta_properties.h"
#include "broker/log/partition_metadata.h"
#include "broker/log/rebuild.h"
#include "broker/log/snapshot_file.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define BASE_OFFSET 100
#define NAME_BYTES_MAX 300U

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static void read_offset_index(const uint8_t *bytes, size_t byte_count)
{
    struct offset_index index;
    offset_index_init(&index, BASE_OFFSET, OFFSET_INDEX_ENTRIES_MAX);
    if (offset_index_load(&index, bytes, byte_count, UINT32_MAX) == STATUS_OK) {
        uint8_t *written = malloc(byte_count + 1);
        check(written != NULL);
        offset_index_encode(&index, 0, index.entry_count, written);
        check(memcmp(written, bytes, byte_count) == 0);
        free(written);
        for (uint32_t i = 1; i < index.entry_count; i++) {
            check(index.entries[i].relative_offset > index.entries[i - 1].relative_offset);
            check(index.entries[i].position > index.entries[i - 1].position);
        }
        offset_index_truncate(&index, BASE_OFFSET + 50);
        check(offset_index_floor(&index, INT64_MAX) <= INT32_MAX);
    }
    offset_index_done(&index);
}

static void read_time_index(const uint8_t *bytes, size_t byte_count)
{
    struct time_index index;
    time_index_init(&index, BASE_OFFSET, TIME_INDEX_ENTRIES_MAX);
    if (time_index_load(&index, bytes, byte_count, INT64_MAX) == STATUS_OK) {
        uint8_t *written = malloc(byte_count + 1);
        check(written != NULL);
        time_index_encode(&index, 0, index.entry_count, written);
        check(memcmp(written, bytes, byte_count) == 0);
        free(written);
        struct time_index_entry last = time_index_floor(&index, INT64_MAX);
        check(last.timestamp_ms == index.largest.timestamp_ms);
        time_index_truncate(&index, BASE_OFFSET + 50);
        check(time_index_floor(&index, INT64_MAX).offset < BASE_OFFSET + 50 ||
              index.entry_count == 0);
    }
    time_index_done(&index);
}

static void read_txn_index(const uint8_t *bytes, size_t byte_count)
{
    struct txn_index index;
    txn_index_init(&index, BASE_OFFSET);
    if (txn_index_load(&index, bytes, byte_count, INT64_MAX) == STATUS_OK) {
        uint8_t *written = malloc(byte_count + 1);
        check(written != NULL);
        txn_index_encode(&index, 0, index.entry_count, written);
        check(memcmp(written, bytes, byte_count) == 0);
        free(written);
        struct log_aborted_txn found[4];
        struct txn_index_search search = {
            .offset = 120, .offset_limit = 150, .found = found, .found_count_max = 4};
        status_ignore(txn_index_collect(&index, &search), "either is fine");
        for (uint32_t i = 0; i < search.found_count; i++) {
            check(found[i].last_offset >= 120);
            check(found[i].first_offset < 150);
        }
    }
    txn_index_done(&index);
}

static void read_ingest_index(const uint8_t *bytes, size_t byte_count)
{
    struct ingest_index index;
    ingest_index_init(&index, BASE_OFFSET, INGEST_INDEX_BYTES_MAX);
    if (ingest_index_load(&index, bytes, byte_count) == STATUS_OK) {
        check(index.sealed_byte_count == byte_count);
        for (int64_t offset = 0; offset < 500; offset++) {
            check(ingest_index_find(&index, offset) >= INGEST_INDEX_UNKNOWN);
        }
        ingest_index_truncate(&index, BASE_OFFSET + 50);
        check(ingest_index_append(&index, BASE_OFFSET + 50, 77) == STATUS_OK);
        check(ingest_index_find(&index, INT32_MAX) == 77);
        ingest_index_seal(&index);
        struct ingest_index again;
        ingest_index_init(&again, BASE_OFFSET, INGEST_INDEX_BYTES_MAX);
        check(ingest_index_load(&again, index.bytes, index.sealed_byte_count) == STATUS_OK);
        for (int64_t offset = 0; offset < 500; offset++) {
            check(ingest_index_find(&again, offset) == ingest_index_find(&index, offset));
        }
        ingest_index_done(&again);
    }
    ingest_index_done(&index);
}

static void read_epoch_file(const uint8_t *bytes, size_t byte_count)
{
    struct epoch_history history;
    struct epoch_history again;
    epoch_history_init(&history);
    epoch_history_init(&again);
    if (epoch_file_decode(bytes, byte_count, &history) == STATUS_OK) {
        uint8_t *written = NULL;
        size_t written_count = 0;
        check(epoch_file_encode(&history, &written, &written_count) == STATUS_OK);
        check(epoch_file_decode(written, written_count, &again) == STATUS_OK);
        check(again.entry_count == history.entry_count);
        check(epoch_history_latest(&again) == epoch_history_latest(&history));
        free(written);
    }
    epoch_history_done(&history);
    epoch_history_done(&again);
}

static void read_snapshot_file(const uint8_t *bytes, size_t byte_count)
{
    struct snapshot_file_row *rows = NULL;
    uint32_t row_count = 0;
    if (snapshot_file_decode(bytes, byte_count, &rows, &row_count) != STATUS_OK) {
        return;
    }
    uint8_t *written = NULL;
    size_t written_count = 0;
    check(snapshot_file_encode(rows, row_count, &written, &written_count) == STATUS_OK);
    check(written_count == byte_count);
    struct producer_rows producers;
    producer_rows_init(&producers);
    check(producer_rows_load(&producers, rows, row_count) == STATUS_OK);
    check(producers.row_count == row_count);
    producer_rows_done(&producers);
    free(written);
    free(rows);
}

static void read_checkpoint_file(const uint8_t *bytes, size_t byte_count)
{
    struct checkpoint_file_row *rows = NULL;
    uint32_t row_count = 0;
    if (checkpoint_file_decode(bytes, byte_count, &rows, &row_count) != STATUS_OK) {
        return;
    }
    uint8_t *written = NULL;
    size_t written_count = 0;
    check(checkpoint_file_encode(rows, row_count, &written, &written_count) == STATUS_OK);
    struct checkpoint_file_row *again = NULL;
    uint32_t again_count = 0;
    check(checkpoint_file_decode(written, written_count, &again, &again_count) == STATUS_OK);
    check(again_count == row_count);
    free(again);
    free(written);
    free(rows);
}

static void read_small_texts(const uint8_t *bytes, size_t byte_count)
{
    struct wire_uuid topic_id;
    if (partition_metadata_decode(bytes, byte_count, &topic_id) == STATUS_OK) {
        uint8_t written[PARTITION_METADATA_BYTES];
        partition_metadata_encode(&topic_id, written);
        check(memcmp(written, "version: 0\n", 11) == 0);
    }
    struct meta_properties properties;
    if (meta_properties_decode(bytes, byte_count, &properties) == STATUS_OK) {
        char written[META_PROPERTIES_BYTES_MAX];
        size_t written_count = meta_properties_encode(&properties, written);
        struct meta_properties again;
        check(meta_properties_decode((const uint8_t *)written, written_count, &again) == STATUS_OK);
        check(strcmp(properties.cluster_id, again.cluster_id) == 0);
        check(strcmp(properties.directory_id, again.directory_id) == 0);
        check(properties.node_id == again.node_id);
    }
}

static void read_name(const uint8_t *bytes, size_t byte_count)
{
    char name[NAME_BYTES_MAX + 1];
    size_t name_bytes = byte_count < NAME_BYTES_MAX ? byte_count : NAME_BYTES_MAX;
    memcpy(name, bytes, name_bytes);
    name[name_bytes] = 0;
    char written[LOG_NAME_BYTES_MAX + 1];
    struct log_name_parts parts;
    if (log_name_parse_file(name, &parts)) {
        log_name_of_file(parts.offset, parts.file, parts.state, written);
        check(strcmp(written, name) == 0);
    }
    struct log_name_directory directory;
    if (log_name_parse_directory(name, &directory) && directory.state == LOG_NAME_LIVE) {
        check(log_name_of_directory(directory.topic_name, directory.partition, written) ==
              STATUS_OK);
        check(strcmp(written, name) == 0);
    }
}

static void read_segment(const uint8_t *bytes, size_t byte_count)
{
    struct index_set indexes;
    struct producer_rows producers;
    struct epoch_history epochs;
    index_set_init(&indexes, 0, 512);
    producer_rows_init(&producers);
    epoch_history_init(&epochs);
    struct rebuild rebuild = {.indexes = &indexes, .producers = &producers, .epochs = &epochs};
    rebuild_begin(&rebuild);
    size_t taken = 0;
    status_ignore(rebuild_walk(&rebuild, bytes, byte_count, &taken), "either is fine");
    check(taken <= byte_count);
    check(rebuild.position == taken);
    check(index_set_seal(&indexes) == STATUS_OK);
    uint8_t *written = NULL;
    size_t written_count = 0;
    check(snapshot_file_encode(producers.rows, producers.row_count, &written, &written_count) ==
          STATUS_OK);
    struct snapshot_file_row *rows = NULL;
    uint32_t row_count = 0;
    check(snapshot_file_decode(written, written_count, &rows, &row_count) == STATUS_OK);
    check(row_count == producers.row_count);
    free(rows);
    free(written);
    index_set_done(&indexes);
    producer_rows_done(&producers);
    epoch_history_done(&epochs);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    static void (*const readers[])(const uint8_t *bytes, size_t byte_count) = {
        read_offset_index, read_time_index,      read_txn_index,   read_ingest_index,
        read_epoch_file,   read_snapshot_file,   read_small_texts, read_name,
        read_segment,      read_checkpoint_file,
    };
    if (byte_count == 0) {
        return 0;
    }
    /* A copy of its own, so that the sanitizer sees a read behind it. */
    uint8_t *copy = malloc(byte_count);
    check(copy != NULL);
    memcpy(copy, bytes, byte_count);
    readers[copy[0] % (sizeof readers / sizeof readers[0])](copy + 1, byte_count - 1);
    free(copy);
    return 0;
}
