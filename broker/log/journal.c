#include "broker/log/journal.h"

#include "proto/sys/bulk_copy.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define JOURNAL_MAGIC 0x10041a11U
#define SHEET_BYTES_MAX (17U << 20) /* One largest append and then some. */
#define CONTROL_RESERVE_BYTES (64U << 10)

_Static_assert(JOURNAL_FORMAT_BLOCK_BYTES == DISK_BLOCK_BYTES, "sheets are blocks of direct files");
_Static_assert(JOURNAL_PIECE_BYTES % DISK_BLOCK_BYTES == 0, "a piece is whole blocks");

static uint64_t round_up(uint64_t byte_count)
{
    return (byte_count + DISK_BLOCK_BYTES - 1) / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
}

static struct journal_sheet *collecting_sheet(struct journal *self)
{
    return &self->sheets[self->collecting];
}

static void sheet_begin(struct journal *self, struct journal_sheet *sheet)
{
    check(sheet->piece_count == 0);
    sheet->byte_count = 0;
    sheet->record_count = 0;
    sheet->first_sequence = self->next_sequence;
}

static enum status prepare_file(struct journal *self, const struct journal_options *options)
{
    struct disk *disk = options->loop->disk;
    uint64_t file_bytes = 0;
    TRY(disk_file_size(disk, self->file, &file_bytes));
    if (file_bytes > options->byte_count) {
        TRY(disk_file_truncate(disk, self->file, options->byte_count));
    }
    TRY(disk_file_allocate(disk, self->file, 0, options->byte_count));
    uint8_t *block = aligned_alloc(DISK_BLOCK_BYTES, DISK_BLOCK_BYTES);
    if (block == NULL) {
        return STATUS_NO_MEMORY;
    }
    memset(block, 0, DISK_BLOCK_BYTES);
    const struct journal_file_header header = {
        .identity = self->identity, .byte_count = options->byte_count, .shard = options->shard};
    journal_format_encode_file_header(&header, block);
    enum status status = disk_file_write(disk, self->file, 0, block, DISK_BLOCK_BYTES);
    free(block);
    TRY(status);
    return disk_file_sync(disk, self->file);
}

static void write_on_done(struct disk_request *request);
static void mail_on_deliver(struct mail *mail);

enum status journal_open(struct journal *self, const struct journal_options *options)
{
    check(options->byte_count >= JOURNAL_BYTES_MIN);
    check(options->byte_count % DISK_BLOCK_BYTES == 0);
    *self = (struct journal){.magic = JOURNAL_MAGIC,
                             .loop = options->loop,
                             .pool = options->pool,
                             .identity.generation = options->generation,
                             .identity.salt = prng_next(&options->loop->prng),
                             .ring_bytes = options->byte_count - DISK_BLOCK_BYTES,
                             .next_sequence = 1,
                             .flushed_sequence = 1,
                             .failure = STATUS_OK,
                             .on_settled = options->on_settled};
    self->sheet_bytes_max = SHEET_BYTES_MAX;
    if (self->sheet_bytes_max > self->ring_bytes / 4) {
        self->sheet_bytes_max = self->ring_bytes / 4 / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
    }
    self->mail.deliver = mail_on_deliver;
    list_init(&self->overdue);
    for (uint32_t i = 0; i < 2; i++) {
        list_init(&self->sheets[i].waiters);
        self->sheets[i].first_sequence = self->next_sequence;
    }
    struct disk *disk = self->loop->disk;
    enum status status = disk_open(
        disk, options->path, DISK_OPEN_WRITE | DISK_OPEN_CREATE | DISK_OPEN_DIRECT, &self->file);
    if (status == STATUS_OK) {
        status = prepare_file(self, options);
    }
    if (status == STATUS_OK) {
        status = disk_lane_open(disk, self->loop, "journal", &self->lane);
    }
    if (status != STATUS_OK) {
        journal_close(self);
    }
    return status;
}

static void sheet_free_pieces(struct journal *self, struct journal_sheet *sheet)
{
    for (uint32_t i = 0; i < sheet->piece_count; i++) {
        block_pool_give(self->pool, sheet->pieces[i].base, JOURNAL_PIECE_BYTES);
    }
    sheet->piece_count = 0;
}

