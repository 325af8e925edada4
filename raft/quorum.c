#include "raft/quorum.h"

#include "proto/sys/check.h"
#include "raft/peer_transport.h"
#include "raft/quorum_birth.h"
#include "raft/quorum_core.h"
#include "raft/quorum_envelope.h"
#include "raft/quorum_receive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUORUM_MAGIC 0x40042233U
#define ELECTION_MS_DEFAULT 1000U
#define HEARTBEAT_MS_DEFAULT 100U
#define SNAPSHOT_ENTRIES_DEFAULT 8192U
/* libraft commits only what a majority has up to the leader's own end, so that many entries in
 * flight delay each other; proposals that wait meanwhile share the next one. */
#define ENTRIES_IN_FLIGHT_MAX 3U
#define HELLO_MS 250

struct quorum {
    uint32_t magic;
    struct quorum_options options;
    char directory[DISK_PATH_BYTES_MAX];
    struct quorum_meta meta;
    struct quorum_birth birth;
    struct timer hello;
    struct quorum_core core; /* Open once `meta` is born. */
    bool is_core_open;
    bool is_closing;
    bool is_fatal_told;
    void (*on_closed)(void *context);
    void *closed_context;

    struct list waiting; /* struct quorum_proposal. */
    uint32_t waiting_count;
    struct list entries; /* struct entry, handed to libraft. */
    uint32_t entry_count;
    struct list asking; /* Confirmations that wait for the next barrier. */
    uint32_t asking_count;
    struct confirmation *confirmation; /* Owned; the barrier under way; NULL: none. */
    struct list answered;              /* Proposals whose status is known. */
    struct mail turn;
    bool is_turn_posted;
    bool is_turning;
    bool turns_again;
    struct mail end;

    bool is_ready_told;
    int64_t ready_term;
    bool is_admission_told;
    struct raft_transfer transfer; /* libraft touches it after its end: it lives as long as this. */
};

/* Proposals that became one entry. */
struct entry {
    struct raft_apply request;
    struct quorum *quorum;
    struct list link;
    struct list proposals;
};

/* Confirmations that share a barrier. */
struct confirmation {
    struct raft_barrier request;
    struct quorum *quorum;
    struct list proposals;
};

/* --- Proposals -------------------------------------------------------------------------------- */

static void answer(struct quorum *self, struct quorum_proposal *proposal, enum status status)
{
    proposal->status = status;
    list_append(&self->answered, &proposal->link);
}

static void answer_all(struct quorum *self, struct list *proposals, enum status status)
{
    struct list *link;
    while ((link = list_take_first(proposals)) != NULL) {
        answer(self, container_of(link, struct quorum_proposal, link), status);
    }
}

static void answer_waiting(struct quorum *self, enum status status)
{
    answer_all(self, &self->waiting, status);
    answer_all(self, &self->asking, status);
    self->waiting_count = 0;
    self->asking_count = 0;
}

static void answer_confirmation(struct quorum *self, enum status status)
{
    if (self->confirmation != NULL) {
        answer_all(self, &self->confirmation->proposals, status);
        free(self->confirmation);
        self->confirmation = NULL;
    }
}

static void entry_free(struct entry *entry)
{
    list_remove(&entry->link);
    entry->quorum->entry_count -= 1;
    free(entry);
}

static void answer_entries(struct quorum *self, enum status status)
{
    while (!list_is_empty(&self->entries)) {
        struct entry *entry = container_of(self->entries.next, struct entry, link);
        answer_all(self, &entry->proposals, status);
        entry_free(entry);
    }
}

static void entry_on_applied(struct raft_apply *request, int code, void *result)
{
    (void)result;
    struct entry *entry = container_of(request, struct entry, request);
    struct quorum *self = entry->quorum;
    uint64_t index = self->core.entry_first_command;
    struct list *link;
    while ((link = list_take_first(&entry->proposals)) != NULL) {
        struct quorum_proposal *proposal = container_of(link, struct quorum_proposal, link);
        if (code == 0) {
            proposal->index = index;
            index += 1;
        }
        answer(self, proposal, code == 0 ? STATUS_OK : STATUS_UNKNOWN);
    }
    entry_free(entry);
}

