#include "raft/quorum_receive.h"

#include "proto/sys/check.h"
#include "raft/quorum_remedy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t term_of(const struct quorum_message *message)
{
    switch (message->raft.type) {
    case RAFT_IO_APPEND_ENTRIES:
        return message->raft.append_entries.term;
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        return message->raft.append_entries_result.term;
    case RAFT_IO_REQUEST_VOTE:
        return message->raft.request_vote.term;
    case RAFT_IO_REQUEST_VOTE_RESULT:
        return message->raft.request_vote_result.term;
    case RAFT_IO_INSTALL_SNAPSHOT:
        return message->raft.install_snapshot.term;
    default:
        check(message->raft.type == RAFT_IO_TIMEOUT_NOW);
        return message->raft.timeout_now.term;
    }
}

/* Index of the first entry from `skip` on that contradicts the log; 0: none does. `previous_index`
 * is that of the entry before it. */
static uint64_t first_conflict(const struct quorum_core *self, const struct quorum_message *message,
                               uint32_t skip, uint64_t previous_index)
{
    for (uint32_t i = skip; i < message->entry_count; i++) {
        uint64_t index = previous_index + 1 + (i - skip);
        uint64_t term = quorum_core_term_at(self, index);
        if (term != 0 && term != message->entries[i].term) {
            return index;
        }
    }
    return 0;
}

/* --- Holding ---------------------------------------------------------------------------------- */

static bool must_hold(const struct quorum_core *self, const struct quorum_message *message)
{
    if (!quorum_core_is_busy(self) || !quorum_remedy_is_on(QUORUM_REMEDY_HOLD)) {
        return false;
    }
    uint64_t term = term_of(message);
    uint64_t own_term = self->raft.current_term;
    switch (message->raft.type) {
    case RAFT_IO_REQUEST_VOTE:
        return !message->raft.request_vote.pre_vote && term > own_term;
    case RAFT_IO_TIMEOUT_NOW:
    case RAFT_IO_INSTALL_SNAPSHOT:
        return true;
    case RAFT_IO_APPEND_ENTRIES:
        return term > own_term ||
               first_conflict(self, message, 0, message->raft.append_entries.prev_log_index) != 0;
    case RAFT_IO_REQUEST_VOTE_RESULT:
        /* An answer to a pre-vote carries the term that was asked for. */
        return term > own_term + (message->raft.request_vote_result.pre_vote == raft_tribool_true);
    default:
        return term > own_term;
    }
}

static void hold(struct quorum_core *self, struct quorum_message *message)
{
    if (self->held_bytes + message->byte_count > QUORUM_CORE_HELD_BYTES_MAX) {
        quorum_message_free(message); /* As if the network had lost it. */
        return;
    }
    self->held_bytes += message->byte_count;
    list_append(&self->held, &message->link);
}

void quorum_receive_drop_held(struct quorum_core *core)
{
    struct list *link;
    while (core->held.next != NULL && (link = list_take_first(&core->held)) != NULL) {
        quorum_message_free(container_of(link, struct quorum_message, link));
    }
    core->held_bytes = 0;
}

static void deliver(struct quorum_core *self, struct quorum_message *message);

static void release_on_mail(struct mail *mail)
{
    struct quorum_core *self = container_of(mail, struct quorum_core, release);
    self->is_release_posted = false;
    while (!self->is_closing && !self->is_dead && !list_is_empty(&self->held)) {
        struct quorum_message *message = container_of(self->held.next, struct quorum_message, link);
        if (must_hold(self, message)) {
            return;
        }
        list_remove(&message->link);
        self->held_bytes -= message->byte_count;
        deliver(self, message);
    }
}

void quorum_receive_settle(struct quorum_core *core)
{
    if (core->is_release_posted || list_is_empty(&core->held) || quorum_core_is_busy(core)) {
        return;
    }
    core->is_release_posted = true;
    core->release.deliver = release_on_mail;
    loop_defer(core->options.loop, &core->release);
}

/* --- Into the core ---------------------------------------------------------------------------- */

struct sender_name {
    char text[16];
};

/* What libraft wants for an address; it is compared and copied, nothing more. */
static void set_sender(struct raft_message *out, uint64_t raft_id, struct sender_name *name)
{
    (void)snprintf(name->text, sizeof name->text, "%d", quorum_meta_node_id(raft_id));
    out->server_id = raft_id;
    out->server_address = name->text;
}

void quorum_receive_result(struct quorum_core *core, uint64_t raft_id,
                           const struct raft_append_entries_result *result)
{
    struct raft_message message = {.type = RAFT_IO_APPEND_ENTRIES_RESULT,
                                   .append_entries_result = *result};
    struct sender_name name;
    set_sender(&message, raft_id, &name);
    core->on_receive(&core->io, &message);
}