static void tell_waiters(struct list *waiters, enum status status)
{
    struct list *link = NULL;
    while ((link = list_take_first(waiters)) != NULL) {
        struct journal_waiter *waiter = container_of(link, struct journal_waiter, link);
        waiter->on_flushed(waiter, status);
    }
}

static void move_waiters(struct list *to, struct list *from)
{
    struct list *link = NULL;
    while ((link = list_take_first(from)) != NULL) {
        list_append(to, link);
    }
}

void journal_close(struct journal *self)
{
    if (self->magic == 0) {
        return;
    }
    check(self->magic == JOURNAL_MAGIC);
    check(!self->is_mailed); /* The loop would deliver it to nobody. */
    struct disk *disk = self->loop->disk;
    disk_lane_close(disk, self->lane);
    check(!self->is_writing);
    disk_file_close(disk, self->file);
    tell_waiters(&self->overdue, STATUS_CANCELED);
    for (uint32_t i = 0; i < 2; i++) {
        tell_waiters(&self->sheets[i].waiters, STATUS_CANCELED);
        sheet_free_pieces(self, &self->sheets[i]);
        free(self->sheets[i].pieces);
    }
    *self = (struct journal){0};
}

/* How far the head would be if the sheet had `byte_count` bytes and were written now. */
static uint64_t head_behind(const struct journal *self, uint64_t byte_count)
{
    uint64_t rounded = round_up(byte_count);
    uint64_t place = self->head % self->ring_bytes;
    uint64_t skipped = place + rounded > self->ring_bytes ? self->ring_bytes - place : 0;
    return self->head + skipped + rounded;
}

bool journal_has_room(const struct journal *self, size_t byte_count, bool is_control)
{
    check(self->magic == JOURNAL_MAGIC);
    const struct journal_sheet *sheet = &self->sheets[self->collecting];
    size_t sheet_bytes =
        (sheet->byte_count == 0 ? JOURNAL_FORMAT_SHEET_HEADER_BYTES : sheet->byte_count) +
        byte_count;
    size_t reserve = is_control ? 0 : CONTROL_RESERVE_BYTES;
    if (sheet_bytes + reserve > self->sheet_bytes_max + CONTROL_RESERVE_BYTES) {
        return false;
    }
    return head_behind(self, sheet_bytes) + reserve - self->tail <= self->ring_bytes;
}

size_t journal_record_bytes_max(const struct journal *self)
{
    return self->sheet_bytes_max - JOURNAL_FORMAT_SHEET_HEADER_BYTES;
}

static enum status reserve_pieces(struct journal *self, struct journal_sheet *sheet,
                                  size_t byte_count, bool is_control)
{
    while ((size_t)sheet->piece_count * JOURNAL_PIECE_BYTES < byte_count) {
        if (sheet->piece_count == sheet->piece_room) {
            uint32_t room = sheet->piece_room == 0 ? 8 : sheet->piece_room * 2;
            struct disk_buffer *pieces = realloc(sheet->pieces, room * sizeof *pieces);
            if (pieces == NULL) {
                return STATUS_NO_MEMORY;
            }
            sheet->pieces = pieces;
            sheet->piece_room = room;
        }
        void *piece = is_control ? block_pool_take_anyway(self->pool, JOURNAL_PIECE_BYTES)
                                 : block_pool_take(self->pool, JOURNAL_PIECE_BYTES);
        if (piece == NULL) {
            return is_control ? STATUS_NO_MEMORY : STATUS_BUSY;
        }
        sheet->pieces[sheet->piece_count].base = piece;
        sheet->pieces[sheet->piece_count].byte_count = JOURNAL_PIECE_BYTES;
        sheet->piece_count += 1;
    }
    return STATUS_OK;
}

