#include "broker/metadata/image_delta.h"

#include "broker/metadata/image_records.h"
#include "proto/sys/check.h"

#include <string.h>

static bool is_zero(const ProtobufCBinaryData *token)
{
    for (size_t i = 0; i < token->len; i++) {
        if (token->data[i] != 0) {
            return false;
        }
    }
    return true;
}

static enum status check_command(const Millrace__Cluster__Command *command)
{
    if (command->version == 0) {
        return STATUS_MALFORMED;
    }
    if (command->version > IMAGE_DELTA_VERSION) {
        return STATUS_UNSUPPORTED;
    }
    if (command->token.len != 0 && command->token.len != IMAGE_TOKEN_BYTES) {
        return STATUS_MALFORMED;
    }
    for (size_t i = 0; i < command->n_records; i++) {
        if (command->records[i]->kind_case == MILLRACE__CLUSTER__RECORD__KIND__NOT_SET) {
            return STATUS_UNSUPPORTED; /* A kind this version has no number for. */
        }
    }
    return STATUS_OK;
}

static struct image *move_index(struct image *base, uint64_t index)
{
    struct image *next = image_state_copy(base);
    next->index = index;
    return next;
}

static enum status apply_command(struct image *base, uint64_t index,
                                 const Millrace__Cluster__Command *command,
                                 struct image_delta *out_delta)
{
    TRY(check_command(command));
    bool has_token = command->token.len == IMAGE_TOKEN_BYTES && !is_zero(&command->token);
    uint64_t earlier = 0;
    if (has_token && image_knows_token(base, command->token.data, &earlier)) {
        *out_delta = (struct image_delta){.image = move_index(base, index), .is_repeated = true};
        return STATUS_OK;
    }
    struct image_draft *draft = image_draft_new(base);
    struct image_records_options options = {.index = index};
    for (size_t i = 0; i < command->n_records; i++) {
        const char *refusal = NULL;
        enum status status = image_records_apply(draft, command->records[i], &options, &refusal);
        if (status == STATUS_OK) {
            continue;
        }
        image_draft_free(draft);
        if (status != STATUS_INVALID) {
            return status;
        }
        *out_delta = (struct image_delta){
            .image = move_index(base, index), .is_refused = true, .refusal = refusal};
        return STATUS_OK;
    }
    if (has_token) {
        image_state_add_token(image_draft_head(draft), command->token.data, index);
    }
    *out_delta = (struct image_delta){.image = image_draft_finish(draft, index)};
    return STATUS_OK;
}

enum status image_delta_apply(struct image *base, uint64_t index, const void *bytes,
                              size_t byte_count, struct image_delta *out_delta)
{
    check(index > base->index);
    Millrace__Cluster__Command *command =
        millrace__cluster__command__unpack(NULL, byte_count, bytes);
    if (command == NULL) {
        return STATUS_MALFORMED;
    }
    enum status status = apply_command(base, index, command, out_delta);
    if (status == STATUS_OK && command->token.len == IMAGE_TOKEN_BYTES) {
        memcpy(out_delta->token, command->token.data, IMAGE_TOKEN_BYTES);
    }
    millrace__cluster__command__free_unpacked(command, NULL);
    return status;
}
