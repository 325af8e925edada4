#include "broker/coordinator/ledger_load.h"

#include "proto/record/control_record.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES_MAX (1U << 20)
#define READ_AGAIN_NS CLOCK_NS_PER_S

static void read_on(struct ledger *self);

/* ---- applying ---- */

static void tell(struct ledger *self, const char *event, int64_t offset, enum status why,
                 const char *action)
{
    trace_line(self->options.loop->trace, TRACE_ERROR, "ledger", event,
               "topic=\"%s\" partition=%d offset=%lld reason=\"%s\" action=\"%s\"",
               self->options.kind->topic_name,
               self->options.partition == NULL ? -1 : partition_index(self->options.partition),
               (long long)offset, status_text(why), action);
}

static void complain(struct ledger *self, const char *event, int64_t offset, enum status why)
{
    tell(self, event, offset, why, "skip");
}

static void apply_control(struct ledger *self, const struct batch_view *batch)
{
    struct control_record control;
    enum status status = control_record_of_batch(batch, &control);
    if (status == STATUS_OK &&
        (control.type == CONTROL_RECORD_COMMIT || control.type == CONTROL_RECORD_ABORT)) {
        self->options.kind->end_txn(self->machine, batch_producer_id(batch),
                                    control.type == CONTROL_RECORD_COMMIT);
    } else if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        complain(self, "marker_not_read", batch_base_offset(batch), status);
    }
}

void ledger_load_apply_batch(struct ledger *self, const struct batch_view *batch)
{
    self->next_offset = batch_next_offset(batch);
    self->bytes_since_snapshot += batch->byte_count;
    if (batch_is_control(batch)) {
        apply_control(self, batch);
        return;
    }
    struct record_iterator records;
    enum status status = batch_codec(batch) != COMPRESSION_NONE
                             ? STATUS_UNSUPPORTED /* Nobody but a ledger writes here. */
                             : record_iterator_init(&records, batch, NULL, NULL);
    struct record record;
    while (status == STATUS_OK && (status = record_iterator_next(&records, &record)) == STATUS_OK) {
        struct ledger_record made = {
            .key = record.key, .value = record.value, .offset = record.offset, .producer_id = -1};
        if (batch_is_transactional(batch)) {
            made.producer_id = batch_producer_id(batch);
            made.producer_epoch = batch_producer_epoch(batch);
        }
        if (record.key.byte_count >= 0) {
            self->options.kind->apply(self->machine, &made);
        }
    }
    if (status != STATUS_NOT_FOUND) {
        complain(self, "batch_not_read", batch_base_offset(batch), status);
    }
}

/* ---- the end ---- */

void ledger_load_free_if_idle(struct ledger *self)
{
    if (self->state != LEDGER_LOST || self->busy_count > 0 || self->is_inside > 0 ||
        self->is_gone) {
        return;
    }
    self->is_gone = true;
    void (*on_gone)(void *) = self->options.on_gone;
    void *context = self->options.context;
    free(self->file.bytes);
    self->magic = 0;
    free(self);
    on_gone(context);
}

static void end_step(struct ledger *self)
{
    check(self->busy_count > 0);
    self->busy_count -= 1;
    ledger_load_free_if_idle(self);
}

void ledger_load_stop(struct ledger *self)
{
    timer_done(&self->again);
    if (self->is_waiting) {
        parked_cancel(&self->load_wait);
        self->is_waiting = false;
    }
    if (self->is_snapshot_parked) {
        parked_cancel(&self->snapshot_wait);
        self->is_snapshot_parked = false;
        free(self->file.bytes);
        self->file.bytes = NULL;
    }
}

/* ---- reading the log ---- */

