#include "raft/quorum_message.h"

#include "proto/internal/raft_message.pb-c.h"
#include "proto/sys/check.h"
#include "proto/wire/big_endian.h"
#include "proto/wire/crc32c.h"
#include "raft/quorum_bytes.h"
#include "raft/quorum_configuration.h"
#include "raft/quorum_envelope.h"
#include "raft/quorum_vote.h"

#include <stdlib.h>

#define SIZE_BYTES 4U
#define HEADER_BYTES 11U /* Key, version, correlation id, null client id, no tags. */
#define CRC_BYTES 4U
#define FIXED_BYTES (HEADER_BYTES + CRC_BYTES + 4U)
#define INDEX_MAX (UINT64_C(1) << 62)

static const uint8_t header[HEADER_BYTES] = {
    QUORUM_MESSAGE_API_KEY >> 8, QUORUM_MESSAGE_API_KEY & 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0};

/* --- Encoding --------------------------------------------------------------------------------- */

static ProtobufCBinaryData data_of(const uint8_t *bytes, size_t byte_count)
{
    uintptr_t address = (uintptr_t)bytes; /* Packing only reads. */
    return (ProtobufCBinaryData){.len = byte_count, .data = (uint8_t *)address};
}

/* Head, message and room for the payload, whose place is returned through `out_payload`. */
static enum status frame_new(Millrace__Quorum__RaftMessage *message,
                             const struct quorum_message_head *head, size_t payload_bytes,
                             uint8_t **out_frame, uint8_t **out_payload)
{
    message->version = QUORUM_MESSAGE_VERSION;
    message->from = head->from;
    message->to = head->to;
    if (head->has_cluster_id) {
        message->cluster_id = data_of(head->cluster_id, sizeof head->cluster_id);
    }
    size_t message_bytes = millrace__quorum__raft_message__get_packed_size(message);
    if (message_bytes + payload_bytes > QUORUM_MESSAGE_BYTES_MAX - FIXED_BYTES) {
        return STATUS_FULL;
    }
    size_t byte_count = FIXED_BYTES + message_bytes + payload_bytes;
    uint8_t *frame = malloc(SIZE_BYTES + byte_count);
    if (frame == NULL) {
        return STATUS_NO_MEMORY;
    }
    big_endian_put32(frame, (uint32_t)byte_count);
    memcpy(frame + SIZE_BYTES, header, HEADER_BYTES);
    uint8_t *at = frame + SIZE_BYTES + HEADER_BYTES + CRC_BYTES;
    big_endian_put32(at, (uint32_t)message_bytes);
    size_t packed_bytes = millrace__quorum__raft_message__pack(message, at + 4);
    check(packed_bytes == message_bytes);
    *out_frame = frame;
    *out_payload = at + 4 + message_bytes;
    return STATUS_OK;
}

/* The payload is in: seals the frame. */
static size_t frame_finish(uint8_t *frame)
{
    size_t byte_count = big_endian_get32(frame);
    uint8_t *crc = frame + SIZE_BYTES + HEADER_BYTES;
    big_endian_put32(crc, crc32c(0, crc + CRC_BYTES, byte_count - HEADER_BYTES - CRC_BYTES));
    return SIZE_BYTES + byte_count;
}

static uint32_t entries_that_fit(const struct raft_append_entries *request, size_t *out_byte_count)
{
    size_t byte_count = 0;
    uint32_t count = 0;
    while (count < request->n_entries && count < QUORUM_MESSAGE_ENTRIES_MAX) {
        size_t next = byte_count + request->entries[count].buf.len;
        if (count > 0 && next > QUORUM_MESSAGE_ENTRY_BYTES) {
            break;
        }
        byte_count = next;
        count += 1;
    }
    *out_byte_count = byte_count;
    return count;
}

struct entry_lists {
    uint64_t *terms;
    uint32_t *kinds;
    uint32_t *byte_counts;
};

static void entry_lists_done(struct entry_lists *self)
{
    free(self->terms);
    free(self->kinds);
    free(self->byte_counts);
}

static enum status entry_lists_init(struct entry_lists *self,
                                    const struct raft_append_entries *request, uint32_t count)
{
    self->terms = calloc((size_t)count + 1, sizeof *self->terms);
    self->kinds = calloc((size_t)count + 1, sizeof *self->kinds);
    self->byte_counts = calloc((size_t)count + 1, sizeof *self->byte_counts);
    if (self->terms == NULL || self->kinds == NULL || self->byte_counts == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        self->terms[i] = request->entries[i].term;
        self->kinds[i] = request->entries[i].type;
        self->byte_counts[i] = (uint32_t)request->entries[i].buf.len;
    }
    return STATUS_OK;
}