/* Moves proposals from the waiting ones into `entry` and returns the bytes of their envelope. */
static size_t entry_fill(struct quorum *self, struct entry *entry,
                         struct quorum_envelope_command *commands, uint32_t *out_count)
{
    size_t byte_count = QUORUM_ENVELOPE_HEAD_BYTES;
    uint32_t count = 0;
    while (!list_is_empty(&self->waiting) && count < QUORUM_ENVELOPE_COMMANDS_MAX) {
        struct quorum_proposal *proposal =
            container_of(self->waiting.next, struct quorum_proposal, link);
        size_t next = byte_count + quorum_envelope_command_bytes(proposal->byte_count);
        if (count > 0 && next > QUORUM_ENVELOPE_BATCH_BYTES) {
            break;
        }
        list_remove(&proposal->link);
        list_append(&entry->proposals, &proposal->link);
        self->waiting_count -= 1;
        commands[count] = (struct quorum_envelope_command){
            .bytes = proposal->bytes, .byte_count = (uint32_t)proposal->byte_count};
        byte_count = next;
        count += 1;
    }
    *out_count = count;
    return byte_count;
}

static void submit_inside(struct quorum_core *core, void *argument)
{
    struct quorum *self = argument;
    struct entry *entry = calloc(1, sizeof *entry);
    struct quorum_envelope_command *commands =
        calloc(QUORUM_ENVELOPE_COMMANDS_MAX, sizeof *commands);
    if (entry == NULL || commands == NULL) {
        free(entry);
        free(commands);
        answer_waiting(self, STATUS_FULL);
        return;
    }
    entry->quorum = self;
    list_init(&entry->proposals);
    list_init(&entry->link);
    list_append(&self->entries, &entry->link);
    self->entry_count += 1;
    uint32_t count = 0;
    struct raft_buffer buffer = {.len = entry_fill(self, entry, commands, &count)};
    buffer.base = raft_malloc(buffer.len);
    quorum_envelope_write(buffer.base, core->raft.current_term, commands, count);
    free(commands);
    int code = raft_apply(&core->raft, &entry->request, &buffer, 1, entry_on_applied);
    if (code != 0) {
        raft_free(buffer.base);
        answer_all(self, &entry->proposals, STATUS_NOT_LEADER);
        entry_free(entry);
    }
}

static void confirm_on_applied(struct raft_barrier *request, int code)
{
    struct confirmation *confirmation = container_of(request, struct confirmation, request);
    answer_confirmation(confirmation->quorum, code == 0 ? STATUS_OK : STATUS_NOT_LEADER);
}

static void confirm_inside(struct quorum_core *core, void *argument)
{
    struct quorum *self = argument;
    struct confirmation *confirmation = calloc(1, sizeof *confirmation);
    if (confirmation == NULL) {
        answer_all(self, &self->asking, STATUS_FULL);
        self->asking_count = 0;
        return;
    }
    confirmation->quorum = self;
    list_init(&confirmation->proposals);
    struct list *link;
    while ((link = list_take_first(&self->asking)) != NULL) {
        list_append(&confirmation->proposals, link);
    }
    self->asking_count = 0;
    self->confirmation = confirmation;
    if (raft_barrier(&core->raft, &confirmation->request, confirm_on_applied) != 0) {
        answer_confirmation(self, STATUS_NOT_LEADER);
    }
}

static bool may_enter(const struct quorum *self)
{
    const struct quorum_core *core = &self->core;
    /* While a message waits for an idle disk, the disk gets nothing new. */
    return self->is_core_open && !core->is_dead && !self->is_closing && core->is_ready &&
           core->raft.state == RAFT_LEADER && core->raft.transfer == NULL &&
           list_is_empty(&core->held);
}

static bool may_submit(const struct quorum *self)
{
    return !list_is_empty(&self->waiting) && self->entry_count < ENTRIES_IN_FLIGHT_MAX &&
           may_enter(self);
}

static bool may_confirm(const struct quorum *self)
{
    return !list_is_empty(&self->asking) && self->confirmation == NULL && may_enter(self);
}

/* --- A turn: what is due outside the core ----------------------------------------------------- */

static bool is_ready(const struct quorum *self)
{
    return self->is_core_open && self->core.is_ready && !self->core.is_dead &&
           self->core.raft.state == RAFT_LEADER && self->core.raft.transfer == NULL;
}

