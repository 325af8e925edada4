/* Names in a data directory, as Kafka gives them.
 *
 *   <topic>-<partition>                     a partition's directory
 *   <topic>-<partition>.<32 hex>-delete     the same, waiting for its removal; the topic is cut so
 *                                           that the name has at most 255 bytes
 *   <topic>-<partition>.<32 hex>-future     a copy in the making, -stray one that nobody wants
 *   00000000000000000100.log                a segment by its base offset, in 20 digits; also
 *                                           .index .timeindex .txnindex .ingest .snapshot
 *   00000000000000000100.log.deleted        a file waiting for its removal
 *   00000000000000000100.log.cleaned        compaction's unfinished and unswapped output:
 *   00000000000000000100.log.swap           .cleaned is removed at start, .swap is put in place
 *
 * Owner: none. Loop: any. Limits: LOG_NAME_BYTES_MAX. */
#pragma once

#include "proto/sys/status.h"
#include "proto/wire/reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_NAME_BYTES_MAX 255U
#define LOG_NAME_TOPIC_BYTES_MAX 249U
#define LOG_NAME_CLEAN_MARK ".kafka_cleanshutdown"

enum log_name_file {
    LOG_NAME_LOG,
    LOG_NAME_INDEX,
    LOG_NAME_TIMEINDEX,
    LOG_NAME_TXNINDEX,
    LOG_NAME_INGEST,
    LOG_NAME_SNAPSHOT,
};
#define LOG_NAME_FILE_COUNT 6U

enum log_name_state {
    LOG_NAME_LIVE,
    LOG_NAME_DELETED, /* `.deleted` of a file, `-delete` of a directory. */
    LOG_NAME_CLEANED, /* Files only, as is SWAP. */
    LOG_NAME_SWAP,
    LOG_NAME_FUTURE, /* Directories only, as is STRAY. */
    LOG_NAME_STRAY,
};

struct log_name_directory {
    char topic_name[LOG_NAME_TOPIC_BYTES_MAX + 1]; /* May be cut when not LIVE. */
    int32_t partition;
    enum log_name_state state;
};

struct log_name_parts {
    int64_t offset; /* Base offset, or the end that a snapshot is of. */
    enum log_name_file file;
    enum log_name_state state;
};

/* Kafka's rule: 1 to 249 of a-z A-Z 0-9 . _ -, and neither "." nor "..". */
bool log_name_is_topic(const char *name, size_t byte_count);

/* False: no name of that kind (another file of the directory). */
MUST_USE bool log_name_parse_directory(const char *name, struct log_name_directory *out_directory);
MUST_USE bool log_name_parse_file(const char *name, struct log_name_parts *out_parts);

/* `out_name` has room for LOG_NAME_BYTES_MAX + 1. INVALID: the longest topics leave five digits to
 * the partition, as in Kafka. */
MUST_USE enum status log_name_of_directory(const char *topic_name, int32_t partition,
                                           char *out_name);
/* `unique` keeps two lives of one name apart. */
void log_name_of_deleted_directory(const char *topic_name, int32_t partition,
                                   const struct wire_uuid *unique, char *out_name);
/* Of one that nobody deleted, nor wants; Kafka's suffix. It parses as no log's directory. */
void log_name_of_stray_directory(const char *topic_name, int32_t partition,
                                 const struct wire_uuid *unique, char *out_name);
void log_name_of_file(int64_t offset, enum log_name_file file, enum log_name_state state,
                      char *out_name);