static enum status encode_append_entries(const struct quorum_message_head *head,
                                         const struct raft_append_entries *request,
                                         uint8_t **out_frame, uint32_t *out_entry_count)
{
    size_t payload_bytes = 0;
    uint32_t count = entries_that_fit(request, &payload_bytes);
    struct entry_lists lists = {0};
    enum status status = entry_lists_init(&lists, request, count);
    uint8_t *frame = NULL;
    uint8_t *payload = NULL;
    if (status == STATUS_OK) {
        Millrace__Quorum__AppendEntries body = MILLRACE__QUORUM__APPEND_ENTRIES__INIT;
        body.term = request->term;
        body.previous_index = request->prev_log_index;
        body.previous_term = request->prev_log_term;
        body.commit_index = request->leader_commit;
        body.n_entry_terms = body.n_entry_kinds = body.n_entry_bytes = count;
        body.entry_terms = lists.terms;
        body.entry_kinds = lists.kinds;
        body.entry_bytes = lists.byte_counts;
        Millrace__Quorum__RaftMessage message = MILLRACE__QUORUM__RAFT_MESSAGE__INIT;
        message.kind_case = MILLRACE__QUORUM__RAFT_MESSAGE__KIND_APPEND_ENTRIES;
        message.append_entries = &body;
        status = frame_new(&message, head, payload_bytes, &frame, &payload);
    }
    entry_lists_done(&lists);
    TRY(status);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(payload, request->entries[i].buf.base, request->entries[i].buf.len);
        payload += request->entries[i].buf.len;
    }
    *out_frame = frame;
    *out_entry_count = count;
    return STATUS_OK;
}

static enum status encode_install_snapshot(const struct quorum_message_head *head,
                                           const struct raft_install_snapshot *request,
                                           uint8_t **out_frame)
{
    struct raft_buffer configuration = {0};
    int code = raft_configuration_encode(&request->conf, &configuration);
    check(code == 0);
    Millrace__Quorum__InstallSnapshot body = MILLRACE__QUORUM__INSTALL_SNAPSHOT__INIT;
    body.term = request->term;
    body.last_index = request->last_index;
    body.last_term = request->last_term;
    body.configuration_index = request->conf_index;
    body.configuration = data_of(configuration.base, configuration.len);
    Millrace__Quorum__RaftMessage message = MILLRACE__QUORUM__RAFT_MESSAGE__INIT;
    message.kind_case = MILLRACE__QUORUM__RAFT_MESSAGE__KIND_INSTALL_SNAPSHOT;
    message.install_snapshot = &body;
    uint8_t *frame = NULL;
    uint8_t *payload = NULL;
    enum status status = frame_new(&message, head, request->data.len, &frame, &payload);
    raft_free(configuration.base);
    TRY(status);
    memcpy(payload, request->data.base, request->data.len);
    *out_frame = frame;
    return STATUS_OK;
}

static enum status encode_request_vote(const struct quorum_message_head *head,
                                       const struct raft_request_vote *request, uint8_t **out_frame)
{
    Millrace__Quorum__RequestVote body = MILLRACE__QUORUM__REQUEST_VOTE__INIT;
    body.term = request->term;
    body.candidate = request->candidate_id;
    body.last_index = request->last_log_index;
    body.last_term = request->last_log_term;
    body.disrupts_leader = request->disrupt_leader;
    body.is_pre_vote = request->pre_vote;
    Millrace__Quorum__RaftMessage message = MILLRACE__QUORUM__RAFT_MESSAGE__INIT;
    message.kind_case = MILLRACE__QUORUM__RAFT_MESSAGE__KIND_REQUEST_VOTE;
    message.request_vote = &body;
    uint8_t *payload = NULL;
    return frame_new(&message, head, 0, out_frame, &payload);
}

