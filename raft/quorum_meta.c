#include "raft/quorum_meta.h"

#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"
#include "raft/quorum_bytes.h"

#include <stdio.h>
#include <stdlib.h>

#define FIXED_BYTES 48U
#define VOTER_BYTES 24U
#define STATE_WAITS 1U
#define STATE_BORN 2U

uint64_t quorum_meta_raft_id(int32_t node_id, const uint8_t directory_id[16])
{
    check(node_id > 0);
    return (uint64_t)(uint32_t)node_id << 32 | crc32c(0, directory_id, QUORUM_BYTES_ID);
}

int32_t quorum_meta_node_id(uint64_t raft_id)
{
    return (int32_t)(raft_id >> 32);
}

size_t quorum_meta_encode(const struct quorum_meta *self, uint8_t out_bytes[QUORUM_META_BYTES_MAX])
{
    uint32_t voter_count =
        self->voter_count; /* Bounded for the compiler, too, whatever is written. */
    check(voter_count <= QUORUM_META_VOTERS_MAX);
    check(self->is_born == (voter_count > 0));

    size_t byte_count = FIXED_BYTES + VOTER_BYTES * (size_t)voter_count;
    memset(out_bytes, 0, byte_count);
    quorum_bytes_put16(out_bytes + 4, QUORUM_BYTES_VERSION);
    quorum_bytes_put16(out_bytes + 6, self->is_born ? STATE_BORN : STATE_WAITS);
    quorum_bytes_put32(out_bytes + 8, (uint32_t)self->node_id);
    quorum_bytes_put32(out_bytes + 12, voter_count);
    memcpy(out_bytes + 16, self->directory_id, QUORUM_BYTES_ID);
    memcpy(out_bytes + 32, self->cluster_id, QUORUM_BYTES_ID);
    for (uint32_t i = 0; i < voter_count; i++) {
        uint8_t *at = out_bytes + FIXED_BYTES + VOTER_BYTES * (size_t)i;
        quorum_bytes_put32(at, (uint32_t)self->voters[i].node_id);
        memcpy(at + 8, self->voters[i].directory_id, QUORUM_BYTES_ID);
    }
    quorum_bytes_put32(out_bytes, crc32c(0, out_bytes + 4, byte_count - 4));
    return byte_count;
}

static bool is_plausible(const struct quorum_meta *meta, uint16_t state)
{
    if (meta->node_id <= 0 || (state != STATE_WAITS && state != STATE_BORN) ||
        meta->is_born != (meta->voter_count > 0)) {
        return false;
    }
    for (uint32_t i = 0; i < meta->voter_count; i++) {
        if (meta->voters[i].node_id <= (i == 0 ? 0 : meta->voters[i - 1].node_id)) {
            return false;
        }
    }
    return true;
}

enum status quorum_meta_decode(const uint8_t *bytes, size_t byte_count,
                               struct quorum_meta *out_meta)
{
    if (byte_count < FIXED_BYTES ||
        crc32c(0, bytes + 4, byte_count - 4) != quorum_bytes_get32(bytes)) {
        return STATUS_CORRUPT;
    }
    if (quorum_bytes_get16(bytes + 4) > QUORUM_BYTES_VERSION) {
        return STATUS_UNSUPPORTED;
    }
    uint32_t voter_count = quorum_bytes_get32(bytes + 12);
    if (voter_count > QUORUM_META_VOTERS_MAX ||
        byte_count != FIXED_BYTES + VOTER_BYTES * (size_t)voter_count) {
        return STATUS_CORRUPT;
    }

    uint16_t state = quorum_bytes_get16(bytes + 6);
    struct quorum_meta meta = {.is_born = state == STATE_BORN,
                               .node_id = (int32_t)quorum_bytes_get32(bytes + 8),
                               .voter_count = voter_count};
    memcpy(meta.directory_id, bytes + 16, QUORUM_BYTES_ID);
    memcpy(meta.cluster_id, bytes + 32, QUORUM_BYTES_ID);
    for (uint32_t i = 0; i < voter_count; i++) {
        const uint8_t *at = bytes + FIXED_BYTES + VOTER_BYTES * (size_t)i;
        meta.voters[i].node_id = (int32_t)quorum_bytes_get32(at);
        memcpy(meta.voters[i].directory_id, at + 8, QUORUM_BYTES_ID);
    }
    if (!is_plausible(&meta, state)) {
        return STATUS_CORRUPT;
    }
    *out_meta = meta;
    return STATUS_OK;
}

enum status quorum_meta_load(struct disk *disk, const char *directory, struct quorum_meta *out_meta)
{
    char path[DISK_PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/meta", directory);
    check(length > 0 && (size_t)length < sizeof path);

    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    enum status status = disk_read_file(disk, path, QUORUM_META_BYTES_MAX, &bytes, &byte_count);
    if (status != STATUS_OK) {
        return status == STATUS_FULL ? STATUS_CORRUPT : status;
    }
    status = quorum_meta_decode(bytes, byte_count, out_meta);
    free(bytes);
    return status;
}

enum status quorum_meta_store(const struct quorum_meta *self, struct disk *disk,
                              const char *directory)
{
    uint8_t bytes[QUORUM_META_BYTES_MAX];
    size_t byte_count = quorum_meta_encode(self, bytes);
    return disk_replace_file(disk, directory, "meta", bytes, byte_count);
}

/* --- The directory ---------------------------------------------------------------------------- */

/* Its own name has to be safe, too, before anything in it counts. */
static enum status make_directory(struct disk *disk, const char *directory)
{
    TRY(disk_make_directory(disk, directory));
    char parent[DISK_PATH_BYTES_MAX];
    (void)snprintf(parent, sizeof parent, "%s", directory);
    char *slash = strrchr(parent, '/');
    if (slash == NULL) {
        return disk_sync_directory(disk, ".");
    }
    slash[slash == parent ? 1 : 0] = 0;
    return disk_sync_directory(disk, parent);
}

static void open_on_entry(void *context, const char *name, bool is_directory)
{
    bool *has_any = context;
    if (!is_directory && (strcmp(name, "vote") == 0 || strncmp(name, "log-", 4) == 0 ||
                          strncmp(name, "snapshot-", 9) == 0)) {
        *has_any = true;
    }
}

enum status quorum_meta_open(struct loop *loop, const char *directory, int32_t node_id,
                             struct quorum_meta *out_meta)
{
    TRY(make_directory(loop->disk, directory));
    /* What is read from here on counts: names included. */
    TRY(disk_sync_directory(loop->disk, directory));
    enum status status = quorum_meta_load(loop->disk, directory, out_meta);
    if (status != STATUS_NOT_FOUND) {
        return status;
    }
    bool has_any = false;
    TRY(disk_list(loop->disk, directory, open_on_entry, &has_any));
    if (has_any) {
        return STATUS_CORRUPT; /* A voter that forgot who it is must not vote. */
    }
    struct quorum_meta meta = {.node_id = node_id};
    prng_fill(&loop->prng, meta.directory_id, sizeof meta.directory_id);
    TRY(quorum_meta_store(&meta, loop->disk, directory));
    *out_meta = meta;
    return STATUS_OK;
}