static void turn_leadership(struct quorum *self)
{
    const struct quorum_options *options = &self->options;
    bool ready = is_ready(self);
    int64_t term = self->is_core_open ? (int64_t)self->core.raft.current_term : 0;
    if (self->is_ready_told && (!ready || term != self->ready_term)) {
        self->is_ready_told = false;
        options->on_leadership(options->context, false, self->ready_term);
    }
    if (!ready) {
        answer_waiting(self, STATUS_NOT_LEADER);
    } else if (!self->is_ready_told && !self->is_closing) {
        self->is_ready_told = true;
        self->ready_term = term;
        options->on_leadership(options->context, true, term);
    }
}

static void turn_death(struct quorum *self)
{
    if (!self->is_core_open || !self->core.is_dead || self->is_fatal_told) {
        return;
    }
    self->is_fatal_told = true;
    answer_entries(self, STATUS_UNKNOWN);
    answer_confirmation(self, STATUS_CANCELED);
    answer_waiting(self, STATUS_CANCELED);
    self->options.on_fatal(self->options.context, self->core.death);
}

static void turn_answers(struct quorum *self)
{
    struct list *link;
    while ((link = list_take_first(&self->answered)) != NULL) {
        struct quorum_proposal *proposal = container_of(link, struct quorum_proposal, link);
        proposal->on_done(proposal, proposal->status);
    }
}

static void turn(struct quorum *self)
{
    self->turns_again = true;
    if (self->is_turning) {
        return; /* The outer one goes round again. */
    }
    self->is_turning = true;
    while (self->turns_again && !self->is_closing) {
        self->turns_again = false;
        turn_death(self);
        turn_leadership(self);
        while (may_submit(self)) {
            quorum_core_run(&self->core, submit_inside, self);
        }
        if (may_confirm(self)) {
            quorum_core_run(&self->core, confirm_inside, self);
        }
        turn_answers(self);
    }
    self->is_turning = false;
}

static void turn_on_mail(struct mail *mail)
{
    struct quorum *self = container_of(mail, struct quorum, turn);
    self->is_turn_posted = false;
    turn(self);
}

static void post_turn(struct quorum *self)
{
    if (!self->is_turn_posted && !self->is_closing) { /* The end answers what is left. */
        self->is_turn_posted = true;
        self->turn.deliver = turn_on_mail;
        loop_defer(self->options.loop, &self->turn);
    }
}

static void core_on_turn(void *context)
{
    turn(context);
}

/* False: it was refused. */
static bool admit(struct quorum *self, struct quorum_proposal *proposal, uint32_t count)
{
    check(self->magic == QUORUM_MAGIC);
    check(proposal->on_done != NULL);
    list_init(&proposal->link);
    if (self->is_closing || (self->is_core_open && self->core.is_dead)) {
        answer(self, proposal, STATUS_CANCELED);
    } else if (!is_ready(self)) {
        answer(self, proposal, STATUS_NOT_LEADER);
    } else if (count == QUORUM_PROPOSALS_MAX) {
        answer(self, proposal, STATUS_FULL);
    } else {
        return true;
    }
    return false;
}

void quorum_propose(struct quorum *self, struct quorum_proposal *proposal)
{
    if (admit(self, proposal, self->waiting_count)) {
        if (proposal->byte_count > QUORUM_PROPOSAL_BYTES_MAX) {
            answer(self, proposal, STATUS_INVALID);
        } else {
            self->waiting_count += 1;
            list_append(&self->waiting, &proposal->link);
        }
    }
    post_turn(self);
}

void quorum_confirm(struct quorum *self, struct quorum_proposal *proposal)
{
    if (admit(self, proposal, self->asking_count)) {
        self->asking_count += 1;
        list_append(&self->asking, &proposal->link);
    }
    post_turn(self);
}

/* --- Peers ------------------------------------------------------------------------------------ */

static bool core_on_send(void *context, int32_t node_id, uint8_t *frame, size_t byte_count)
{
    struct quorum *self = context;
    if (self->options.peers == NULL) {
        free(frame);
        return false;
    }
    return peer_transport_send(self->options.peers, node_id, frame, byte_count);
}

