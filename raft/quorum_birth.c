#include "raft/quorum_birth.h"

#include "proto/sys/check.h"
#include "raft/quorum_configuration.h"
#include "raft/quorum_heap.h"
#include "raft/quorum_log.h"
#include "raft/quorum_vote.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define BIRTH_TERM 1U

static const uint8_t zero_id[16];

void quorum_birth_init(struct quorum_birth *self, const struct quorum_meta *meta,
                       const int32_t *voter_ids, uint32_t voter_count)
{
    check(!meta->is_born);
    check(voter_count > 0 && voter_count <= QUORUM_META_VOTERS_MAX);
    *self = (struct quorum_birth){.meta = *meta, .voter_count = voter_count};
    self->meta.voter_count = 1;
    self->meta.voters[0].node_id = meta->node_id;
    memcpy(self->meta.voters[0].directory_id, meta->directory_id, sizeof meta->directory_id);
    for (uint32_t i = 0; i < voter_count; i++) {
        check(i == 0 || voter_ids[i] > voter_ids[i - 1]);
        self->voter_ids[i] = voter_ids[i];
    }
}

void quorum_birth_hello(const struct quorum_birth *self, struct quorum_message_hello *out_hello)
{
    *out_hello = (struct quorum_message_hello){.node_id = self->meta.node_id,
                                               .voter_count = self->voter_count,
                                               .known_count = self->meta.voter_count};
    memcpy(out_hello->directory_id, self->meta.directory_id, sizeof out_hello->directory_id);
    memcpy(out_hello->known, self->meta.voters, sizeof out_hello->known);
}

/* --- Agreement -------------------------------------------------------------------------------- */

static int place_of(const struct quorum_birth *self, int32_t node_id)
{
    for (uint32_t i = 0; i < self->voter_count; i++) {
        if (self->voter_ids[i] == node_id) {
            return (int)i;
        }
    }
    return -1;
}

/* Notes the directory of a voter; what agreed with the old list agrees no more when it changes. */
static void learn(struct quorum_birth *self, int32_t node_id, const uint8_t directory_id[16])
{
    struct quorum_meta *meta = &self->meta;
    uint32_t place = 0;
    while (place < meta->voter_count && meta->voters[place].node_id < node_id) {
        place += 1;
    }
    bool is_there = place < meta->voter_count && meta->voters[place].node_id == node_id;
    if (is_there && memcmp(meta->voters[place].directory_id, directory_id, 16) == 0) {
        return;
    }
    if (!is_there) {
        check(meta->voter_count < QUORUM_META_VOTERS_MAX);
        memmove(&meta->voters[place + 1], &meta->voters[place],
                (meta->voter_count - place) * sizeof *meta->voters);
        meta->voter_count += 1;
        meta->voters[place].node_id = node_id;
    }
    memcpy(meta->voters[place].directory_id, directory_id, 16);
    memset(self->agrees, 0, sizeof self->agrees);
}

/* The cluster id that somebody was configured with is everybody's; none stays with the other. */
static bool learn_cluster_id(struct quorum_birth *self, const uint8_t *cluster_id)
{
    uint8_t *own = self->meta.cluster_id;
    if (memcmp(cluster_id, zero_id, sizeof zero_id) == 0 ||
        memcmp(cluster_id, own, sizeof zero_id) == 0) {
        return true;
    }
    if (memcmp(own, zero_id, sizeof zero_id) != 0) {
        return false;
    }
    memcpy(own, cluster_id, sizeof zero_id);
    memset(self->agrees, 0, sizeof self->agrees);
    return true;
}

static bool is_same_list(const struct quorum_birth *self, const struct quorum_message_hello *hello,
                         const uint8_t *cluster_id)
{
    const struct quorum_meta *meta = &self->meta;
    return hello->voter_count == self->voter_count && hello->known_count == meta->voter_count &&
           memcmp(cluster_id, meta->cluster_id, sizeof meta->cluster_id) == 0 &&
           memcmp(hello->known, meta->voters, meta->voter_count * sizeof *meta->voters) == 0;
}

/* Cluster id: of the options, else out of all directory ids, which are random. */
static void be_born(const struct quorum_birth *self, struct quorum_meta *out_meta)
{
    *out_meta = self->meta;
    out_meta->is_born = true;
    if (memcmp(out_meta->cluster_id, zero_id, sizeof zero_id) == 0) {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(
            &canonical,
            XXH3_128bits(out_meta->voters, out_meta->voter_count * sizeof *out_meta->voters));
        memcpy(out_meta->cluster_id, canonical.digest, sizeof out_meta->cluster_id);
    }
}

