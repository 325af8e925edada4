#include "raft/quorum_configuration.h"

#include "proto/sys/check.h"
#include "raft/quorum_bytes.h"
#include "raft/quorum_meta.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define LIBRAFT_FORMAT 1U
#define HEAD_BYTES 9U /* Format and count. */

void quorum_configuration_identity(int32_t node_id, const uint8_t directory_id[16],
                                   char out_text[QUORUM_CONFIGURATION_IDENTITY_BYTES])
{
    int length = snprintf(out_text, QUORUM_CONFIGURATION_IDENTITY_BYTES, "%d:", node_id);
    for (uint32_t i = 0; i < QUORUM_BYTES_ID; i++) {
        length += snprintf(out_text + length, QUORUM_CONFIGURATION_IDENTITY_BYTES - (size_t)length,
                           "%02x", directory_id[i]);
    }
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Reads what quorum_configuration_identity() wrote, and nothing else. */
static bool identity_fits(const char *text, uint64_t raft_id)
{
    int32_t node_id = quorum_meta_node_id(raft_id);
    if (node_id <= 0) {
        return false;
    }
    char prefix[QUORUM_CONFIGURATION_IDENTITY_BYTES];
    int length = snprintf(prefix, sizeof prefix, "%d:", node_id);
    if (strncmp(text, prefix, (size_t)length) != 0 ||
        strlen(text + length) != 2 * (size_t)QUORUM_BYTES_ID) {
        return false;
    }
    uint8_t directory_id[QUORUM_BYTES_ID];
    for (uint32_t i = 0; i < QUORUM_BYTES_ID; i++) {
        int high = hex_value(text[(uint32_t)length + 2 * i]);
        int low = hex_value(text[(uint32_t)length + 2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        directory_id[i] = (uint8_t)(high * 16 + low);
    }
    return quorum_meta_raft_id(node_id, directory_id) == raft_id;
}

struct cursor {
    const uint8_t *next;
    size_t left;
};

/* One server; the cursor moves behind it. */
static bool check_server(struct cursor *cursor, uint64_t *out_id, const char **out_text,
                         int *out_role)
{
    if (cursor->left < sizeof(uint64_t)) {
        return false;
    }
    *out_id = quorum_bytes_get64(cursor->next);
    cursor->next += sizeof(uint64_t);
    cursor->left -= sizeof(uint64_t);
    const char *text = (const char *)cursor->next;
    size_t length = strnlen(text, cursor->left);
    if (length + 2 > cursor->left || !identity_fits(text, *out_id)) {
        return false;
    }
    *out_text = text;
    *out_role = cursor->next[length + 1];
    cursor->next += length + 2;
    cursor->left -= length + 2;
    return *out_role == RAFT_VOTER || *out_role == RAFT_STANDBY || *out_role == RAFT_SPARE;
}

enum status quorum_configuration_check(const uint8_t *bytes, size_t byte_count)
{
    if (byte_count < HEAD_BYTES || byte_count % 8 != 0 || bytes[0] != LIBRAFT_FORMAT) {
        return STATUS_MALFORMED;
    }
    uint64_t count = quorum_bytes_get64(bytes + 1);
    if (count == 0 || count > QUORUM_CONFIGURATION_SERVERS_MAX) {
        return STATUS_MALFORMED;
    }
    struct cursor cursor = {bytes + HEAD_BYTES, byte_count - HEAD_BYTES};
    uint64_t ids[QUORUM_CONFIGURATION_SERVERS_MAX];
    for (uint64_t i = 0; i < count; i++) {
        const char *text;
        int role;
        if (!check_server(&cursor, &ids[i], &text, &role)) {
            return STATUS_MALFORMED;
        }
        for (uint64_t k = 0; k < i; k++) {
            if (ids[k] == ids[i]) {
                return STATUS_MALFORMED;
            }
        }
    }
    return cursor.left < 8 ? STATUS_OK : STATUS_MALFORMED;
}

enum status quorum_configuration_decode(const uint8_t *bytes, size_t byte_count,
                                        struct raft_configuration *out_configuration)
{
    TRY(quorum_configuration_check(bytes, byte_count));
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    uint64_t count = quorum_bytes_get64(bytes + 1);
    struct cursor cursor = {bytes + HEAD_BYTES, byte_count - HEAD_BYTES};
    for (uint64_t i = 0; i < count; i++) {
        uint64_t id = 0;
        const char *text = NULL;
        int role = 0;
        bool is_whole = check_server(&cursor, &id, &text, &role);
        check(is_whole);
        int code = raft_configuration_add(&configuration, id, text, role);
        check(code == 0); /* Ids, and with them the names, were compared. */
    }
    *out_configuration = configuration;
    return STATUS_OK;
}

/* --- History ---------------------------------------------------------------------------------- */

void quorum_configuration_history_done(struct quorum_configuration_history *self)
{
    quorum_configuration_history_cut(self, 0);
    free(self->entries);
    *self = (struct quorum_configuration_history){0};
}

void quorum_configuration_history_push(struct quorum_configuration_history *self, uint64_t index,
                                       const void *bytes, size_t byte_count)
{
    check(self->count == 0 || self->entries[self->count - 1].index < index);
    if (self->count == self->count_max) {
        self->count_max = self->count_max == 0 ? 8 : self->count_max * 2;
        self->entries = realloc(self->entries, self->count_max * sizeof *self->entries);
        check(self->entries != NULL);
    }
    uint8_t *copy = malloc(byte_count);
    check(copy != NULL);
    memcpy(copy, bytes, byte_count);
    self->entries[self->count] = (struct quorum_configuration_entry){
        .index = index, .bytes = copy, .byte_count = (uint32_t)byte_count};
    self->count += 1;
}

void quorum_configuration_history_cut(struct quorum_configuration_history *self, uint64_t index)
{
    while (self->count > 0 && self->entries[self->count - 1].index >= index) {
        self->count -= 1;
        free(self->entries[self->count].bytes);
    }
}

void quorum_configuration_history_trim(struct quorum_configuration_history *self, uint64_t index)
{
    size_t count = 0;
    while (count + 1 < self->count && self->entries[count + 1].index <= index) {
        free(self->entries[count].bytes);
        count += 1;
    }
    self->count -= count;
    if (count > 0) {
        memmove(self->entries, self->entries + count, self->count * sizeof *self->entries);
    }
}

const struct quorum_configuration_entry *
quorum_configuration_history_at(const struct quorum_configuration_history *self, uint64_t index)
{
    for (size_t i = self->count; i-- > 0;) {
        if (self->entries[i].index <= index) {
            return &self->entries[i];
        }
    }
    return NULL;
}