/* The three that are a term and two numbers or flags. */
static enum status encode_small(const struct quorum_message_head *head,
                                const struct raft_message *message, uint8_t **out_frame)
{
    Millrace__Quorum__AppendEntriesResult result = MILLRACE__QUORUM__APPEND_ENTRIES_RESULT__INIT;
    Millrace__Quorum__RequestVoteResult vote = MILLRACE__QUORUM__REQUEST_VOTE_RESULT__INIT;
    Millrace__Quorum__TimeoutNow timeout = MILLRACE__QUORUM__TIMEOUT_NOW__INIT;
    Millrace__Quorum__RaftMessage out = MILLRACE__QUORUM__RAFT_MESSAGE__INIT;
    if (message->type == RAFT_IO_APPEND_ENTRIES_RESULT) {
        result.term = message->append_entries_result.term;
        result.rejected = message->append_entries_result.rejected;
        result.last_index = message->append_entries_result.last_log_index;
        out.kind_case = MILLRACE__QUORUM__RAFT_MESSAGE__KIND_APPEND_ENTRIES_RESULT;
        out.append_entries_result = &result;
    } else if (message->type == RAFT_IO_REQUEST_VOTE_RESULT) {
        vote.term = message->request_vote_result.term;
        vote.is_granted = message->request_vote_result.vote_granted;
        vote.is_pre_vote = message->request_vote_result.pre_vote == raft_tribool_true;
        out.kind_case = MILLRACE__QUORUM__RAFT_MESSAGE__KIND_REQUEST_VOTE_RESULT;
        out.request_vote_result = &vote;
    } else {
        check(message->type == RAFT_IO_TIMEOUT_NOW);
        timeout.term = message->timeout_now.term;
        timeout.last_index = message->timeout_now.last_log_index;
        timeout.last_term = message->timeout_now.last_log_term;
        out.kind_case = MILLRACE__QUORUM__RAFT_MESSAGE__KIND_TIMEOUT_NOW;
        out.timeout_now = &timeout;
    }
    uint8_t *payload = NULL;
    return frame_new(&out, head, 0, out_frame, &payload);
}

enum status quorum_message_encode(const struct quorum_message_head *head,
                                  const struct raft_message *message, uint8_t **out_frame,
                                  size_t *out_byte_count, uint32_t *out_entry_count)
{
    uint8_t *frame = NULL;
    uint32_t entry_count = 0;
    if (message->type == RAFT_IO_APPEND_ENTRIES) {
        TRY(encode_append_entries(head, &message->append_entries, &frame, &entry_count));
    } else if (message->type == RAFT_IO_INSTALL_SNAPSHOT) {
        TRY(encode_install_snapshot(head, &message->install_snapshot, &frame));
    } else if (message->type == RAFT_IO_REQUEST_VOTE) {
        TRY(encode_request_vote(head, &message->request_vote, &frame));
    } else {
        TRY(encode_small(head, message, &frame));
    }
    *out_byte_count = frame_finish(frame);
    *out_frame = frame;
    *out_entry_count = entry_count;
    return STATUS_OK;
}

enum status quorum_message_encode_hello(const struct quorum_message_head *head,
                                        const struct quorum_message_hello *hello,
                                        uint8_t **out_frame, size_t *out_byte_count)
{
    check(hello->known_count <= QUORUM_META_VOTERS_MAX);
    Millrace__Quorum__Voter voters[QUORUM_META_VOTERS_MAX];
    Millrace__Quorum__Voter *voter_pointers[QUORUM_META_VOTERS_MAX];
    for (uint32_t i = 0; i < hello->known_count; i++) {
        voters[i] = (Millrace__Quorum__Voter)MILLRACE__QUORUM__VOTER__INIT;
        voters[i].node_id = hello->known[i].node_id;
        voters[i].directory_id = data_of(hello->known[i].directory_id, QUORUM_BYTES_ID);
        voter_pointers[i] = &voters[i];
    }
    Millrace__Quorum__Hello body = MILLRACE__QUORUM__HELLO__INIT;
    body.node_id = hello->node_id;
    body.directory_id = data_of(hello->directory_id, QUORUM_BYTES_ID);
    body.is_born = hello->is_born;
    body.voter_count = hello->voter_count;
    body.n_voters = hello->known_count;
    body.voters = voter_pointers;
    Millrace__Quorum__RaftMessage message = MILLRACE__QUORUM__RAFT_MESSAGE__INIT;
    message.kind_case = MILLRACE__QUORUM__RAFT_MESSAGE__KIND_HELLO;
    message.hello = &body;
    uint8_t *frame = NULL;
    uint8_t *payload = NULL;
    TRY(frame_new(&message, head, 0, &frame, &payload));
    *out_byte_count = frame_finish(frame);
    *out_frame = frame;
    return STATUS_OK;
}