/* A born voter says what it was born with: that is how a voter that was away is born. */
static void say_hello(struct quorum *self, int32_t node_id)
{
    struct quorum_message_hello hello;
    struct quorum_message_head head = {
        .from = quorum_meta_raft_id(self->meta.node_id, self->meta.directory_id)};
    if (self->meta.is_born) {
        hello = (struct quorum_message_hello){.node_id = self->meta.node_id,
                                              .is_born = true,
                                              .voter_count = self->meta.voter_count,
                                              .known_count = self->meta.voter_count};
        memcpy(hello.directory_id, self->meta.directory_id, sizeof hello.directory_id);
        memcpy(hello.known, self->meta.voters, sizeof hello.known);
        head.has_cluster_id = true;
        memcpy(head.cluster_id, self->meta.cluster_id, sizeof head.cluster_id);
    } else {
        static const uint8_t zero[16];
        quorum_birth_hello(&self->birth, &hello);
        memcpy(head.cluster_id, self->birth.meta.cluster_id, sizeof head.cluster_id);
        head.has_cluster_id = memcmp(head.cluster_id, zero, sizeof zero) != 0;
    }
    uint8_t *frame = NULL;
    size_t byte_count = 0;
    if (quorum_message_encode_hello(&head, &hello, &frame, &byte_count) == STATUS_OK) {
        (void)peer_transport_send(self->options.peers, node_id, frame, byte_count);
    }
}

static void say_hello_to_all(struct quorum *self)
{
    for (uint32_t i = 0; i < self->options.voter_count; i++) {
        if (self->options.voters[i].node_id != self->options.node_id) {
            say_hello(self, self->options.voters[i].node_id);
        }
    }
}

static enum status open_core(struct quorum *self);

static void be_born(struct quorum *self, const struct quorum_meta *meta)
{
    timer_stop(&self->hello);
    enum status status = quorum_birth_write(meta, self->options.loop, self->directory);
    if (status == STATUS_OK) {
        self->meta = *meta;
        status = open_core(self);
    }
    if (status != STATUS_OK) {
        self->is_fatal_told = true;
        self->options.on_fatal(self->options.context, status);
        return;
    }
    say_hello_to_all(self);
    post_turn(self);
}

static void hear_hello(struct quorum *self, const struct quorum_message *message)
{
    const struct quorum_message_hello *hello = &message->hello;
    if (self->meta.is_born) {
        if (!hello->is_born) {
            say_hello(self, hello->node_id);
        }
        return;
    }
    struct quorum_meta meta;
    if (hello->is_born && !message->head.has_cluster_id) {
        return;
    }
    if (quorum_birth_hear(&self->birth, hello, message->head.cluster_id, &meta)) {
        be_born(self, &meta);
    } else if (self->birth.is_foreign && !self->is_admission_told) {
        self->is_admission_told = true;
        trace_line(self->options.loop->trace, TRACE_WARN, "quorum", "waits-for-admission",
                   "node=%d cluster-of=%d directory=\"%s\"", self->options.node_id, hello->node_id,
                   self->directory);
    }
}

static void peers_on_message(void *context, struct quorum_message *message)
{
    struct quorum *self = context;
    if (self->is_closing || self->is_fatal_told) {
        quorum_message_free(message);
        return;
    }
    if (message->is_hello) {
        hear_hello(self, message);
        quorum_message_free(message);
        return;
    }
    /* Of another cluster, or for the one who had this directory before. */
    if (!self->is_core_open || !message->head.has_cluster_id ||
        memcmp(message->head.cluster_id, self->meta.cluster_id, sizeof self->meta.cluster_id) !=
            0 ||
        message->head.to != self->core.raft_id || message->head.from == self->core.raft_id) {
        quorum_message_free(message);
        return;
    }
    quorum_receive(&self->core, message);
}

static void tell_peer(struct quorum *self, int32_t node_id, bool is_down)
{
    if (self->options.on_peer != NULL) {
        self->options.on_peer(self->options.context, node_id, is_down);
    }
}

static void peers_on_connected(void *context, int32_t node_id)
{
    struct quorum *self = context;
    if (!self->is_closing) {
        tell_peer(self, node_id, false);
        say_hello(self, node_id);
    }
}

static void peers_on_lost(void *context, int32_t node_id)
{
    struct quorum *self = context;
    if (self->is_closing) {
        return;
    }
    tell_peer(self, node_id, true);
    if (self->is_core_open) {
        quorum_core_peer_lost(&self->core, node_id);
    }
}

static void hello_on_fire(struct timer *timer)
{
    struct quorum *self = container_of(timer, struct quorum, hello);
    timer_start_after(timer, HELLO_MS * CLOCK_NS_PER_MS);
    say_hello_to_all(self);
}

/* --- Life ------------------------------------------------------------------------------------- */

