#include "raft/quorum_vote.h"

#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"
#include "raft/quorum_bytes.h"

#include <stdio.h>

#define COPY_USED_BYTES 64U

struct copy {
    uint64_t sequence;
    uint64_t term;
    uint64_t voted_for;
};

static void path_of(const char *directory, const char *name, char out_path[DISK_PATH_BYTES_MAX])
{
    int length = snprintf(out_path, DISK_PATH_BYTES_MAX, "%s/%s", directory, name);
    check(length > 0 && (size_t)length < DISK_PATH_BYTES_MAX);
}

/* A new file with what is known takes the place of the old one. */
static enum status replace_file(struct quorum_vote *self, const char *directory)
{
    char path[DISK_PATH_BYTES_MAX];
    char path_new[DISK_PATH_BYTES_MAX];
    path_of(directory, "vote", path);
    path_of(directory, "vote.new", path_new);
    disk_file_close(self->disk, self->file);
    self->file = NULL;
    TRY(disk_open(self->disk, path_new, DISK_OPEN_WRITE | DISK_OPEN_CREATE, &self->file));
    TRY(disk_file_truncate(self->disk, self->file, 0));
    TRY(quorum_vote_store(self, self->term, self->voted_for));
    TRY(disk_rename(self->disk, path_new, path));
    return disk_sync_directory(self->disk, directory);
}

static void init(struct quorum_vote *self, struct disk *disk, const uint8_t directory_id[16])
{
    *self = (struct quorum_vote){.disk = disk};
    memcpy(self->directory_id, directory_id, sizeof self->directory_id);
}

enum status quorum_vote_create(struct quorum_vote *self, struct disk *disk, const char *directory,
                               const uint8_t directory_id[16], uint64_t term)
{
    init(self, disk, directory_id);
    self->term = term;
    return replace_file(self, directory);
}

/* STATUS_NOT_FOUND: this copy is damaged. */
static enum status read_copy(struct quorum_vote *self, uint64_t position, struct copy *out_copy)
{
    uint8_t bytes[COPY_USED_BYTES];
    size_t byte_count = 0;
    TRY(disk_file_read(self->disk, self->file, position, bytes, sizeof bytes, &byte_count));
    if (byte_count < sizeof bytes ||
        crc32c(0, bytes + 4, sizeof bytes - 4) != quorum_bytes_get32(bytes)) {
        return STATUS_NOT_FOUND;
    }
    if (quorum_bytes_get16(bytes + 4) > QUORUM_BYTES_VERSION) {
        return STATUS_UNSUPPORTED;
    }
    if (memcmp(bytes + 32, self->directory_id, sizeof self->directory_id) != 0) {
        return STATUS_CORRUPT; /* Of another directory: somebody mixed files. */
    }
    *out_copy = (struct copy){.sequence = quorum_bytes_get64(bytes + 8),
                              .term = quorum_bytes_get64(bytes + 16),
                              .voted_for = quorum_bytes_get64(bytes + 24)};
    return STATUS_OK;
}

enum status quorum_vote_load(struct quorum_vote *self, struct disk *disk, const char *directory,
                             const uint8_t directory_id[16])
{
    char path[DISK_PATH_BYTES_MAX];
    init(self, disk, directory_id);
    path_of(directory, "vote", path);
    enum status status = disk_open(disk, path, DISK_OPEN_READ, &self->file);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
    }

    struct copy newest = {0};
    for (uint64_t position = 0; position <= QUORUM_VOTE_COPY_BYTES;
         position += QUORUM_VOTE_COPY_BYTES) {
        struct copy copy = {0};
        status = read_copy(self, position, &copy);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
            return status;
        }
        if (copy.sequence > newest.sequence) {
            newest = copy;
        }
    }
    if (newest.sequence == 0 || newest.term > QUORUM_VOTE_TERM_MAX) {
        return STATUS_CORRUPT;
    }
    self->sequence = newest.sequence;
    self->term = newest.term;
    self->voted_for = newest.voted_for;
    /* Both copies say the same again, in a file that is known to be on disk: what a process reads
     * after one whose flush failed may be in memory only, and no later flush covers it. */
    return replace_file(self, directory);
}

void quorum_vote_done(struct quorum_vote *self)
{
    if (self->disk != NULL) {
        disk_file_close(self->disk, self->file);
    }
    *self = (struct quorum_vote){0};
}

enum status quorum_vote_store(struct quorum_vote *self, uint64_t term, uint64_t voted_for)
{
    check(term >= self->term);
    check(term <= QUORUM_VOTE_TERM_MAX);
    /* One vote per term: the last line of defence behind the remedies for libraft. */
    check(term > self->term || self->voted_for == 0 || self->voted_for == voted_for);

    uint8_t bytes[COPY_USED_BYTES] = {0};
    quorum_bytes_put16(bytes + 4, QUORUM_BYTES_VERSION);
    quorum_bytes_put64(bytes + 8, self->sequence + 1);
    quorum_bytes_put64(bytes + 16, term);
    quorum_bytes_put64(bytes + 24, voted_for);
    memcpy(bytes + 32, self->directory_id, sizeof self->directory_id);
    quorum_bytes_put32(bytes, crc32c(0, bytes + 4, sizeof bytes - 4));
    for (uint64_t position = 0; position <= QUORUM_VOTE_COPY_BYTES;
         position += QUORUM_VOTE_COPY_BYTES) {
        TRY(disk_file_write(self->disk, self->file, position, bytes, sizeof bytes));
        TRY(disk_file_sync(self->disk, self->file));
    }
    self->sequence += 1;
    self->term = term;
    self->voted_for = voted_for;
    return STATUS_OK;
}
