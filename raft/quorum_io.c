#include "raft/quorum_io.h"

#include "proto/sys/check.h"
#include "raft/quorum_envelope.h"
#include "raft/quorum_remedy.h"
#include "raft/quorum_send.h"

#include <stdlib.h>
#include <string.h>

/* Time that libraft sees starts here, so that it may subtract. */
#define TIME_START_MS UINT64_C(100000000)

static struct quorum_core *core_of(struct raft_io *io)
{
    return io->impl;
}

/* --- Failure ---------------------------------------------------------------------------------- */

/* Inside the core or in a callback of a lane. The core hears nothing of it: after an error of its
 * own disk 0.15 truncates what is not there, and goes on leading. */
static void storage_failed(struct quorum_core *self, enum status why)
{
    quorum_core_die(self, why);
    if (!self->is_inside && !self->is_closing) {
        self->options.on_turn(self->options.context);
    }
}

struct io_append {
    struct quorum_log_append base;
    struct list link;
    struct quorum_core *core;
    struct raft_io_append *request;
    raft_io_append_cb callback;
    uint64_t term;          /* Ours when it was written. */
    uint64_t covered_index; /* By the request it came with. */
    bool is_follower;
    int code;
};

static void append_end(struct quorum_core *self, void *argument)
{
    struct io_append append = *(struct io_append *)argument;
    list_remove(&((struct io_append *)argument)->link);
    raft_free(argument);
    self->append_count -= 1;
    self->in_follower_append = append.is_follower;
    self->covered_index = append.covered_index;
    self->is_suppressing =
        append.is_follower && quorum_remedy_is_on(QUORUM_REMEDY_STALE) &&
        (self->raft.state != RAFT_FOLLOWER || self->raft.current_term != append.term);
    append.callback(append.request, append.code);
    self->in_follower_append = false;
    self->is_suppressing = false;
    self->covered_index = 0;
}

static void log_on_failed(void *context, enum status why)
{
    struct quorum_core *self = context;
    if (quorum_remedy_is_on(QUORUM_REMEDY_FAIL_STOP)) {
        storage_failed(self, why);
        return;
    }
    struct list *link = self->appends.next;
    while (link != &self->appends) {
        struct io_append *append = container_of(link, struct io_append, link);
        link = link->next;
        append->code = RAFT_IOERR;
        quorum_core_run(self, append_end, append);
    }
}

/* --- Load ------------------------------------------------------------------------------------- */

static enum status check_entry(const struct quorum_record *record)
{
    struct quorum_envelope envelope;
    if (record->kind == QUORUM_RECORD_COMMAND) {
        return quorum_envelope_read(record->payload, record->payload_bytes, &envelope);
    }
    if (record->kind == QUORUM_RECORD_CHANGE) {
        return quorum_configuration_check(record->payload, record->payload_bytes);
    }
    return record->payload_bytes == 8 ? STATUS_OK : STATUS_MALFORMED;
}

/* Fills the history from the snapshot and the log behind it. */
static enum status load_history(struct quorum_core *self, const struct quorum_snapshot *snapshot,
                                const struct quorum_replay *replay)
{
    struct quorum_configuration_history *history = &self->history;
    quorum_configuration_history_cut(history, 0);
    if (snapshot->index != 0) {
        TRY(quorum_configuration_check(snapshot->configuration, snapshot->configuration_bytes));
        quorum_configuration_history_push(history, snapshot->configuration_index,
                                          snapshot->configuration, snapshot->configuration_bytes);
    }
    for (size_t i = 0; i < replay->entry_count; i++) {
        const struct quorum_record *record = &replay->entries[i];
        TRY(check_entry(record));
        if (record->kind == QUORUM_RECORD_CHANGE &&
            (history->count == 0 || record->index > history->entries[history->count - 1].index)) {
            quorum_configuration_history_push(history, record->index, record->payload,
                                              record->payload_bytes);
        }
    }
    /* A log without a snapshot begins with the configuration of the birth. */
    return history->count > 0 ? STATUS_OK : STATUS_MALFORMED;
}

static enum status load_snapshot(struct quorum_snapshot *snapshot,
                                 struct raft_snapshot **out_snapshot)
{
    struct raft_snapshot *loaded = raft_calloc(1, sizeof *loaded);
    loaded->index = snapshot->index;
    loaded->term = snapshot->term;
    loaded->configuration_index = snapshot->configuration_index;
    TRY(quorum_configuration_decode(snapshot->configuration, snapshot->configuration_bytes,
                                    &loaded->configuration));
    loaded->bufs = raft_malloc(sizeof *loaded->bufs);
    loaded->n_bufs = 1;
    loaded->bufs[0].len = snapshot->payload_bytes;
    loaded->bufs[0].base = raft_malloc(snapshot->payload_bytes);
    memcpy(loaded->bufs[0].base, snapshot->payload, snapshot->payload_bytes);
    *out_snapshot = loaded;
    return STATUS_OK;
}

