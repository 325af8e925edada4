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

static enum status open_file(struct quorum_vote *self, const char *directory, unsigned flags)
{
    char path[DISK_PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/vote", directory);
    check(length > 0 && (size_t)length < sizeof path);
    return disk_open(self->disk, path, flags, &self->file);
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
    TRY(open_file(self, directory, DISK_OPEN_WRITE | DISK_OPEN_CREATE));
    TRY(disk_file_truncate(disk, self->file, 0));
    TRY(quorum_vote_store(self, term, 0));
    return disk_sync_directory(disk, directory);
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
    init(self, disk, directory_id);
    enum status status = open_file(self, directory, DISK_OPEN_WRITE);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
    }

    struct copy newest = {0};
    uint32_t newest_count = 0;
    for (uint64_t position = 0; position <= QUORUM_VOTE_COPY_BYTES;
         position += QUORUM_VOTE_COPY_BYTES) {
        struct copy copy = {0};
        status = read_copy(self, position, &copy);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
            return status;
        }
        if (copy.sequence > newest.sequence) {
            newest = copy;
            newest_count = 0;
        }
        newest_count += copy.sequence == newest.sequence ? 1 : 0;
    }
    if (newest.sequence == 0 || newest.term > QUORUM_VOTE_TERM_MAX) {
        return STATUS_CORRUPT;
    }
    self->sequence = newest.sequence;
    self->term = newest.term;
    self->voted_for = newest.voted_for;
    /* A change that a crash cut in two, or a damaged copy: both say the same again. */
    return newest_count == 2 ? STATUS_OK : quorum_vote_store(self, self->term, self->voted_for);
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