static enum status open_core(struct quorum *self)
{
    const struct quorum_options *options = &self->options;
    struct quorum_core_options core_options = {
        .loop = options->loop,
        .directory = self->directory,
        .meta = &self->meta,
        .fsm = options->fsm,
        .election_ms = options->election_ms,
        .heartbeat_ms = options->heartbeat_ms,
        .snapshot_entries = options->snapshot_entries,
        .trailing_entries = options->trailing_entries,
        .segment_bytes = options->segment_bytes,
        .on_send = core_on_send,
        .on_turn = core_on_turn,
        .context = self,
    };
    self->is_core_open = true; /* Also when it fails: it is closed with the rest. */
    return quorum_core_open(&self->core, &core_options);
}

static enum status check_meta(const struct quorum *self)
{
    static const uint8_t zero[16];
    const uint8_t *wanted = self->options.cluster_id;
    if (self->meta.node_id != self->options.node_id) {
        return STATUS_INVALID;
    }
    return self->meta.is_born && memcmp(wanted, zero, sizeof zero) != 0 &&
                   memcmp(wanted, self->meta.cluster_id, sizeof zero) != 0
               ? STATUS_INVALID
               : STATUS_OK;
}

static void start_birth(struct quorum *self)
{
    int32_t ids[QUORUM_VOTERS_MAX];
    uint32_t count = self->options.voter_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = i;
        for (; place > 0 && ids[place - 1] > self->options.voters[i].node_id; place--) {
            ids[place] = ids[place - 1];
        }
        ids[place] = self->options.voters[i].node_id;
    }
    struct quorum_meta meta = self->meta;
    memcpy(meta.cluster_id, self->options.cluster_id, sizeof meta.cluster_id);
    quorum_birth_init(&self->birth, &meta, ids, count);
}

static enum status start(struct quorum *self)
{
    TRY(quorum_meta_open(self->options.loop, self->directory, self->options.node_id, &self->meta));
    TRY(check_meta(self));
    if (!self->meta.is_born) {
        start_birth(self);
        struct quorum_meta meta;
        if (quorum_birth_alone(&self->birth, &meta)) {
            TRY(quorum_birth_write(&meta, self->options.loop, self->directory));
            self->meta = meta;
        }
    }
    if (self->meta.is_born) {
        TRY(open_core(self));
    } else {
        timer_start_after(&self->hello, HELLO_MS * CLOCK_NS_PER_MS);
    }
    if (self->options.peers != NULL) {
        peer_transport_attach(self->options.peers,
                              &(struct peer_transport_user){.on_message = peers_on_message,
                                                            .on_connected = peers_on_connected,
                                                            .on_lost = peers_on_lost,
                                                            .context = self});
    }
    post_turn(self);
    return STATUS_OK;
}

static void set_defaults(struct quorum_options *options)
{
    options->election_ms = options->election_ms == 0 ? ELECTION_MS_DEFAULT : options->election_ms;
    options->heartbeat_ms =
        options->heartbeat_ms == 0 ? HEARTBEAT_MS_DEFAULT : options->heartbeat_ms;
    options->snapshot_entries =
        options->snapshot_entries == 0 ? SNAPSHOT_ENTRIES_DEFAULT : options->snapshot_entries;
    options->trailing_entries =
        options->trailing_entries == 0 ? options->snapshot_entries * 2 : options->trailing_entries;
}

enum status quorum_open(const struct quorum_options *options, struct quorum **out_quorum)
{
    check(options->node_id > 0);
    check(options->voter_count > 0 && options->voter_count <= QUORUM_VOTERS_MAX);
    check(options->voter_count == 1 || options->peers != NULL);
    check(options->on_leadership != NULL && options->on_fatal != NULL);

    struct quorum *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = QUORUM_MAGIC;
    self->options = *options;
    set_defaults(&self->options);
    list_init(&self->waiting);
    list_init(&self->entries);
    list_init(&self->asking);
    list_init(&self->answered);
    timer_init(&self->hello, &options->loop->timers, hello_on_fire);
    int length = snprintf(self->directory, sizeof self->directory, "%s", options->directory);
    enum status status =
        length > 0 && (size_t)length + 64 < sizeof self->directory ? start(self) : STATUS_INVALID;
    if (status != STATUS_OK) {
        timer_done(&self->hello);
        if (self->is_core_open) {
            quorum_core_close(&self->core);
        }
        free(self);
        return status;
    }
    *out_quorum = self;
    return STATUS_OK;
}