/* Memory of their own for all of them: libraft searches batches in quadratic time. */
static struct raft_entry *load_entries(const struct quorum_replay *replay)
{
    if (replay->entry_count == 0) {
        return NULL;
    }
    struct raft_entry *entries = raft_calloc(replay->entry_count, sizeof *entries);
    for (size_t i = 0; i < replay->entry_count; i++) {
        const struct quorum_record *record = &replay->entries[i];
        entries[i].term = record->term;
        entries[i].type = (unsigned short)record->kind;
        entries[i].buf.len = record->payload_bytes;
        entries[i].buf.base = raft_malloc(record->payload_bytes);
        memcpy(entries[i].buf.base, record->payload, record->payload_bytes);
    }
    return entries;
}

/* A single voter elects itself without a new term; so that a term still names one reign of one
 * process, it gets one here. */
static enum status load_bump_single(struct quorum_core *self)
{
    const struct quorum_configuration_entry *last =
        quorum_configuration_history_at(&self->history, UINT64_MAX);
    struct raft_configuration configuration;
    TRY(quorum_configuration_decode(last->bytes, last->byte_count, &configuration));
    uint32_t voter_count = 0;
    bool is_voter = false;
    for (unsigned i = 0; i < configuration.n; i++) {
        bool votes = configuration.servers[i].role == RAFT_VOTER;
        voter_count += votes ? 1 : 0;
        is_voter = is_voter || (votes && configuration.servers[i].id == self->raft_id);
    }
    raft_configuration_close(&configuration);
    return is_voter && voter_count == 1
               ? quorum_vote_store(&self->vote, self->vote.term + 1, self->raft_id)
               : STATUS_OK;
}

struct load_result {
    struct raft_snapshot *snapshot;
    struct raft_entry *entries;
    size_t entry_count;
    uint64_t start_index;
};

static enum status load_replayed(struct quorum_core *self, struct quorum_snapshot *snapshot,
                                 const struct quorum_replay *replay, struct load_result *result)
{
    enum status status = load_history(self, snapshot, replay);
    if (status != STATUS_OK) {
        return status == STATUS_MALFORMED ? STATUS_CORRUPT : status;
    }
    uint64_t last_term =
        replay->entry_count > 0 ? replay->entries[replay->entry_count - 1].term : snapshot->term;
    if (self->vote.term < last_term) {
        return STATUS_CORRUPT; /* A term is written before the first entry of it. */
    }
    TRY(load_bump_single(self));
    struct quorum_log_options options = {.loop = self->options.loop,
                                         .directory = self->options.directory,
                                         .directory_id = self->options.meta->directory_id,
                                         .segment_bytes = self->options.segment_bytes,
                                         .on_failed = log_on_failed,
                                         .on_idle = quorum_io_on_log_idle,
                                         .context = self};
    TRY(quorum_log_open(&self->log, &options, replay));
    if (snapshot->index != 0) {
        TRY(load_snapshot(snapshot, &result->snapshot));
    }
    result->entries = load_entries(replay);
    result->entry_count = replay->entry_count;
    result->start_index = replay->start_index;
    return STATUS_OK;
}

static enum status load_files(struct quorum_core *self, struct load_result *result)
{
    struct quorum_snapshot snapshot = {0};
    uint8_t *snapshot_bytes = NULL;
    enum status status = quorum_snapshot_load(&self->snapshots, &snapshot_bytes, &snapshot);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return status;
    }
    struct quorum_replay_options options = {
        .loop = self->options.loop,
        .directory = self->options.directory,
        .directory_id = self->options.meta->directory_id,
        .snapshot_index = snapshot.index,
        .snapshot_term = snapshot.term,
        .snapshot_flushed_sequence = snapshot.flushed_sequence,
        .snapshot_generation = snapshot.generation,
    };
    struct quorum_replay *replay = malloc(sizeof *replay);
    if (replay == NULL) {
        free(snapshot_bytes);
        return STATUS_NO_MEMORY;
    }
    status = quorum_replay_read(replay, &options);
    if (status == STATUS_OK) {
        status = load_replayed(self, &snapshot, replay, result);
    }
    quorum_replay_done(replay);
    free(replay);
    free(snapshot_bytes);
    return status;
}