static void become_ready(struct ledger *self)
{
    self->state = LEDGER_READY;
    int64_t took_ms = (loop_now_ns(self->options.loop) - self->load_started_ns) / CLOCK_NS_PER_MS;
    trace_line(self->options.loop->trace, took_ms >= 1000 ? TRACE_INFO : TRACE_DEBUG, "ledger",
               "loaded", "topic=\"%s\" partition=%d epoch=%d records=%lld next=%lld took_ms=%lld",
               self->options.kind->topic_name, partition_index(self->options.partition),
               self->leader_epoch, (long long)self->replayed_count, (long long)self->next_offset,
               (long long)took_ms);
    self->records_since_snapshot = (uint64_t)self->replayed_count;
    self->is_inside += 1;
    self->options.kind->on_loaded(self->machine);
    self->is_inside -= 1;
    ledger_load_pump(self);
}

static void wait_on_end(struct parked *wait, enum parked_end end)
{
    struct ledger *self = container_of(wait, struct ledger, load_wait);
    check(self->magic == LEDGER_MAGIC);
    self->is_waiting = false;
    if (end == PARKED_REACHED && self->state == LEDGER_LOADING) {
        read_on(self);
    }
    /* Else the role changes, and ledger_lose() follows. */
}

static void apply_bytes(struct ledger *self, const uint8_t *bytes, size_t byte_count)
{
    struct batch_view batch;
    size_t place = 0;
    while (place < byte_count &&
           batch_view_init(&batch, bytes + place, byte_count - place) == STATUS_OK) {
        if (batch_next_offset(&batch) > self->next_offset) { /* Else the snapshot has it. */
            self->replayed_count += batch_record_count(&batch);
            ledger_load_apply_batch(self, &batch);
        }
        place += batch.byte_count;
    }
    if (place < byte_count) {
        complain(self, "log_not_read", self->next_offset, STATUS_CORRUPT);
    }
}

static void apply_slices(struct ledger *self, const struct log_read *read)
{
    if (read->slice_count == 1) {
        apply_bytes(self, read->slices[0].base, read->slices[0].byte_count);
        return;
    }
    uint8_t *bytes = malloc(read->byte_count == 0 ? 1 : read->byte_count);
    check(bytes != NULL); /* READ_BYTES_MAX and one batch. */
    size_t byte_count = 0;
    for (uint32_t i = 0; i < read->slice_count; i++) {
        memcpy(bytes + byte_count, read->slices[i].base, read->slices[i].byte_count);
        byte_count += read->slices[i].byte_count;
    }
    apply_bytes(self, bytes, byte_count);
    free(bytes);
}

/* The loop serves others between two pieces. */
static void next_turn_deliver(struct mail *mail)
{
    struct ledger *self = container_of(mail, struct ledger, next_turn);
    check(self->magic == LEDGER_MAGIC);
    if (self->state == LEDGER_LOADING) {
        read_on(self);
    }
    end_step(self);
}

static void again_on_timer(struct timer *timer)
{
    struct ledger *self = container_of(timer, struct ledger, again);
    check(self->magic == LEDGER_MAGIC);
    check(self->state == LEDGER_LOADING); /* Else it was stopped. */
    read_on(self);
}

/* Nothing is skipped: what it would tell without these records could be wrong. And nobody else
 * would have it read on: a failed read does not end the term. */
static void read_again_later(struct ledger *self, enum partition_fault fault)
{
    tell(self, "log_not_read", self->next_offset,
         fault == PARTITION_FAULT_CORRUPT ? STATUS_CORRUPT : STATUS_IO, "read again");
    timer_start_after(&self->again, READ_AGAIN_NS);
}

static void read_on_done(struct partition_read *read)
{
    struct ledger *self = container_of(read, struct ledger, read);
    check(self->magic == LEDGER_MAGIC);
    enum partition_fault fault = read->fault;
    if (self->state == LEDGER_LOADING && fault == PARTITION_FAULT_NONE) {
        apply_slices(self, &read->log_read);
        if (read->log_read.next_offset > self->next_offset) {
            self->next_offset = read->log_read.next_offset;
        }
    }
    partition_read_release(read);
    if (fault != PARTITION_FAULT_NONE && fault != PARTITION_FAULT_BUSY) {
        if (self->state == LEDGER_LOADING) {
            read_again_later(self, fault);
        }
        end_step(self);
        return;
    }
    self->next_turn.deliver = next_turn_deliver;
    loop_defer(self->options.loop, &self->next_turn); /* Keeps the read's count. */
}

