#include "broker/log/log_name.h"

#include "broker/log/text_lines.h"
#include "proto/sys/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OFFSET_DIGITS 20U
#define UNIQUE_DIGITS 32U

static const char *const file_suffixes[LOG_NAME_FILE_COUNT] = {
    [LOG_NAME_LOG] = ".log",
    [LOG_NAME_INDEX] = ".index",
    [LOG_NAME_TIMEINDEX] = ".timeindex",
    [LOG_NAME_TXNINDEX] = ".txnindex",
    [LOG_NAME_INGEST] = ".ingest",
    [LOG_NAME_SNAPSHOT] = ".snapshot",
};

/* NULL: no such state of a file, or of a directory. */
static const char *file_state_suffix(enum log_name_state state)
{
    switch (state) {
    case LOG_NAME_LIVE:
        return "";
    case LOG_NAME_DELETED:
        return ".deleted";
    case LOG_NAME_CLEANED:
        return ".cleaned";
    case LOG_NAME_SWAP:
        return ".swap";
    case LOG_NAME_FUTURE:
    case LOG_NAME_STRAY:
        return NULL;
    }
    check_unreachable("a state without a case");
}

static const char *directory_state_suffix(enum log_name_state state)
{
    switch (state) {
    case LOG_NAME_DELETED:
        return "-delete";
    case LOG_NAME_FUTURE:
        return "-future";
    case LOG_NAME_STRAY:
        return "-stray";
    case LOG_NAME_LIVE:
    case LOG_NAME_CLEANED:
    case LOG_NAME_SWAP:
        return NULL;
    }
    check_unreachable("a state without a case");
}