static int io_load(struct raft_io *io, raft_term *out_term, raft_id *out_voted_for,
                   struct raft_snapshot **out_snapshot, raft_index *out_start_index,
                   struct raft_entry *out_entries[], size_t *out_entry_count)
{
    struct quorum_core *self = core_of(io);
    struct load_result result = {0};
    self->load_status = load_files(self, &result);
    if (self->load_status != STATUS_OK) {
        return RAFT_IOERR;
    }
    *out_term = self->vote.term;
    *out_voted_for = self->vote.voted_for;
    *out_snapshot = result.snapshot;
    *out_start_index = result.start_index;
    *out_entries = result.entries;
    *out_entry_count = result.entry_count;
    return 0;
}

/* --- Term and vote ---------------------------------------------------------------------------- */

static int io_set_term(struct raft_io *io, raft_term term)
{
    struct quorum_core *self = core_of(io);
    if (self->is_dead) {
        return 0;
    }
    if (term > QUORUM_VOTE_TERM_MAX) {
        storage_failed(self, STATUS_OUT_OF_RANGE);
        return 0;
    }
    enum status status = quorum_vote_store(&self->vote, term, 0);
    if (status != STATUS_OK) {
        storage_failed(self, status);
    }
    return 0;
}

static int io_set_vote(struct raft_io *io, raft_id raft_id)
{
    struct quorum_core *self = core_of(io);
    if (self->is_dead) {
        return 0;
    }
    enum status status = quorum_vote_store(&self->vote, self->vote.term, raft_id);
    if (status != STATUS_OK) {
        storage_failed(self, status);
    }
    return 0;
}

/* --- Log -------------------------------------------------------------------------------------- */

static void append_on_flushed(struct quorum_log_append *base)
{
    struct io_append *append = container_of(base, struct io_append, base);
    quorum_core_run(append->core, append_end, append);
}

static void append_write(struct quorum_core *self, struct io_append *append,
                         const struct raft_entry entries[], unsigned count)
{
    struct quorum_log_entry *out = raft_calloc(count, sizeof *out);
    for (unsigned i = 0; i < count; i++) {
        out[i] = (struct quorum_log_entry){.kind = (enum quorum_record_kind)entries[i].type,
                                           .term = entries[i].term,
                                           .bytes = entries[i].buf.base,
                                           .byte_count = (uint32_t)entries[i].buf.len};
        if (entries[i].type == RAFT_CHANGE) {
            quorum_configuration_history_push(&self->history, self->log.last_index + 1 + i,
                                              entries[i].buf.base, entries[i].buf.len);
        }
    }
    quorum_log_append(&self->log, &append->base, out, count);
    raft_free(out);
}

static int io_append(struct raft_io *io, struct raft_io_append *request,
                     const struct raft_entry entries[], unsigned count, raft_io_append_cb callback)
{
    struct quorum_core *self = core_of(io);
    if (self->is_dead) {
        return 0;
    }
    /* libraft says no index: the queue and its log have to agree without a word. */
    check(self->log.last_index + count == quorum_core_last_index(self) ||
          !quorum_remedy_is_on(QUORUM_REMEDY_FAIL_STOP));
    struct io_append *append = raft_calloc(1, sizeof *append);
    append->base.on_done = append_on_flushed;
    append->core = self;
    append->request = request;
    append->callback = callback;
    append->term = self->raft.current_term;
    append->covered_index = self->covered_index;
    append->is_follower = self->raft.state == RAFT_FOLLOWER;
    list_append(&self->appends, &append->link);
    self->append_count += 1;
    if (append->is_follower && self->in_append_entries) {
        quorum_send_note_covered(self);
    }
    append_write(self, append, entries, count);
    return 0;
}

static int io_truncate(struct raft_io *io, raft_index index)
{
    struct quorum_core *self = core_of(io);
    if (self->is_dead) {
        return 0;
    }
    check(index > self->raft.commit_index);
    quorum_log_truncate(&self->log, index, quorum_core_term_at(self, index - 1));
    quorum_configuration_history_cut(&self->history, index);
    if (self->verified_index >= index) {
        self->verified_index = index - 1;
    }
    return 0;
}

/* --- Snapshots -------------------------------------------------------------------------------- */