static void read_on(struct ledger *self)
{
    struct partition_marks marks;
    partition_marks_of(self->options.partition, &marks);
    if (self->next_offset < marks.log_start) {
        self->next_offset = marks.log_start;
    }
    if (self->next_offset >= self->load_end) {
        become_ready(self);
        return;
    }
    if (marks.high_watermark <= self->next_offset) {
        /* What the log holds may still be cut off elsewhere: only what is safe is applied. */
        self->is_waiting = true;
        self->load_wait = (struct parked){.wanted = self->next_offset + 1, .on_end = wait_on_end};
        partition_watch(self->options.partition, PARTITION_READ_UNCOMMITTED, &self->load_wait,
                        INT64_MAX);
        return;
    }
    self->read = (struct partition_read){.offset = self->next_offset,
                                         .isolation = PARTITION_READ_UNCOMMITTED,
                                         .byte_count_max = READ_BYTES_MAX,
                                         .at_least_one = true,
                                         .current_leader_epoch = -1,
                                         .last_fetched_epoch = -1,
                                         .on_done = read_on_done};
    self->busy_count += 1;
    partition_read(self->options.partition, &self->read);
}

/* ---- the snapshot ---- */

static enum status file_read_call(struct disk_request *request)
{
    struct ledger_file *file = container_of(request, struct ledger_file, request);
    char path[DISK_PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", file->directory, LEDGER_SNAPSHOT_NAME);
    if (length < 0 || (size_t)length >= sizeof path) {
        return STATUS_INVALID;
    }
    return disk_read_file(file->disk, path, LEDGER_SNAPSHOT_BYTES_MAX, &file->bytes,
                          &file->byte_count);
}

/* It belongs to this topic's life, and the log still holds the history it was taken from. */
static bool is_usable(struct ledger *self, const struct ledger_snapshot_head *head)
{
    struct partition_marks marks;
    partition_marks_of(self->options.partition, &marks);
    int32_t epoch = -1;
    int64_t end_offset = -1;
    bool is_known = partition_epoch_end(self->options.partition, -1, head->leader_epoch, &epoch,
                                        &end_offset) == PARTITION_FAULT_NONE;
    return wire_uuid_equals(&head->topic_id, partition_topic_id(self->options.partition)) &&
           head->partition == partition_index(self->options.partition) && is_known &&
           epoch <= head->leader_epoch && end_offset >= head->next_offset &&
           head->next_offset >= marks.log_start && head->next_offset <= self->load_end;
}

static enum status apply_snapshot(struct ledger *self)
{
    struct ledger_snapshot_head head;
    struct wire_reader reader;
    TRY(ledger_snapshot_open(self->file.bytes, self->file.byte_count, &head, &reader));
    if (!is_usable(self, &head)) {
        return STATUS_NOT_FOUND;
    }
    struct ledger_record record;
    enum status status;
    while ((status = ledger_snapshot_next(&reader, &record)) == STATUS_OK) {
        self->options.kind->apply(self->machine, &record);
    }
    check(status == STATUS_NOT_FOUND); /* The checksum held. */
    self->next_offset = head.next_offset;
    self->last_snapshot_bytes = self->file.byte_count;
    return STATUS_OK;
}

static void file_read_on_done(struct disk_request *request)
{
    struct ledger_file *file = container_of(request, struct ledger_file, request);
    struct ledger *self = container_of(file, struct ledger, file);
    check(self->magic == LEDGER_MAGIC);
    file->is_busy = false;
    if (self->state == LEDGER_LOADING) {
        enum status status = request->status == STATUS_OK ? apply_snapshot(self) : request->status;
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
            trace_line(self->options.loop->trace, TRACE_WARN, "ledger", "snapshot_not_used",
                       "directory=\"%s\" reason=\"%s\" action=\"read the whole log\"",
                       file->directory, status_text(status));
        }
        read_on(self);
    }
    free(file->bytes);
    file->bytes = NULL;
    end_step(self);
}