/* Born with the peers, if they were born with us. */
static bool join_birth(struct quorum_birth *self, const struct quorum_message_hello *hello,
                       const uint8_t *cluster_id, struct quorum_meta *out_meta)
{
    for (uint32_t i = 0; i < hello->known_count; i++) {
        if (hello->known[i].node_id == self->meta.node_id &&
            memcmp(hello->known[i].directory_id, self->meta.directory_id, 16) == 0) {
            *out_meta = self->meta;
            out_meta->is_born = true;
            out_meta->voter_count = hello->known_count;
            memcpy(out_meta->voters, hello->known, sizeof out_meta->voters);
            memcpy(out_meta->cluster_id, cluster_id, sizeof out_meta->cluster_id);
            return true;
        }
    }
    self->is_foreign = true;
    return false;
}

bool quorum_birth_hear(struct quorum_birth *self, const struct quorum_message_hello *hello,
                       const uint8_t *cluster_id, struct quorum_meta *out_meta)
{
    int place = place_of(self, hello->node_id);
    if (place < 0 || hello->node_id == self->meta.node_id) {
        return false;
    }
    if (hello->is_born) {
        return join_birth(self, hello, cluster_id, out_meta);
    }
    if (!learn_cluster_id(self, cluster_id)) {
        self->agrees[place] = false;
        return false;
    }
    learn(self, hello->node_id, hello->directory_id);
    self->agrees[place] = is_same_list(self, hello, cluster_id);
    if (self->is_foreign || self->meta.voter_count != self->voter_count) {
        return false;
    }
    for (uint32_t i = 0; i < self->voter_count; i++) {
        if (self->voter_ids[i] != self->meta.node_id && !self->agrees[i]) {
            return false;
        }
    }
    be_born(self, out_meta);
    return true;
}

bool quorum_birth_alone(const struct quorum_birth *self, struct quorum_meta *out_meta)
{
    if (self->voter_count != 1 || self->voter_ids[0] != self->meta.node_id) {
        return false;
    }
    be_born(self, out_meta);
    return true;
}

/* --- Files ------------------------------------------------------------------------------------ */

/* libraft's encoding of the first configuration: voters by node id. */
static enum status encode_configuration(const struct quorum_meta *meta, uint8_t **out_bytes,
                                        uint32_t *out_byte_count)
{
    struct quorum_heap heap;
    quorum_heap_init(&heap);
    struct quorum_heap *before = quorum_heap_enter(&heap);
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    for (uint32_t i = 0; i < meta->voter_count; i++) {
        const struct quorum_meta_voter *voter = &meta->voters[i];
        char identity[QUORUM_CONFIGURATION_IDENTITY_BYTES];
        quorum_configuration_identity(voter->node_id, voter->directory_id, identity);
        int code = raft_configuration_add(&configuration,
                                          quorum_meta_raft_id(voter->node_id, voter->directory_id),
                                          identity, RAFT_VOTER);
        check(code == 0);
    }
    struct raft_buffer buffer = {0};
    int code = raft_configuration_encode(&configuration, &buffer);
    check(code == 0);
    uint8_t *bytes = malloc(buffer.len);
    if (bytes != NULL) {
        memcpy(bytes, buffer.base, buffer.len);
        *out_bytes = bytes;
        *out_byte_count = (uint32_t)buffer.len;
    }
    (void)quorum_heap_enter(before);
    quorum_heap_drop(&heap);
    return bytes == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

enum status quorum_birth_write(const struct quorum_meta *meta, struct loop *loop,
                               const char *directory)
{
    check(meta->is_born);
    struct quorum_vote vote = {0};
    enum status status =
        quorum_vote_create(&vote, loop->disk, directory, meta->directory_id, BIRTH_TERM);
    quorum_vote_done(&vote);
    TRY(status);

    uint8_t *bytes = NULL;
    uint32_t byte_count = 0;
    TRY(encode_configuration(meta, &bytes, &byte_count));
    struct quorum_log_options options = {
        .loop = loop, .directory = directory, .directory_id = meta->directory_id};
    struct quorum_log_entry first = {
        .kind = QUORUM_RECORD_CHANGE, .term = BIRTH_TERM, .bytes = bytes, .byte_count = byte_count};
    status = quorum_log_create(&options, &first);
    free(bytes);
    TRY(status);
    return quorum_meta_store(meta, loop->disk, directory);
}