/* Behind every mail that was posted before. */
static void close_on_mail(struct mail *mail)
{
    struct quorum *self = container_of(mail, struct quorum, end);
    check(!self->is_turning);
    answer_entries(self, STATUS_UNKNOWN);
    answer_confirmation(self, STATUS_CANCELED);
    answer_waiting(self, STATUS_CANCELED);
    if (self->is_core_open) {
        quorum_core_close(&self->core);
    }
    timer_done(&self->hello);
    if (self->is_ready_told) {
        self->options.on_leadership(self->options.context, false, self->ready_term);
    }
    turn_answers(self);
    void (*on_closed)(void *context) = self->on_closed;
    void *context = self->closed_context;
    self->magic = 0;
    free(self);
    on_closed(context);
}

void quorum_close(struct quorum *self, void (*on_closed)(void *context), void *context)
{
    check(self->magic == QUORUM_MAGIC);
    check(!self->is_closing);
    self->is_closing = true;
    self->core.is_closing = true; /* It is entered no more. */
    self->on_closed = on_closed;
    self->closed_context = context;
    if (self->options.peers != NULL) {
        peer_transport_attach(self->options.peers, NULL);
    }
    self->end.deliver = close_on_mail;
    loop_defer(self->options.loop, &self->end);
}

/* --- The rest --------------------------------------------------------------------------------- */

static void hand_over_inside(struct quorum_core *core, void *argument)
{
    struct quorum *self = argument;
    struct raft *raft = &core->raft;
    raft_id best = 0;
    raft_index best_index = 0;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];
        raft_index index = raft->leader_state.progress[i].match_index;
        if (server->id != core->raft_id && server->role == RAFT_VOTER && index > best_index) {
            best = server->id;
            best_index = index;
        }
    }
    if (best != 0) {
        int code = raft_transfer(raft, &self->transfer, best, NULL);
        check(code == 0);
    }
}

void quorum_hand_over(struct quorum *self)
{
    check(self->magic == QUORUM_MAGIC);
    if (!self->is_closing && is_ready(self)) {
        quorum_core_run(&self->core, hand_over_inside, self);
    }
}

/* Commands that are in the log and not applied yet. */
static uint64_t count_unapplied(const struct quorum_core *core)
{
    const struct raft_log *log = &core->raft.log;
    uint64_t last = quorum_core_last_index(core);
    uint64_t count = 0;
    for (uint64_t index = core->raft.last_applied + 1; index <= last; index++) {
        if (index <= log->offset) {
            continue;
        }
        const struct raft_entry *entry =
            &log->entries[(log->front + (size_t)(index - 1 - log->offset)) % log->size];
        struct quorum_envelope envelope;
        if (entry->type == RAFT_COMMAND &&
            quorum_envelope_read(entry->buf.base, entry->buf.len, &envelope) == STATUS_OK) {
            count += envelope.count;
        }
    }
    return count;
}

struct quorum_status quorum_status_of(const struct quorum *self)
{
    check(self->magic == QUORUM_MAGIC);
    struct quorum_status status = {.leader_id = -1, .is_born = self->meta.is_born};
    memcpy(status.directory_id, self->meta.directory_id, sizeof status.directory_id);
    if (self->meta.is_born) {
        memcpy(status.cluster_id, self->meta.cluster_id, sizeof status.cluster_id);
    }
    if (!self->is_core_open) {
        return status;
    }
    const struct raft *raft = &self->core.raft;
    status.term = (int64_t)raft->current_term;
    status.applied_index = self->core.command_count;
    status.last_index = self->core.command_count + count_unapplied(&self->core);
    if (self->core.is_dead || self->is_closing) {
        return status;
    }
    status.is_leader = raft->state == RAFT_LEADER;
    status.is_ready = is_ready(self);
    if (status.is_leader) {
        status.leader_id = self->options.node_id;
    } else if (raft->state == RAFT_FOLLOWER && raft->follower_state.current_leader.id != 0) {
        status.leader_id = quorum_meta_node_id(raft->follower_state.current_leader.id);
    }
    return status;
}

struct quorum_core *quorum_core_of(struct quorum *quorum)
{
    check(quorum->magic == QUORUM_MAGIC);
    return quorum->is_core_open ? &quorum->core : NULL;
}