/* The pieces are there. */
static void sheet_put(struct journal_sheet *sheet, const uint8_t *bytes, size_t byte_count)
{
    while (byte_count > 0) {
        size_t start = sheet->byte_count % JOURNAL_PIECE_BYTES;
        size_t count = JOURNAL_PIECE_BYTES - start;
        if (count > byte_count) {
            count = byte_count;
        }
        uint8_t *piece = sheet->pieces[sheet->byte_count / JOURNAL_PIECE_BYTES].base;
        bulk_copy(piece + start, bytes, count);
        sheet->byte_count += count;
        bytes += count;
        byte_count -= count;
    }
}

static void ask_for_flush(struct journal *self)
{
    if (!self->is_writing && !self->is_mailed) {
        self->is_mailed = true;
        loop_defer(self->loop, &self->mail);
    }
}

enum status journal_put(struct journal *self, struct journal_record *record)
{
    check(self->magic == JOURNAL_MAGIC);
    if (self->failure != STATUS_OK) {
        return self->failure;
    }
    size_t record_bytes = journal_format_record_bytes(record);
    bool is_control = record->kind != JOURNAL_BATCHES;
    check(journal_has_room(self, record_bytes, is_control));
    struct journal_sheet *sheet = collecting_sheet(self);
    bool is_new = sheet->byte_count == 0;
    size_t header_bytes = is_new ? JOURNAL_FORMAT_SHEET_HEADER_BYTES : 0;
    TRY(reserve_pieces(self, sheet, sheet->byte_count + header_bytes + record_bytes, is_control));
    sheet->byte_count += header_bytes; /* Filled in when the sheet is written. */

    uint8_t head[JOURNAL_FORMAT_HEAD_BYTES_MAX];
    record->sequence = self->next_sequence;
    size_t head_bytes = journal_format_encode_head(record, &self->identity, head);
    sheet_put(sheet, head, head_bytes);
    if (record->kind == JOURNAL_BATCHES) {
        sheet_put(sheet, record->ingested, (size_t)record->ingested_count * 8);
        sheet_put(sheet, record->bytes, record->byte_count);
    }
    sheet->record_count += 1;
    self->next_sequence += 1;
    check(sheet->first_sequence + sheet->record_count == self->next_sequence);
    ask_for_flush(self);
    return STATUS_OK;
}

void journal_wait(struct journal *self, struct journal_waiter *waiter)
{
    check(self->magic == JOURNAL_MAGIC);
    list_append(&collecting_sheet(self)->waiters, &waiter->link);
    ask_for_flush(self);
}

void journal_stop_waiting(struct journal_waiter *waiter)
{
    if (waiter->link.next != NULL) {
        list_remove(&waiter->link);
    }
}

static void sheet_seal(struct journal *self, struct journal_sheet *sheet)
{
    uint64_t rounded = round_up(sheet->byte_count);
    uint32_t used_pieces = (uint32_t)((rounded + JOURNAL_PIECE_BYTES - 1) / JOURNAL_PIECE_BYTES);
    check(used_pieces == sheet->piece_count);
    struct disk_buffer *last = &sheet->pieces[used_pieces - 1];
    last->byte_count = rounded - (uint64_t)(used_pieces - 1) * JOURNAL_PIECE_BYTES;
    size_t last_used = sheet->byte_count - (size_t)(used_pieces - 1) * JOURNAL_PIECE_BYTES;
    memset((uint8_t *)last->base + last_used, 0, last->byte_count - last_used);
    const struct journal_sheet_header header = {.first_sequence = sheet->first_sequence,
                                                .acknowledged_sequence = self->flushed_sequence,
                                                .byte_count = (uint32_t)sheet->byte_count,
                                                .record_count = sheet->record_count};
    journal_format_encode_sheet_header(&header, &self->identity, sheet->pieces[0].base);
}

static void start_write(struct journal *self)
{
    struct journal_sheet *sheet = collecting_sheet(self);
    sheet_seal(self, sheet);
    uint64_t rounded = round_up(sheet->byte_count);
    self->head = head_behind(self, sheet->byte_count);
    check(self->head - self->tail <= self->ring_bytes);
    self->collecting ^= 1;
    self->sheet_number += 1;
    sheet_begin(self, collecting_sheet(self));
    self->is_writing = true;
    self->request = (struct disk_request){
        .kind = DISK_WRITE_DURABLE,
        .file = self->file,
        .position = DISK_BLOCK_BYTES + (self->head - rounded) % self->ring_bytes,
        .buffers = sheet->pieces,
        .buffer_count = sheet->piece_count,
        .on_done = write_on_done,
    };
    disk_submit(self->loop->disk, self->lane, &self->request);
}