/* The entries from `skip` on, in one batch that libraft frees. */
static void give_entries(const struct quorum_message *message, uint32_t skip,
                         struct raft_append_entries *out)
{
    out->entries = NULL;
    out->n_entries = message->entry_count - skip;
    if (out->n_entries == 0) {
        return;
    }
    uint8_t *batch = raft_malloc(message->payload_bytes);
    memcpy(batch, message->payload, message->payload_bytes);
    out->entries = raft_calloc(out->n_entries, sizeof *out->entries);
    for (uint32_t i = 0; i < out->n_entries; i++) {
        const struct quorum_message_entry *entry = &message->entries[skip + i];
        out->entries[i] = (struct raft_entry){.term = entry->term,
                                              .type = entry->kind,
                                              .buf = {batch + entry->position, entry->byte_count},
                                              .batch = batch};
    }
}

static void give_append_entries(struct quorum_core *self, const struct quorum_message *message,
                                struct raft_append_entries *out)
{
    struct raft *raft = &self->raft;
    bool is_current = out->term >= raft->current_term;
    uint32_t skip = 0;
    uint64_t commit_term = quorum_core_term_at(self, raft->commit_index);
    if (is_current && out->prev_log_index < raft->commit_index && commit_term != 0 &&
        quorum_remedy_is_on(QUORUM_REMEDY_TRIM)) {
        /* A leader holds all that is committed. libraft would append what it has compacted away at
         * the wrong place, or answer such that the leader goes on from there for ever. */
        uint64_t below = raft->commit_index - out->prev_log_index;
        skip = below < message->entry_count ? (uint32_t)below : message->entry_count;
        out->prev_log_index = raft->commit_index;
        out->prev_log_term = commit_term;
    }
    uint64_t covered = out->prev_log_index + (message->entry_count - skip);
    if (out->leader_commit > covered && quorum_remedy_is_on(QUORUM_REMEDY_REPLY)) {
        out->leader_commit = covered;
    }
    uint64_t conflict = first_conflict(self, message, skip, out->prev_log_index);
    if (is_current && conflict > raft->commit_index &&
        quorum_core_term_at(self, out->prev_log_index) == out->prev_log_term &&
        (raft->configuration_index >= conflict ||
         raft->configuration_uncommitted_index >= conflict) &&
        quorum_remedy_is_on(QUORUM_REMEDY_HISTORY)) {
        /* libraft would roll back to an entry that it may not hold any more. So would a leader,
         * which this request of a higher term ends before it cuts the log. */
        quorum_core_set_configuration(self, conflict - 1);
    }
    give_entries(message, skip, out);
    self->in_append_entries = true;
    self->covered_index = covered;
    self->is_refusing = !is_current;
}

static void give_install_snapshot(struct quorum_core *self, const struct quorum_message *message,
                                  struct raft_install_snapshot *out)
{
    enum status status = quorum_configuration_decode(message->configuration,
                                                     message->configuration_bytes, &out->conf);
    check(status == STATUS_OK); /* It was checked when it came in. */
    out->data.len = message->payload_bytes;
    out->data.base = raft_malloc(message->payload_bytes);
    memcpy(out->data.base, message->payload, message->payload_bytes);
    self->is_refusing = out->term < self->raft.current_term;
}

static void give(struct quorum_core *self, void *argument)
{
    const struct quorum_message *message = argument;
    struct raft *raft = &self->raft;
    struct raft_message out = message->raft;
    struct sender_name name;
    set_sender(&out, message->head.from, &name);
    if (out.type == RAFT_IO_APPEND_ENTRIES) {
        give_append_entries(self, message, &out.append_entries);
    } else if (out.type == RAFT_IO_INSTALL_SNAPSHOT) {
        give_install_snapshot(self, message, &out.install_snapshot);
    }

    /* The candidate's configuration decides whose votes count. A voter that believes, perhaps by an
     * entry that was never committed, to be none would refuse, and two crossing changes could stop
     * a healthy cluster: so it is one for the length of this call. */
    struct raft_configuration own = raft->configuration;
    struct raft_server self_server = {self->raft_id, self->identity, RAFT_VOTER};
    bool lends = out.type == RAFT_IO_REQUEST_VOTE && raft->state == RAFT_FOLLOWER &&
                 quorum_remedy_is_on(QUORUM_REMEDY_NON_VOTER);
    if (lends) {
        raft->configuration = (struct raft_configuration){&self_server, 1};
    }
    self->on_receive(&self->io, &out);
    if (lends) {
        raft->configuration = own;
    }
    self->in_append_entries = false;
    self->is_refusing = false;
    self->covered_index = 0;
}

/* --- Before the core -------------------------------------------------------------------------- */

/* A former leader whose transfer is pending would vote a second time, for the one it transferred
 * to: two leaders in one term. */