void ledger_load_start(struct ledger *self)
{
    struct ledger_file *file = &self->file;
    timer_init(&self->again, &self->options.loop->timers, again_on_timer);
    self->load_started_ns = loop_now_ns(self->options.loop);
    file->disk = self->options.loop->disk;
    int length =
        snprintf(file->directory, sizeof file->directory, "%s/%s-%d", self->options.directory,
                 self->options.kind->topic_name, partition_index(self->options.partition));
    check(length > 0 && (size_t)length < sizeof file->directory);
    file->request = (struct disk_request){
        .kind = DISK_CALL, .call = file_read_call, .on_done = file_read_on_done};
    file->is_busy = true;
    self->busy_count += 1;
    disk_submit(file->disk, self->options.lane, &file->request);
}

static enum status file_write_call(struct disk_request *request)
{
    struct ledger_file *file = container_of(request, struct ledger_file, request);
    return disk_replace_file(file->disk, file->directory, LEDGER_SNAPSHOT_NAME, file->bytes,
                             file->byte_count);
}

static void file_write_on_done(struct disk_request *request)
{
    struct ledger_file *file = container_of(request, struct ledger_file, request);
    struct ledger *self = container_of(file, struct ledger, file);
    check(self->magic == LEDGER_MAGIC);
    file->is_busy = false;
    self->last_snapshot_bytes = file->byte_count;
    free(file->bytes);
    file->bytes = NULL;
    if (request->status != STATUS_OK && self->state != LEDGER_LOST) {
        trace_line(self->options.loop->trace, TRACE_WARN, "ledger", "snapshot_not_written",
                   "directory=\"%s\" reason=\"%s\" action=\"a load reads more of the log\"",
                   file->directory, status_text(request->status));
    }
    end_step(self);
}

/* All that is in the snapshot is safe now. */
static void snapshot_on_end(struct parked *wait, enum parked_end end)
{
    struct ledger *self = container_of(wait, struct ledger, snapshot_wait);
    check(self->magic == LEDGER_MAGIC);
    self->is_snapshot_parked = false;
    struct ledger_file *file = &self->file;
    if (end != PARKED_REACHED) {
        free(file->bytes);
        file->bytes = NULL;
        return;
    }
    file->request = (struct disk_request){
        .kind = DISK_CALL, .call = file_write_call, .on_done = file_write_on_done};
    file->is_busy = true;
    self->busy_count += 1;
    disk_submit(file->disk, self->options.lane, &file->request);
}

void ledger_load_snapshot_if_due(struct ledger *self)
{
    /* The second condition keeps the cost in proportion when the state itself is large. */
    bool is_due = self->records_since_snapshot >= self->options.snapshot_record_count &&
                  self->bytes_since_snapshot >= self->last_snapshot_bytes / 2;
    if (!is_due || self->state != LEDGER_READY || self->file.is_busy || self->is_snapshot_parked ||
        self->writing != NULL) {
        return;
    }
    struct ledger_snapshot_head head = {.topic_id = *partition_topic_id(self->options.partition),
                                        .partition = partition_index(self->options.partition),
                                        .leader_epoch = self->leader_epoch,
                                        .next_offset = self->next_offset};
    struct ledger_snapshot_writer writer;
    ledger_snapshot_begin(&writer);
    self->options.kind->snapshot(self->machine, &writer);
    self->records_since_snapshot = 0;
    self->bytes_since_snapshot = 0;
    if (ledger_snapshot_finish(&writer, &head, &self->file.bytes, &self->file.byte_count) !=
        STATUS_OK) {
        return; /* Safe to lose; the next one may fit. */
    }
    self->is_snapshot_parked = true;
    self->snapshot_wait = (struct parked){.wanted = self->next_offset, .on_end = snapshot_on_end};
    partition_watch(self->options.partition, PARTITION_READ_UNCOMMITTED, &self->snapshot_wait,
                    INT64_MAX);
}