/* --- Decoding --------------------------------------------------------------------------------- */

static bool is_plausible(uint64_t term, uint64_t index)
{
    return term <= QUORUM_VOTE_TERM_MAX && index <= INDEX_MAX;
}

static enum status decode_id(const ProtobufCBinaryData *data, uint8_t out_id[QUORUM_BYTES_ID])
{
    if (data->len != QUORUM_BYTES_ID) {
        return STATUS_MALFORMED;
    }
    memcpy(out_id, data->data, QUORUM_BYTES_ID);
    return STATUS_OK;
}

static enum status decode_hello(const Millrace__Quorum__Hello *in, struct quorum_message *out)
{
    struct quorum_message_hello *hello = &out->hello;
    if (in->node_id <= 0 || in->n_voters > QUORUM_META_VOTERS_MAX ||
        in->voter_count > QUORUM_META_VOTERS_MAX || out->payload_bytes != 0) {
        return STATUS_MALFORMED;
    }
    hello->node_id = in->node_id;
    TRY(decode_id(&in->directory_id, hello->directory_id));
    hello->is_born = in->is_born != 0;
    hello->voter_count = in->voter_count;
    for (size_t i = 0; i < in->n_voters; i++) {
        struct quorum_meta_voter *voter = &hello->known[i];
        voter->node_id = in->voters[i]->node_id;
        if (voter->node_id <= (i == 0 ? 0 : hello->known[i - 1].node_id)) {
            return STATUS_MALFORMED;
        }
        TRY(decode_id(&in->voters[i]->directory_id, voter->directory_id));
    }
    hello->known_count = (uint32_t)in->n_voters;
    out->is_hello = true;
    return STATUS_OK;
}

/* Kind and bytes of one entry fit each other. */
static enum status check_entry(unsigned short kind, const uint8_t *bytes, size_t byte_count)
{
    struct quorum_envelope envelope;
    switch (kind) {
    case RAFT_COMMAND:
        return quorum_envelope_read(bytes, byte_count, &envelope);
    case RAFT_BARRIER:
        return byte_count == 8 ? STATUS_OK : STATUS_MALFORMED;
    case RAFT_CHANGE:
        return quorum_configuration_check(bytes, byte_count);
    default:
        return STATUS_MALFORMED;
    }
}

static enum status decode_append_entries(const Millrace__Quorum__AppendEntries *in,
                                         struct quorum_message *out)
{
    size_t count = in->n_entry_terms;
    if (!is_plausible(in->term, in->previous_index) || !is_plausible(in->term, in->commit_index) ||
        in->previous_term > in->term || (in->previous_index == 0) != (in->previous_term == 0) ||
        count > QUORUM_MESSAGE_ENTRIES_MAX || in->n_entry_kinds != count ||
        in->n_entry_bytes != count) {
        return STATUS_MALFORMED;
    }
    out->entries = calloc(count + 1, sizeof *out->entries);
    if (out->entries == NULL) {
        return STATUS_NO_MEMORY;
    }
    uint64_t term = in->previous_term;
    size_t position = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t byte_count = in->entry_bytes[i];
        if (in->entry_terms[i] < term || in->entry_terms[i] > in->term || byte_count == 0 ||
            byte_count > out->payload_bytes - position || in->entry_kinds[i] > UINT16_MAX) {
            return STATUS_MALFORMED;
        }
        term = in->entry_terms[i];
        out->entries[i] = (struct quorum_message_entry){.term = term,
                                                        .kind = (unsigned short)in->entry_kinds[i],
                                                        .position = position,
                                                        .byte_count = byte_count};
        if (term == 0) {
            return STATUS_MALFORMED;
        }
        TRY(check_entry(out->entries[i].kind, out->payload + position, byte_count));
        position += byte_count;
    }
    out->entry_count = (uint32_t)count;
    out->raft.type = RAFT_IO_APPEND_ENTRIES;
    out->raft.append_entries = (struct raft_append_entries){.term = in->term,
                                                            .prev_log_index = in->previous_index,
                                                            .prev_log_term = in->previous_term,
                                                            .leader_commit = in->commit_index,
                                                            .n_entries = (unsigned)count};
    return position == out->payload_bytes ? STATUS_OK : STATUS_MALFORMED;
}

