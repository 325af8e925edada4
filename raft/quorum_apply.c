#include "raft/quorum_apply.h"

#include "proto/sys/check.h"
#include "raft/quorum_envelope.h"

#include <stdlib.h>

_Static_assert(sizeof((struct quorum_core *)NULL)->state_head >= QUORUM_ENVELOPE_STATE_HEAD_BYTES,
               "the head of a snapshot's payload waits there");

static int apply(struct raft_fsm *machine, const struct raft_buffer *buffer, void **out_result)
{
    struct quorum_core *self = machine->data;
    uint64_t raft_index = self->raft.last_applied + 1; /* libraft counts on only afterwards. */
    *out_result = NULL;
    if (self->is_dead) {
        return RAFT_IOERR;
    }
    if (raft_index <= self->applied_raft_index) {
        return 0;
    }
    struct quorum_envelope envelope;
    enum status status = quorum_envelope_read(buffer->base, buffer->len, &envelope);
    if (status != STATUS_OK) {
        quorum_core_die(self, status); /* It was looked at when it came in. */
        return RAFT_CORRUPT;
    }
    self->applied_raft_index = raft_index;
    self->entry_first_command = self->command_count + 1;
    struct quorum_fsm *fsm = self->options.fsm;
    struct quorum_envelope_command command;
    while (quorum_envelope_next(&envelope, &command)) {
        self->command_count += 1;
        fsm->ops->apply(fsm, self->command_count, (int64_t)envelope.term, command.bytes,
                        command.byte_count);
    }
    return 0;
}

static int snapshot(struct raft_fsm *machine, struct raft_buffer *out_buffers[],
                    unsigned *out_buffer_count)
{
    static uint8_t zeros[8];
    struct quorum_core *self = machine->data;
    if (self->is_dead || self->raft.last_applied < self->applied_raft_index) {
        return RAFT_BUSY; /* Behind a restart in place the state is ahead of what libraft knows. */
    }
    struct quorum_envelope_state state = {.command_count = self->command_count,
                                          .raft_index = self->raft.last_applied};
    void *bytes = NULL;
    struct quorum_fsm *fsm = self->options.fsm;
    if (fsm->ops->snapshot(fsm, &bytes, &state.byte_count) != STATUS_OK) {
        return RAFT_BUSY; /* Tried again after the next entry. */
    }
    state.bytes = bytes;
    struct raft_buffer *buffers = raft_calloc(3, sizeof *buffers);
    size_t padding = quorum_envelope_write_state_head(self->state_head, &state);
    buffers[0] = (struct raft_buffer){self->state_head, QUORUM_ENVELOPE_STATE_HEAD_BYTES};
    buffers[1] = (struct raft_buffer){bytes, state.byte_count};
    buffers[2] = (struct raft_buffer){zeros, padding};
    self->state_bytes = bytes;
    *out_buffers = buffers;
    *out_buffer_count = 3;
    return 0;
}

static int snapshot_finalize(struct raft_fsm *machine, struct raft_buffer *buffers[],
                             unsigned *buffer_count)
{
    struct quorum_core *self = machine->data;
    free(self->state_bytes);
    self->state_bytes = NULL;
    raft_free(*buffers);
    *buffers = NULL;
    *buffer_count = 0;
    return 0;
}

static int restore(struct raft_fsm *machine, struct raft_buffer *buffer)
{
    struct quorum_core *self = machine->data;
    struct quorum_envelope_state state;
    enum status status = quorum_envelope_read_state(buffer->base, buffer->len, &state);
    if (status == STATUS_MALFORMED) {
        status = STATUS_CORRUPT;
    }
    if (status == STATUS_OK && state.raft_index > self->applied_raft_index) {
        struct quorum_fsm *fsm = self->options.fsm;
        status = fsm->ops->restore(fsm, state.command_count, state.bytes, state.byte_count);
        if (status == STATUS_OK) {
            self->command_count = state.command_count;
            self->applied_raft_index = state.raft_index;
        }
    }
    if (status != STATUS_OK) {
        self->load_status = status;
        quorum_core_die(self, status);
        return RAFT_CORRUPT;
    }
    raft_free(buffer->base); /* libraft gave it away. */
    return 0;
}

void quorum_apply_init(struct quorum_core *core)
{
    core->machine = (struct raft_fsm){.version = 2,
                                      .data = core,
                                      .apply = apply,
                                      .snapshot = snapshot,
                                      .restore = restore,
                                      .snapshot_finalize = snapshot_finalize};
}