/* Starts the next write, or tells those who wait for nothing. */
static void mail_on_deliver(struct mail *mail)
{
    struct journal *self = container_of(mail, struct journal, mail);
    check(self->magic == JOURNAL_MAGIC);
    self->is_mailed = false;
    tell_waiters(&self->overdue, self->failure);
    if (self->is_writing) {
        return;
    }
    struct journal_sheet *sheet = collecting_sheet(self);
    if (sheet->record_count > 0 && self->failure == STATUS_OK) {
        start_write(self);
        return;
    }
    if (list_is_empty(&sheet->waiters)) {
        return;
    }
    /* Those who are told may wait again: that is the next turn's. */
    self->sheet_number += 1;
    struct list waiters;
    list_init(&waiters);
    move_waiters(&waiters, &sheet->waiters);
    tell_waiters(&waiters, self->failure);
    self->on_settled(self);
}

void journal_fail(struct journal *self, enum status why)
{
    check(self->magic == JOURNAL_MAGIC);
    check(why != STATUS_OK);
    if (self->failure == STATUS_OK) {
        self->failure = why;
    }
}

static void write_on_done(struct disk_request *request)
{
    struct journal *self = container_of(request, struct journal, request);
    check(self->magic == JOURNAL_MAGIC);
    check(self->is_writing);
    struct journal_sheet *sheet = &self->sheets[self->collecting ^ 1];
    self->is_writing = false;
    if (request->status == STATUS_OK) {
        self->flushed_sequence = sheet->first_sequence + sheet->record_count;
    } else if (self->failure == STATUS_OK) {
        self->failure = request->status;
    }
    sheet_free_pieces(self, sheet);
    /* The next write begins before anybody is told: the disk never waits for us. */
    struct journal_sheet *next = collecting_sheet(self);
    struct list waiters;
    list_init(&waiters);
    move_waiters(&waiters, &sheet->waiters);
    if (self->lane == NULL) { /* journal_flush_now() */
        move_waiters(&self->overdue, &waiters);
        return;
    }
    if (next->record_count > 0 && self->failure == STATUS_OK) {
        start_write(self);
    } else if (!list_is_empty(&next->waiters)) {
        ask_for_flush(self);
    }
    tell_waiters(&waiters, self->failure);
    self->on_settled(self);
}

enum status journal_flush_now(struct journal *self)
{
    check(self->magic == JOURNAL_MAGIC);
    struct disk *disk = self->loop->disk;
    while (self->failure == STATUS_OK &&
           (self->is_writing || collecting_sheet(self)->record_count > 0)) {
        if (!self->is_writing) {
            start_write(self);
        }
        /* Closing a lane ends what it has; it is rare enough. */
        struct disk_lane *lane = self->lane;
        self->lane = NULL;
        disk_lane_close(disk, lane);
        check(!self->is_writing);
        enum status status = disk_lane_open(disk, self->loop, "journal", &self->lane);
        if (status != STATUS_OK && self->failure == STATUS_OK) {
            self->failure = status;
        }
    }
    if (!self->is_mailed) {
        self->is_mailed = true;
        loop_defer(self->loop, &self->mail);
    }
    return self->failure;
}

struct journal_cut journal_cut(const struct journal *self)
{
    check(self->magic == JOURNAL_MAGIC);
    return (struct journal_cut){
        .head = self->head,
        .position = DISK_BLOCK_BYTES + self->head % self->ring_bytes,
        .sequence = self->sheets[self->collecting].first_sequence,
    };
}

void journal_release(struct journal *self, const struct journal_cut *cut)
{
    check(self->magic == JOURNAL_MAGIC);
    check(cut->head >= self->tail && cut->head <= self->head);
    self->tail = cut->head;
}

uint64_t journal_used_bytes(const struct journal *self)
{
    return self->head - self->tail;
}