static enum status decode_install_snapshot(const Millrace__Quorum__InstallSnapshot *in,
                                           struct quorum_message *out)
{
    struct quorum_envelope_state state;
    if (!is_plausible(in->term, in->last_index) || in->last_index == 0 || in->last_term == 0 ||
        in->last_term > in->term || in->configuration_index == 0 ||
        in->configuration_index > in->last_index) {
        return STATUS_MALFORMED;
    }
    TRY(quorum_configuration_check(in->configuration.data, in->configuration.len));
    TRY(quorum_envelope_read_state(out->payload, out->payload_bytes, &state));
    if (state.raft_index != in->last_index) {
        return STATUS_MALFORMED;
    }
    out->configuration = malloc(in->configuration.len);
    if (out->configuration == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(out->configuration, in->configuration.data, in->configuration.len);
    out->configuration_bytes = (uint32_t)in->configuration.len;
    out->raft.type = RAFT_IO_INSTALL_SNAPSHOT;
    out->raft.install_snapshot =
        (struct raft_install_snapshot){.term = in->term,
                                       .last_index = in->last_index,
                                       .last_term = in->last_term,
                                       .conf_index = in->configuration_index};
    return STATUS_OK;
}

static enum status decode_request_vote(const Millrace__Quorum__RequestVote *in,
                                       struct quorum_message *out)
{
    if (!is_plausible(in->term, in->last_index) || in->term == 0 || in->last_term > in->term ||
        in->candidate != out->head.from) {
        return STATUS_MALFORMED;
    }
    out->raft.type = RAFT_IO_REQUEST_VOTE;
    out->raft.request_vote = (struct raft_request_vote){.term = in->term,
                                                        .candidate_id = in->candidate,
                                                        .last_log_index = in->last_index,
                                                        .last_log_term = in->last_term,
                                                        .disrupt_leader = in->disrupts_leader != 0,
                                                        .pre_vote = in->is_pre_vote != 0};
    return STATUS_OK;
}

static enum status decode_small(const Millrace__Quorum__RaftMessage *in, struct quorum_message *out)
{
    if (in->kind_case == MILLRACE__QUORUM__RAFT_MESSAGE__KIND_APPEND_ENTRIES_RESULT) {
        const Millrace__Quorum__AppendEntriesResult *result = in->append_entries_result;
        out->raft.type = RAFT_IO_APPEND_ENTRIES_RESULT;
        out->raft.append_entries_result =
            (struct raft_append_entries_result){.term = result->term,
                                                .rejected = result->rejected,
                                                .last_log_index = result->last_index};
        return is_plausible(result->term, result->rejected) &&
                       is_plausible(result->term, result->last_index)
                   ? STATUS_OK
                   : STATUS_MALFORMED;
    }
    if (in->kind_case == MILLRACE__QUORUM__RAFT_MESSAGE__KIND_REQUEST_VOTE_RESULT) {
        const Millrace__Quorum__RequestVoteResult *result = in->request_vote_result;
        out->raft.type = RAFT_IO_REQUEST_VOTE_RESULT;
        out->raft.request_vote_result =
            (struct raft_request_vote_result){.term = result->term,
                                              .vote_granted = result->is_granted != 0,
                                              .pre_vote = TO_RAFT_TRIBOOL(result->is_pre_vote)};
        return is_plausible(result->term, 0) ? STATUS_OK : STATUS_MALFORMED;
    }
    const Millrace__Quorum__TimeoutNow *timeout = in->timeout_now;
    out->raft.type = RAFT_IO_TIMEOUT_NOW;
    out->raft.timeout_now = (struct raft_timeout_now){.term = timeout->term,
                                                      .last_log_index = timeout->last_index,
                                                      .last_log_term = timeout->last_term};
    return is_plausible(timeout->term, timeout->last_index) ? STATUS_OK : STATUS_MALFORMED;
}

static enum status decode_kind(const Millrace__Quorum__RaftMessage *in, struct quorum_message *out)
{
    switch (in->kind_case) {
    case MILLRACE__QUORUM__RAFT_MESSAGE__KIND_HELLO:
        return decode_hello(in->hello, out);
    case MILLRACE__QUORUM__RAFT_MESSAGE__KIND_APPEND_ENTRIES:
        return decode_append_entries(in->append_entries, out);
    case MILLRACE__QUORUM__RAFT_MESSAGE__KIND_INSTALL_SNAPSHOT:
        return decode_install_snapshot(in->install_snapshot, out);
    case MILLRACE__QUORUM__RAFT_MESSAGE__KIND_REQUEST_VOTE:
        return out->payload_bytes == 0 ? decode_request_vote(in->request_vote, out)
                                       : STATUS_MALFORMED;
    case MILLRACE__QUORUM__RAFT_MESSAGE__KIND_APPEND_ENTRIES_RESULT:
    case MILLRACE__QUORUM__RAFT_MESSAGE__KIND_REQUEST_VOTE_RESULT:
    case MILLRACE__QUORUM__RAFT_MESSAGE__KIND_TIMEOUT_NOW:
        return out->payload_bytes == 0 ? decode_small(in, out) : STATUS_MALFORMED;
    case MILLRACE__QUORUM__RAFT_MESSAGE__KIND__NOT_SET:
    case _MILLRACE__QUORUM__RAFT_MESSAGE__KIND__CASE_IS_INT_SIZE:
        break;
    }
    return STATUS_UNSUPPORTED;
}

static enum status decode_unpacked(const Millrace__Quorum__RaftMessage *in,
                                   struct quorum_message *out)
{
    if (in->version != QUORUM_MESSAGE_VERSION) {
        return in->version > QUORUM_MESSAGE_VERSION ? STATUS_UNSUPPORTED : STATUS_MALFORMED;
    }
    out->head.from = in->from;
    out->head.to = in->to;
    if (quorum_meta_node_id(in->from) <= 0) {
        return STATUS_MALFORMED;
    }
    if (in->cluster_id.len > 0) {
        TRY(decode_id(&in->cluster_id, out->head.cluster_id));
        out->head.has_cluster_id = true;
    }
    return decode_kind(in, out);
}

/* Splits the frame: `out_message` and the payload behind it lie in `bytes`. */
static enum status decode_frame(const uint8_t *bytes, size_t byte_count,
                                const uint8_t **out_message, size_t *out_message_bytes)
{
    if (byte_count < FIXED_BYTES || byte_count > QUORUM_MESSAGE_BYTES_MAX ||
        memcmp(bytes, header, HEADER_BYTES) != 0) {
        return STATUS_MALFORMED;
    }
    const uint8_t *at = bytes + HEADER_BYTES;
    if (crc32c(0, at + CRC_BYTES, byte_count - HEADER_BYTES - CRC_BYTES) != big_endian_get32(at)) {
        return STATUS_MALFORMED;
    }
    size_t message_bytes = big_endian_get32(at + CRC_BYTES);
    if (message_bytes > byte_count - FIXED_BYTES) {
        return STATUS_MALFORMED;
    }
    *out_message = bytes + FIXED_BYTES;
    *out_message_bytes = message_bytes;
    return STATUS_OK;
}

enum status quorum_message_decode(const uint8_t *bytes, size_t byte_count,
                                  struct quorum_message **out_message)
{
    const uint8_t *packed = NULL;
    size_t packed_bytes = 0;
    TRY(decode_frame(bytes, byte_count, &packed, &packed_bytes));
    struct quorum_message *message = calloc(1, sizeof *message);
    if (message == NULL) {
        return STATUS_NO_MEMORY;
    }
    list_init(&message->link);
    message->byte_count = byte_count;
    message->payload_bytes = byte_count - FIXED_BYTES - packed_bytes;
    message->payload = malloc(message->payload_bytes + 1);
    Millrace__Quorum__RaftMessage *unpacked =
        message->payload == NULL
            ? NULL
            : millrace__quorum__raft_message__unpack(NULL, packed_bytes, packed);
    enum status status = message->payload == NULL ? STATUS_NO_MEMORY : STATUS_MALFORMED;
    if (unpacked != NULL) {
        memcpy(message->payload, packed + packed_bytes, message->payload_bytes);
        status = decode_unpacked(unpacked, message);
        millrace__quorum__raft_message__free_unpacked(unpacked, NULL);
    }
    if (status != STATUS_OK) {
        quorum_message_free(message);
        return status;
    }
    *out_message = message;
    return STATUS_OK;
}

void quorum_message_free(struct quorum_message *self)
{
    if (self == NULL) {
        return;
    }
    free(self->entries);
    free(self->configuration);
    free(self->payload);
    free(self);
}