static bool is_hex(const char *text, size_t byte_count)
{
    for (size_t i = 0; i < byte_count; i++) {
        if (text[i] == 0 || strchr("0123456789abcdef", text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool ends_with(const char *text, size_t byte_count, const char *suffix)
{
    size_t suffix_bytes = strlen(suffix);
    return byte_count >= suffix_bytes &&
           memcmp(text + byte_count - suffix_bytes, suffix, suffix_bytes) == 0;
}

bool log_name_is_topic(const char *name, size_t byte_count)
{
    if (byte_count == 0 || byte_count > LOG_NAME_TOPIC_BYTES_MAX ||
        (name[0] == '.' && (byte_count == 1 || (byte_count == 2 && name[1] == '.')))) {
        return false;
    }
    for (size_t i = 0; i < byte_count; i++) {
        char character = name[i];
        bool is_legal = (character >= 'a' && character <= 'z') ||
                        (character >= 'A' && character <= 'Z') ||
                        (character >= '0' && character <= '9') || character == '.' ||
                        character == '_' || character == '-';
        if (!is_legal) {
            return false;
        }
    }
    return true;
}

/* `<topic>-<partition>`, all of it. */
static bool parse_partition(const char *name, size_t byte_count,
                            struct log_name_directory *directory)
{
    const char *dash = memrchr(name, '-', byte_count);
    if (dash == NULL) {
        return false;
    }
    size_t topic_bytes = (size_t)(dash - name);
    struct wire_text digits = {.bytes = dash + 1,
                               .byte_count = (int32_t)(byte_count - topic_bytes - 1)};
    int64_t partition = 0;
    if (!text_lines_number(digits, INT32_MAX, false, &partition)) {
        return false;
    }
    /* A cut topic may come out as "." or empty, which no live one is. */
    if (!log_name_is_topic(name, topic_bytes)) {
        return false;
    }
    memcpy(directory->topic_name, name, topic_bytes);
    directory->topic_name[topic_bytes] = 0;
    directory->partition = (int32_t)partition;
    return true;
}

bool log_name_parse_directory(const char *name, struct log_name_directory *out_directory)
{
    size_t byte_count = strlen(name);
    if (byte_count == 0 || byte_count > LOG_NAME_BYTES_MAX) {
        return false;
    }
    struct log_name_directory directory = {.state = LOG_NAME_LIVE};
    static const enum log_name_state states[] = {LOG_NAME_DELETED, LOG_NAME_FUTURE, LOG_NAME_STRAY};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        const char *suffix = directory_state_suffix(states[i]);
        if (!ends_with(name, byte_count, suffix)) {
            continue;
        }
        /* `.<32 hex>` lies before it. */
        size_t tail_bytes = 1 + UNIQUE_DIGITS + strlen(suffix);
        if (byte_count <= tail_bytes || name[byte_count - tail_bytes] != '.' ||
            !is_hex(name + byte_count - tail_bytes + 1, UNIQUE_DIGITS)) {
            return false;
        }
        byte_count -= tail_bytes;
        directory.state = states[i];
        break;
    }
    if (!parse_partition(name, byte_count, &directory)) {
        return false;
    }
    *out_directory = directory;
    return true;
}

static bool parse_offset(const char *digits, int64_t *out_offset)
{
    int64_t offset = 0;
    for (size_t i = 0; i < OFFSET_DIGITS; i++) {
        if (digits[i] < '0' || digits[i] > '9' || __builtin_mul_overflow(offset, 10, &offset) ||
            __builtin_add_overflow(offset, digits[i] - '0', &offset)) {
            return false;
        }
    }
    *out_offset = offset;
    return true;
}

bool log_name_parse_file(const char *name, struct log_name_parts *out_parts)
{
    struct log_name_parts parts = {0};
    if (strlen(name) <= OFFSET_DIGITS || !parse_offset(name, &parts.offset)) {
        return false;
    }
    const char *suffix = name + OFFSET_DIGITS;
    for (uint32_t file = 0; file < LOG_NAME_FILE_COUNT; file++) {
        size_t file_bytes = strlen(file_suffixes[file]);
        if (strncmp(suffix, file_suffixes[file], file_bytes) != 0) {
            continue;
        }
        for (enum log_name_state state = LOG_NAME_LIVE; state <= LOG_NAME_SWAP; state++) {
            if (strcmp(suffix + file_bytes, file_state_suffix(state)) == 0) {
                parts.file = (enum log_name_file)file;
                parts.state = state;
                *out_parts = parts;
                return true;
            }
        }
    }
    return false;
}

enum status log_name_of_directory(const char *topic_name, int32_t partition, char *out_name)
{
    check(log_name_is_topic(topic_name, strlen(topic_name)));
    check(partition >= 0);
    char name[LOG_NAME_TOPIC_BYTES_MAX + 16];
    int byte_count = snprintf(name, sizeof name, "%s-%" PRId32, topic_name, partition);
    check(byte_count > 0 && byte_count < (int)sizeof name);
    if (byte_count > (int)LOG_NAME_BYTES_MAX) {
        return STATUS_INVALID;
    }
    memcpy(out_name, name, (size_t)byte_count + 1);
    return STATUS_OK;
}

static void name_of_former_directory(const char *topic_name, int32_t partition,
                                     const struct wire_uuid *unique, const char *suffix,
                                     char *out_name)
{
    check(log_name_is_topic(topic_name, strlen(topic_name)));
    check(partition >= 0);
    char tail[64];
    int used = snprintf(tail, sizeof tail, "-%" PRId32 ".", partition);
    for (size_t i = 0; i < sizeof unique->bytes; i++) {
        used += snprintf(tail + used, sizeof tail - (size_t)used, "%02x", unique->bytes[i]);
    }
    used += snprintf(tail + used, sizeof tail - (size_t)used, "%s", suffix);
    check(used < (int)sizeof tail);
    int byte_count = snprintf(out_name, LOG_NAME_BYTES_MAX + 1, "%.*s%s",
                              (int)LOG_NAME_BYTES_MAX - used, topic_name, tail);
    check(byte_count > 0 && byte_count <= (int)LOG_NAME_BYTES_MAX);
}

void log_name_of_deleted_directory(const char *topic_name, int32_t partition,
                                   const struct wire_uuid *unique, char *out_name)
{
    name_of_former_directory(topic_name, partition, unique,
                             directory_state_suffix(LOG_NAME_DELETED), out_name);
}

void log_name_of_stray_directory(const char *topic_name, int32_t partition,
                                 const struct wire_uuid *unique, char *out_name)
{
    name_of_former_directory(topic_name, partition, unique, directory_state_suffix(LOG_NAME_STRAY),
                             out_name);
}

void log_name_of_file(int64_t offset, enum log_name_file file, enum log_name_state state,
                      char *out_name)
{
    check(offset >= 0);
    check((uint32_t)file < LOG_NAME_FILE_COUNT);
    const char *state_suffix = file_state_suffix(state);
    check(state_suffix != NULL);
    int byte_count = snprintf(out_name, LOG_NAME_BYTES_MAX + 1, "%0*" PRId64 "%s%s",
                              (int)OFFSET_DIGITS, offset, file_suffixes[file], state_suffix);
    check(byte_count > 0);
}