static void put_end(struct quorum_core *self, void *argument)
{
    const int *code = argument;
    bool was_installing = self->is_installing;
    self->is_putting = false;
    self->is_installing = false;
    free(self->put_configuration.base);
    self->put_configuration = (struct raft_buffer){0};
    /* The result of an install acknowledges up to the snapshot; see append_end(). */
    self->is_suppressing = was_installing && self->raft.state != RAFT_FOLLOWER &&
                           quorum_remedy_is_on(QUORUM_REMEDY_STALE);
    self->put_callback(self->put_request, *code);
    self->is_suppressing = false;
    if (was_installing && quorum_remedy_is_on(QUORUM_REMEDY_HISTORY)) {
        quorum_core_set_configuration(self, self->log.last_index);
    }
}

/* The snapshot has its name; the log is idle. From here to the reset a crash leaves a log that does
 * not reach the snapshot, which replay drops. */
static void install_finish(struct quorum_core *self)
{
    self->install_is_written = false;
    enum status status = quorum_log_reset(&self->log, self->put.index, self->put.term);
    if (status != STATUS_OK) {
        storage_failed(self, status);
        return;
    }
    int code = 0;
    quorum_core_run(self, put_end, &code);
}

void quorum_io_on_log_idle(void *context)
{
    struct quorum_core *self = context;
    if (self->install_is_written && !self->is_dead) {
        install_finish(self);
    }
}

static void put_on_written(struct quorum_snapshot_write *write, enum status status)
{
    struct quorum_core *self = container_of(write, struct quorum_core, put);
    if (self->is_closing || self->is_dead) {
        return;
    }
    if (status != STATUS_OK) {
        storage_failed(self, status);
        return;
    }
    if (self->is_installing) {
        self->install_is_written = true;
        if (quorum_log_is_idle(&self->log)) {
            install_finish(self);
        }
        return;
    }
    status = quorum_log_trim(&self->log, self->put_trim_index);
    if (status != STATUS_OK) {
        storage_failed(self, status);
        return;
    }
    quorum_configuration_history_trim(&self->history, self->put.index);
    int code = 0;
    quorum_core_run(self, put_end, &code);
}

/* The configuration that holds at the snapshot's index, which is not always the one libraft gives:
 * its own may be uncommitted. */
static void put_configuration(struct quorum_core *self, const struct raft_snapshot *from,
                              struct quorum_snapshot *snapshot)
{
    const struct quorum_configuration_entry *entry =
        self->is_installing || !quorum_remedy_is_on(QUORUM_REMEDY_HISTORY)
            ? NULL
            : quorum_configuration_history_at(&self->history, from->index);
    struct raft_buffer encoded = {0};
    snapshot->configuration_index = from->configuration_index;
    if (entry != NULL) {
        encoded = (struct raft_buffer){entry->bytes, entry->byte_count};
        snapshot->configuration_index = entry->index;
    } else {
        int code = raft_configuration_encode(&from->configuration, &encoded);
        check(code == 0);
    }
    self->put_configuration.len = encoded.len;
    self->put_configuration.base = malloc(encoded.len);
    check(self->put_configuration.base != NULL);
    memcpy(self->put_configuration.base, encoded.base, encoded.len);
    if (entry == NULL) {
        raft_free(encoded.base);
    }
    snapshot->configuration = self->put_configuration.base;
    snapshot->configuration_bytes = (uint32_t)encoded.len;
}

static int io_snapshot_put(struct raft_io *io, unsigned trailing,
                           struct raft_io_snapshot_put *request, const struct raft_snapshot *from,
                           raft_io_snapshot_put_cb callback)
{
    struct quorum_core *self = core_of(io);
    if (self->is_dead) {
        return 0;
    }
    check(!self->is_putting);
    self->is_putting = true;
    /* Told by the pointer: a trailing of 0 may also be a setting. */
    self->is_installing = from != &self->raft.snapshot.pending;
    self->put_request = request;
    self->put_callback = callback;
    self->put_trim_index = from->index > trailing ? from->index - trailing : 0;
    struct quorum_snapshot snapshot = {.index = from->index, .term = from->term};
    put_configuration(self, from, &snapshot);
    if (self->is_installing) {
        quorum_configuration_history_cut(&self->history, 0);
        quorum_configuration_history_push(&self->history, snapshot.configuration_index,
                                          snapshot.configuration, snapshot.configuration_bytes);
    } else {
        snapshot.flushed_sequence = self->log.flushed_sequence;
        snapshot.generation = self->log.chain.generation;
    }
    struct disk_buffer payload[QUORUM_SNAPSHOT_BUFFERS_MAX];
    uint32_t payload_count = 0;
    for (unsigned i = 0; i < from->n_bufs; i++) {
        if (from->bufs[i].len > 0) {
            check(payload_count < QUORUM_SNAPSHOT_BUFFERS_MAX - 2);
            payload[payload_count] = (struct disk_buffer){from->bufs[i].base, from->bufs[i].len};
            payload_count += 1;
        }
    }
    self->put.on_done = put_on_written;
    quorum_snapshot_write_start(&self->snapshots, &self->put, &snapshot, payload, payload_count);
    return 0;
}