static bool is_second_vote(const struct quorum_core *self, const struct quorum_message *message)
{
    const struct raft_request_vote *request = &message->raft.request_vote;
    return message->raft.type == RAFT_IO_REQUEST_VOTE && !request->pre_vote &&
           request->term == self->raft.current_term && self->raft.voted_for != 0 &&
           self->raft.voted_for != request->candidate_id && quorum_remedy_is_on(QUORUM_REMEDY_VOTE);
}

/* True when the acknowledgement was put aside until the own barrier is on this disk; the newest one
 * of each peer is enough. */
static bool park(struct quorum_core *self, const struct quorum_message *message)
{
    const struct raft_append_entries_result *result = &message->raft.append_entries_result;
    if (message->raft.type != RAFT_IO_APPEND_ENTRIES_RESULT || self->raft.state != RAFT_LEADER ||
        result->term != self->raft.current_term || result->rejected != 0 ||
        !quorum_remedy_is_on(QUORUM_REMEDY_BARRIER) ||
        (self->barrier_index != 0 && self->raft.last_stored >= self->barrier_index)) {
        return false;
    }
    struct quorum_core_parked *place = NULL;
    for (uint32_t i = 0; i < QUORUM_CONFIGURATION_SERVERS_MAX; i++) {
        struct quorum_core_parked *parked = &self->parked[i];
        if (parked->raft_id == message->head.from) {
            place = parked;
            break;
        }
        if (parked->raft_id == 0 && place == NULL) {
            place = parked;
        }
    }
    if (place != NULL) {
        *place = (struct quorum_core_parked){.raft_id = message->head.from, .result = *result};
    }
    return true;
}

/* A snapshot whose last entry contradicts one of a higher term in this log is answered "have it
 * all" by libraft, for ever. The log is cut there and the core started again; then it fits. */
static bool conflicts_above(const struct quorum_core *self, const struct quorum_message *message)
{
    const struct raft_install_snapshot *request = &message->raft.install_snapshot;
    return message->raft.type == RAFT_IO_INSTALL_SNAPSHOT &&
           request->term >= self->raft.current_term &&
           request->last_index > self->raft.commit_index &&
           quorum_core_term_at(self, request->last_index) > request->last_term &&
           quorum_remedy_is_on(QUORUM_REMEDY_CONFLICT);
}

static bool cut_and_restart(struct quorum_core *self, uint64_t index)
{
    if (quorum_core_is_busy(self) || self->is_putting || !quorum_log_is_idle(&self->log) ||
        self->raft.state == RAFT_LEADER) {
        return false; /* The leader sends it again. */
    }
    trace_line(self->options.loop->trace, TRACE_WARN, "quorum", "log-cut-for-snapshot",
               "index=%llu", (unsigned long long)index);
    enum status status =
        quorum_log_truncate_now(&self->log, index, quorum_core_term_at(self, index - 1));
    if (status != STATUS_OK) {
        quorum_core_die(self, status);
        self->options.on_turn(self->options.context);
        return false;
    }
    quorum_core_restart(self);
    return !self->is_dead;
}

/* Somebody leads our own term beside us, or sends what only a leader sends. libraft would write a
 * follower's state over the leader's. */
static bool is_second_leader(struct quorum_core *self, const struct quorum_message *message)
{
    if (self->raft.state != RAFT_LEADER || term_of(message) != self->raft.current_term ||
        (message->raft.type != RAFT_IO_APPEND_ENTRIES &&
         message->raft.type != RAFT_IO_INSTALL_SNAPSHOT)) {
        return false;
    }
    trace_line(self->options.loop->trace, TRACE_ERROR, "quorum", "second-leader",
               "node=%d term=%llu", quorum_meta_node_id(message->head.from),
               self->raft.current_term);
    return true;
}

static void deliver(struct quorum_core *self, struct quorum_message *message)
{
    if (is_second_leader(self, message) || is_second_vote(self, message) || park(self, message) ||
        (conflicts_above(self, message) &&
         !cut_and_restart(self, message->raft.install_snapshot.last_index))) {
        quorum_message_free(message);
        return;
    }
    quorum_core_run(self, give, message);
    quorum_message_free(message);
}

/* Somebody who has a voter's node id but not its directory: wiped, or a stranger. */
static bool is_replaced(const struct quorum_core *self, const struct quorum_message *message)
{
    const struct raft_configuration *configuration = &self->raft.configuration;
    for (unsigned i = 0; i < configuration->n; i++) {
        uint64_t raft_id = configuration->servers[i].id;
        if (raft_id != message->head.from &&
            quorum_meta_node_id(raft_id) == quorum_meta_node_id(message->head.from)) {
            return true;
        }
    }
    return false;
}

void quorum_receive(struct quorum_core *core, struct quorum_message *message)
{
    check(!core->is_inside);
    check(!message->is_hello);
    if (core->is_dead || core->is_closing || is_replaced(core, message)) {
        quorum_message_free(message);
        return;
    }
    if (must_hold(core, message)) {
        hold(core, message);
        return;
    }
    deliver(core, message);
}
