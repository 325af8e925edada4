#include "raft/quorum_send.h"

#include "proto/sys/check.h"
#include "raft/quorum_remedy.h"

#include <stdlib.h>
#include <string.h>

#define PROGRESS_PIPELINE 1 /* libraft's, of struct raft_progress. */

void quorum_send_note_covered(struct quorum_core *core)
{
    if (core->verified_term != core->raft.current_term) {
        core->verified_term = core->raft.current_term;
        core->verified_index = 0;
    }
    if (core->covered_index > core->verified_index) {
        core->verified_index = core->covered_index;
    }
}

/* False: the answer stays here. */
static bool correct_result(struct quorum_core *self, struct raft_append_entries_result *result)
{
    if (self->is_suppressing) {
        return false;
    }
    if (result->rejected != 0) {
        return true;
    }
    if (self->is_refusing) {
        /* A request with nothing before it is refused by "rejected 0", which means accepted. */
        if (quorum_remedy_is_on(QUORUM_REMEDY_REPLY)) {
            result->rejected = 1;
        }
        return true;
    }
    if ((self->in_append_entries || self->in_follower_append) &&
        quorum_remedy_is_on(QUORUM_REMEDY_CLAMP)) {
        quorum_send_note_covered(self);
        if (result->last_log_index > self->verified_index) {
            result->last_log_index = self->verified_index;
        }
    }
    return true;
}

static void correct_vote(struct quorum_core *self, struct raft_request_vote_result *result)
{
    /* A refused pre-vote echoes the request's term; a candidate with the better log would never
     * learn of a higher one, and with a minority down nobody would ever win. */
    if (result->pre_vote == raft_tribool_true && !result->vote_granted &&
        result->term < self->raft.current_term && quorum_remedy_is_on(QUORUM_REMEDY_TERM)) {
        result->term = self->raft.current_term;
    }
}

static void defer(struct quorum_core *self, struct raft_io_send *request, raft_io_send_cb callback,
                  bool has_left)
{
    if (callback == NULL) {
        return;
    }
    if (self->deferred_count == self->deferred_count_max) {
        self->deferred_count_max =
            self->deferred_count_max == 0 ? 16 : self->deferred_count_max * 2;
        self->deferred = realloc(self->deferred, self->deferred_count_max * sizeof *self->deferred);
        check(self->deferred != NULL);
    }
    bool says_ok = has_left || quorum_remedy_is_on(QUORUM_REMEDY_SEND_OK);
    self->deferred[self->deferred_count] = (struct quorum_core_deferred){
        .request = request, .callback = callback, .code = says_ok ? 0 : RAFT_NOCONNECTION};
    self->deferred_count += 1;
}

static void note_cut(struct quorum_core *self, uint64_t raft_id, uint64_t next_index)
{
    for (uint32_t i = 0; i < self->cut_count; i++) {
        if (self->cuts[i].raft_id == raft_id) {
            self->cuts[i].next_index = next_index;
            return;
        }
    }
    if (self->cut_count < QUORUM_CONFIGURATION_SERVERS_MAX) {
        self->cuts[self->cut_count] =
            (struct quorum_core_cut){.raft_id = raft_id, .next_index = next_index};
        self->cut_count += 1;
    }
}

static bool transmit(struct quorum_core *self, uint64_t raft_id, const struct raft_message *message)
{
    struct quorum_message_head head = {
        .has_cluster_id = true, .from = self->raft_id, .to = raft_id};
    memcpy(head.cluster_id, self->options.meta->cluster_id, sizeof head.cluster_id);
    uint8_t *frame = NULL;
    size_t byte_count = 0;
    uint32_t entry_count = 0;
    enum status status = quorum_message_encode(&head, message, &frame, &byte_count, &entry_count);
    if (status != STATUS_OK) {
        trace_line(self->options.loop->trace, TRACE_ERROR, "quorum", "not-sent",
                   "node=%d type=%d why=\"%s\"", quorum_meta_node_id(raft_id), message->type,
                   status_text(status));
        return false;
    }
    if (message->type == RAFT_IO_APPEND_ENTRIES &&
        entry_count < message->append_entries.n_entries) {
        note_cut(self, raft_id, message->append_entries.prev_log_index + entry_count + 1);
    }
    return self->options.on_send(self->options.context, quorum_meta_node_id(raft_id), frame,
                                 byte_count);
}

int quorum_send(struct raft_io *io, struct raft_io_send *request,
                const struct raft_message *message, raft_io_send_cb callback)
{
    struct quorum_core *self = io->impl;
    struct raft_message corrected = *message;
    bool leaves = !self->is_dead;
    if (message->type == RAFT_IO_APPEND_ENTRIES_RESULT) {
        leaves = correct_result(self, &corrected.append_entries_result) && leaves;
    } else if (message->type == RAFT_IO_REQUEST_VOTE_RESULT) {
        correct_vote(self, &corrected.request_vote_result);
    }
    /* A late callback reads its leader from the union of another state: the number may be anything,
     * and the address behind it must never be followed. */
    uint64_t raft_id = message->server_id;
    leaves = leaves && raft_id != self->raft_id && quorum_meta_node_id(raft_id) > 0;
    if (!quorum_remedy_is_on(QUORUM_REMEDY_ROUTE) && !self->is_dead) {
        volatile size_t length = strlen(message->server_address);
        (void)length;
    }
    bool has_left = leaves && transmit(self, raft_id, &corrected);
    defer(self, request, callback, has_left);
    return 0;
}

void quorum_send_settle(struct quorum_core *core)
{
    for (size_t i = 0; i < core->deferred_count; i++) {
        struct quorum_core_deferred deferred = core->deferred[i];
        deferred.callback(deferred.request, deferred.code);
    }
    core->deferred_count = 0;
}

void quorum_send_fix_cuts(struct quorum_core *core)
{
    struct raft *raft = &core->raft;
    for (uint32_t i = 0; i < core->cut_count && raft->state == RAFT_LEADER; i++) {
        for (unsigned k = 0; k < raft->configuration.n; k++) {
            struct raft_progress *progress = &raft->leader_state.progress[k];
            if (raft->configuration.servers[k].id == core->cuts[i].raft_id &&
                progress->state == PROGRESS_PIPELINE &&
                progress->next_index > core->cuts[i].next_index) {
                progress->next_index = core->cuts[i].next_index;
            }
        }
    }
    core->cut_count = 0;
}