struct io_get {
    struct quorum_snapshot_read base;
    struct quorum_core *core;
    struct raft_io_snapshot_get *request;
    raft_io_snapshot_get_cb callback;
    uint32_t epoch;
    enum status status;
    const struct quorum_snapshot *snapshot;
};

static void get_end(struct quorum_core *self, void *argument)
{
    (void)self;
    struct io_get *get = argument;
    struct raft_snapshot *loaded = NULL;
    struct quorum_snapshot snapshot =
        get->status == STATUS_OK ? *get->snapshot : (struct quorum_snapshot){0};
    if (get->status == STATUS_OK) {
        get->status = load_snapshot(&snapshot, &loaded);
    }
    get->callback(get->request, loaded, get->status == STATUS_OK ? 0 : RAFT_IOERR);
}

static void get_on_read(struct quorum_snapshot_read *base, enum status status, uint8_t *bytes,
                        const struct quorum_snapshot *snapshot)
{
    struct io_get *get = container_of(base, struct io_get, base);
    struct quorum_core *self = get->core;
    if (!self->is_closing && !self->is_dead && get->epoch == self->epoch) {
        if (status == STATUS_OK || status == STATUS_NO_MEMORY) {
            get->status = status;
            get->snapshot = snapshot;
            quorum_core_run(self, get_end, get);
        } else {
            storage_failed(self, status);
        }
    }
    free(bytes);
    free(get);
}

static int io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *request,
                           raft_io_snapshot_get_cb callback)
{
    struct quorum_core *self = core_of(io);
    if (self->snapshots.index == 0) {
        return RAFT_NOTFOUND;
    }
    struct io_get *get = calloc(1, sizeof *get); /* It may outlive a core that is restarted. */
    if (get == NULL) {
        return RAFT_NOMEM;
    }
    get->base.on_done = get_on_read;
    get->core = self;
    get->request = request;
    get->callback = callback;
    get->epoch = self->epoch;
    quorum_snapshot_read_start(&self->snapshots, &get->base);
    return 0;
}

/* --- The rest --------------------------------------------------------------------------------- */

static raft_time io_time(struct raft_io *io)
{
    return TIME_START_MS + (raft_time)(loop_now_ns(core_of(io)->options.loop) / CLOCK_NS_PER_MS);
}

static int io_random(struct raft_io *io, int min, int max)
{
    if (max <= min) {
        return min;
    }
    uint64_t range = (uint64_t)((int64_t)max - min);
    return min + (int)prng_below(&core_of(io)->options.loop->prng, range);
}

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
    (void)io;
    (void)id;
    (void)address;
    return 0;
}

static int io_start(struct raft_io *io, unsigned tick_ms, raft_io_tick_cb on_tick,
                    raft_io_recv_cb on_receive)
{
    (void)tick_ms;
    core_of(io)->on_tick = on_tick;
    core_of(io)->on_receive = on_receive;
    return 0;
}

/* A cluster is born by quorum_birth.c, and a core ends by dropping its heap. */
static int io_bootstrap(struct raft_io *io, const struct raft_configuration *configuration)
{
    (void)io;
    (void)configuration;
    return RAFT_INVALID;
}

static void io_close(struct raft_io *io, raft_io_close_cb callback)
{
    (void)io;
    (void)callback;
    check_unreachable("raft_close() is never called");
}

void quorum_io_init(struct quorum_core *core)
{
    core->io = (struct raft_io){.version = 1,
                                .impl = core,
                                .init = io_init,
                                .close = io_close,
                                .load = io_load,
                                .start = io_start,
                                .bootstrap = io_bootstrap,
                                .recover = io_bootstrap,
                                .set_term = io_set_term,
                                .set_vote = io_set_vote,
                                .send = quorum_send,
                                .append = io_append,
                                .truncate = io_truncate,
                                .snapshot_put = io_snapshot_put,
                                .snapshot_get = io_snapshot_get,
                                .time = io_time,
                                .random = io_random};
}

void quorum_io_done(struct quorum_core *core)
{
    free(core->put_configuration.base);
    core->put_configuration = (struct raft_buffer){0};
    free(core->state_bytes);
    core->state_bytes = NULL;
}
