#include "tests/sim/sim_file.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t zeros[SIM_PAGE_BYTES];

void sim_file_init(struct sim_file *self)
{
    *self = (struct sim_file){0};
}

static void changes_drop(struct sim_file *self, size_t count)
{
    if (count == 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        free(self->changes[i].bytes);
    }
    self->change_count -= count;
    memmove(self->changes, self->changes + count, self->change_count * sizeof *self->changes);
}

void sim_file_done(struct sim_file *self)
{
    changes_drop(self, self->change_count);
    for (size_t i = 0; i < self->page_count; i++) {
        if (self->pages[i].saved != NULL) {
            free(self->pages[i].saved->bytes);
            free(self->pages[i].saved);
        }
        free(self->pages[i].bytes);
    }
    free(self->pages);
    free(self->changes);
    free(self->dirty);
    *self = (struct sim_file){0};
}

/* --- Pages --- */

static struct sim_page *page_at(struct sim_file *self, size_t number)
{
    if (number >= self->page_count) {
        size_t count = number + 1 > self->page_count * 2 ? number + 1 : self->page_count * 2;
        self->pages = realloc(self->pages, count * sizeof *self->pages);
        check(self->pages != NULL);
        memset(self->pages + self->page_count, 0, (count - self->page_count) * sizeof *self->pages);
        self->page_count = count;
    }
    return &self->pages[number];
}

static void page_set_allocated(struct sim_file *self, struct sim_page *page, bool is_allocated)
{
    if (page->is_allocated != is_allocated) {
        page->is_allocated = is_allocated;
        self->allocated_pages += is_allocated ? 1 : UINT64_MAX;
    }
}

static uint8_t *own_bytes(uint8_t **bytes)
{
    if (*bytes == NULL) {
        *bytes = calloc(1, SIM_PAGE_BYTES);
        check(*bytes != NULL);
    }
    return *bytes;
}

/* Puts the durable content of a page aside. The content itself moves when the page is about to be
 * dropped (`is_moved`), else it is copied. */
static void page_save(struct sim_file *self, size_t number, bool is_moved)
{
    struct sim_page *page = page_at(self, number);
    if (page->saved != NULL) {
        if (is_moved) {
            free(page->bytes);
            page->bytes = NULL;
        }
        return;
    }
    page->saved = calloc(1, sizeof *page->saved);
    check(page->saved != NULL);
    if (is_moved) {
        page->saved->bytes = page->bytes;
        page->bytes = NULL;
    } else if (page->bytes != NULL) {
        memcpy(own_bytes(&page->saved->bytes), page->bytes, SIM_PAGE_BYTES);
    }
    if (self->dirty_count == self->dirty_room) {
        self->dirty_room = self->dirty_room == 0 ? 64 : self->dirty_room * 2;
        self->dirty = realloc(self->dirty, self->dirty_room * sizeof *self->dirty);
        check(self->dirty != NULL);
    }
    self->dirty[self->dirty_count] = number;
    self->dirty_count += 1;
}

static void pages_forget_saved(struct sim_file *self)
{
    for (size_t i = 0; i < self->dirty_count; i++) {
        struct sim_page *page = &self->pages[self->dirty[i]];
        free(page->saved->bytes);
        free(page->saved);
        page->saved = NULL;
    }
    self->dirty_count = 0;
}

size_t sim_file_read(const struct sim_file *self, uint64_t position, uint8_t *bytes,
                     size_t byte_count)
{
    if (position >= self->byte_count) {
        return 0;
    }
    uint64_t left = self->byte_count - position;
    size_t total = left < byte_count ? (size_t)left : byte_count;
    for (size_t done = 0; done < total;) {
        size_t number = (size_t)((position + done) / SIM_PAGE_BYTES);
        size_t within = (size_t)((position + done) % SIM_PAGE_BYTES);
        size_t part = SIM_PAGE_BYTES - within;
        part = part < total - done ? part : total - done;
        const uint8_t *source = number < self->page_count ? self->pages[number].bytes : NULL;
        memcpy(bytes + done, source == NULL ? zeros : source + within, part);
        done += part;
    }
    return total;
}

/* --- Changes --- */

static void change_add(struct sim_file *self, struct sim_change change)
{
    if (self->change_count == SIM_FILE_PENDING_MAX) {
        sim_file_flush(self, self->changes[self->change_count / 2].sequence);
        if (self->change_count == SIM_FILE_PENDING_MAX) {
            changes_drop(self, 1); /* Abandoned ones; the oldest is lost for good. */
        }
    }
    if (self->change_count == self->change_room) {
        self->change_room = self->change_room == 0 ? 16 : self->change_room * 2;
        self->changes = realloc(self->changes, self->change_room * sizeof *self->changes);
        check(self->changes != NULL);
    }
    self->changes[self->change_count] = change;
    self->change_count += 1;
}

/* One sector's part of a write. */
struct piece {
    size_t page;
    size_t sector;
    size_t within; /* The page. */
    size_t source; /* Within the write. */
    size_t byte_count;
};

static struct piece piece_at(uint64_t position, size_t byte_count, size_t done)
{
    uint64_t place = position + done;
    size_t room = SIM_SECTOR_BYTES - (size_t)(place % SIM_SECTOR_BYTES);
    return (struct piece){.page = (size_t)(place / SIM_PAGE_BYTES),
                          .sector = (size_t)(place % SIM_PAGE_BYTES / SIM_SECTOR_BYTES),
                          .within = (size_t)(place % SIM_PAGE_BYTES),
                          .source = done,
                          .byte_count = room < byte_count - done ? room : byte_count - done};
}

/* Puts a change into the durable copy of one sector, unless a newer one is there. */
static void piece_make_durable(struct sim_file *self, const struct sim_change *change,
                               struct piece piece)
{
    struct sim_saved_page *saved = self->pages[piece.page].saved;
    if (saved == NULL || saved->durable_sequence[piece.sector] >= change->sequence) {
        return;
    }
    memcpy(own_bytes(&saved->bytes) + piece.within, change->bytes + piece.source, piece.byte_count);
    saved->durable_sequence[piece.sector] = change->sequence;
}

/* Clears the durable copy from `position` on; earlier changes there are over. The sector in which
 * the end lies is taken as it is seen. */
static void shorten_saved(struct sim_file *self, uint64_t position, uint64_t sequence)
{
    for (size_t i = 0; i < self->dirty_count; i++) {
        const struct sim_page *page = &self->pages[self->dirty[i]];
        uint64_t start = (uint64_t)self->dirty[i] * SIM_PAGE_BYTES;
        for (size_t sector = 0; sector < SIM_PAGE_SECTORS; sector++) {
            uint64_t place = start + sector * SIM_SECTOR_BYTES;
            if (place + SIM_SECTOR_BYTES <= position ||
                page->saved->durable_sequence[sector] >= sequence) {
                continue;
            }
            uint8_t *bytes = own_bytes(&page->saved->bytes) + sector * SIM_SECTOR_BYTES;
            size_t kept = place < position ? (size_t)(position - place) : 0;
            memset(bytes + kept, 0, SIM_SECTOR_BYTES - kept);
            if (kept > 0 && page->bytes != NULL) {
                memcpy(bytes, page->bytes + sector * SIM_SECTOR_BYTES, kept);
            }
            page->saved->durable_sequence[sector] = sequence;
        }
    }
}

/* Sizes are made durable in order: all size changes up to `sequence`, without their data. */
static void settle_sizes(struct sim_file *self, uint64_t sequence)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->change_count; i++) {
        struct sim_change *change = &self->changes[i];
        if (change->sequence <= sequence) {
            if (change->kind == SIM_CHANGE_SHORTEN) {
                shorten_saved(self, change->position, change->sequence);
                self->durable_byte_count = change->position;
            } else if (change->kind == SIM_CHANGE_LENGTHEN) {
                self->durable_byte_count = change->position;
            } else if (change->is_lengthening) {
                self->durable_byte_count = change->position + change->byte_count;
                change->is_lengthening = false;
            }
            if (change->kind != SIM_CHANGE_WRITE) {
                continue;
            }
        }
        self->changes[kept] = *change;
        kept += 1;
    }
    self->change_count = kept;
}

static void write_pages(struct sim_file *self, const struct sim_change *change, bool is_durable)
{
    for (size_t done = 0; done < change->byte_count;) {
        size_t number = (size_t)((change->position + done) / SIM_PAGE_BYTES);
        size_t within = (size_t)((change->position + done) % SIM_PAGE_BYTES);
        size_t part = SIM_PAGE_BYTES - within;
        part = part < change->byte_count - done ? part : change->byte_count - done;
        if (!is_durable) {
            page_save(self, number, false);
        }
        struct sim_page *page = page_at(self, number);
        page_set_allocated(self, page, true);
        memcpy(own_bytes(&page->bytes) + within, change->bytes + done, part);
        done += part;
    }
}

/* A flushed sector is flushed as it is seen, with what earlier changes had put into it. */
static void save_sectors_seen(struct sim_file *self, const struct sim_change *change)
{
    for (size_t done = 0; done < change->byte_count;) {
        struct piece piece = piece_at(change->position, change->byte_count, done);
        const struct sim_page *page = &self->pages[piece.page];
        if (page->saved != NULL) {
            size_t start = piece.sector * SIM_SECTOR_BYTES;
            memcpy(own_bytes(&page->saved->bytes) + start, page->bytes + start, SIM_SECTOR_BYTES);
            page->saved->durable_sequence[piece.sector] = change->sequence;
        }
        done += piece.byte_count;
    }
}

void sim_file_write(struct sim_file *self, uint64_t position, uint8_t *bytes, size_t byte_count,
                    bool is_durable)
{
    self->sequence += 1;
    struct sim_change change = {.kind = SIM_CHANGE_WRITE,
                                .sequence = self->sequence,
                                .position = position,
                                .byte_count = byte_count,
                                .bytes = bytes,
                                .is_lengthening = position + byte_count > self->byte_count};
    if (byte_count == 0) {
        free(bytes);
        return;
    }
    if (is_durable) {
        settle_sizes(self, self->sequence);
    }
    write_pages(self, &change, is_durable);
    if (change.is_lengthening) {
        self->byte_count = position + byte_count;
    }
    if (!is_durable) {
        change_add(self, change);
        return;
    }
    save_sectors_seen(self, &change);
    if (self->durable_byte_count < position + byte_count) {
        self->durable_byte_count = position + byte_count;
    }
    free(bytes);
}

void sim_file_truncate(struct sim_file *self, uint64_t byte_count)
{
    if (byte_count == self->byte_count) {
        return;
    }
    self->sequence += 1;
    bool is_shorter = byte_count < self->byte_count;
    if (is_shorter) {
        size_t first = (size_t)((byte_count + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES);
        for (size_t i = first; i < self->page_count; i++) {
            struct sim_page *page = &self->pages[i];
            if (page->bytes != NULL) {
                page_save(self, i, true);
            }
            page_set_allocated(self, page, false);
        }
        size_t within = (size_t)(byte_count % SIM_PAGE_BYTES);
        size_t last = (size_t)(byte_count / SIM_PAGE_BYTES);
        if (within > 0 && last < self->page_count && self->pages[last].bytes != NULL) {
            page_save(self, last, false);
            memset(self->pages[last].bytes + within, 0, SIM_PAGE_BYTES - within);
        }
    }
    self->byte_count = byte_count;
    change_add(self,
               (struct sim_change){.kind = is_shorter ? SIM_CHANGE_SHORTEN : SIM_CHANGE_LENGTHEN,
                                   .sequence = self->sequence,
                                   .position = byte_count});
}

void sim_file_allocate(struct sim_file *self, uint64_t position, uint64_t byte_count)
{
    if (byte_count == 0) {
        return;
    }
    for (uint64_t i = position / SIM_PAGE_BYTES; i <= (position + byte_count - 1) / SIM_PAGE_BYTES;
         i++) {
        page_set_allocated(self, page_at(self, (size_t)i), true);
    }
    if (position + byte_count > self->byte_count) {
        self->sequence += 1;
        self->byte_count = position + byte_count;
        change_add(self, (struct sim_change){.kind = SIM_CHANGE_LENGTHEN,
                                             .sequence = self->sequence,
                                             .position = self->byte_count});
    }
}

uint64_t sim_file_pages_needed(const struct sim_file *self, uint64_t position, uint64_t byte_count)
{
    if (byte_count == 0) {
        return 0;
    }
    uint64_t needed = 0;
    for (uint64_t i = position / SIM_PAGE_BYTES; i <= (position + byte_count - 1) / SIM_PAGE_BYTES;
         i++) {
        needed += i >= self->page_count || !self->pages[i].is_allocated;
    }
    return needed;
}

/* --- Flushes --- */

bool sim_file_is_clean(const struct sim_file *self)
{
    return self->change_count == 0;
}

void sim_file_flush(struct sim_file *self, uint64_t sequence)
{
    bool is_whole = true; /* Nothing stays behind. */
    for (size_t i = 0; i < self->change_count && is_whole; i++) {
        is_whole = self->changes[i].sequence <= sequence && !self->changes[i].is_abandoned;
    }
    if (is_whole) {
        changes_drop(self, self->change_count);
        pages_forget_saved(self);
        self->durable_byte_count = self->byte_count;
        return;
    }
    settle_sizes(self, sequence);
    size_t kept = 0;
    for (size_t i = 0; i < self->change_count; i++) {
        struct sim_change *change = &self->changes[i];
        if (change->sequence > sequence || change->is_abandoned) {
            self->changes[kept] = *change;
            kept += 1;
            continue;
        }
        for (size_t done = 0; done < change->byte_count;) {
            struct piece piece = piece_at(change->position, change->byte_count, done);
            piece_make_durable(self, change, piece);
            done += piece.byte_count;
        }
        free(change->bytes);
    }
    self->change_count = kept;
}

void sim_file_fail_flush(struct sim_file *self, uint64_t sequence)
{
    for (size_t i = 0; i < self->change_count; i++) {
        if (self->changes[i].sequence <= sequence) {
            self->changes[i].is_abandoned = true;
        }
    }
}

/* --- Power cuts --- */

struct cut {
    enum sim_cut how;
    struct prng *prng;
    uint64_t chance_256; /* Of keeping a sector. */
    size_t chosen;       /* A change. */
    bool is_change_kept; /* Of the present change. */
};

static bool cut_keeps_change(const struct cut *self, size_t i)
{
    switch (self->how) {
    case SIM_CUT_LOSE_ALL:
        return false;
    case SIM_CUT_CHANGES:
        return prng_below(self->prng, 2) == 0;
    case SIM_CUT_PREFIX:
        return i <= self->chosen;
    case SIM_CUT_HOLE:
        return i != self->chosen;
    case SIM_CUT_SUFFIX:
        return i >= self->chosen;
    case SIM_CUT_KEEP_ALL:
    case SIM_CUT_SECTORS:
    case SIM_CUT_COUNT:
        break;
    }
    return true;
}

static bool cut_keeps_sector(const struct cut *self, size_t i)
{
    bool is_torn =
        self->how == SIM_CUT_SECTORS || (self->how == SIM_CUT_PREFIX && i == self->chosen);
    if (!self->is_change_kept || !is_torn) {
        return self->is_change_kept;
    }
    return prng_below(self->prng, 256) < self->chance_256;
}

/* What survives of a write goes into the saved copies. */
static void cut_write(struct sim_file *self, const struct cut *cut, size_t i, uint64_t end)
{
    const struct sim_change *change = &self->changes[i];
    for (size_t done = 0; done < change->byte_count;) {
        struct piece piece = piece_at(change->position, change->byte_count, done);
        done += piece.byte_count;
        struct sim_saved_page *saved = self->pages[piece.page].saved;
        check(saved != NULL);
        uint8_t bit = (uint8_t)(1U << piece.sector);
        bool is_kept = cut_keeps_sector(cut, i);
        if (change->position + piece.source >= end ||
            saved->durable_sequence[piece.sector] >= change->sequence) {
            continue;
        }
        bool is_whole = piece.byte_count == SIM_SECTOR_BYTES;
        if (!is_kept) {
            saved->lost_sectors |= bit;
        } else if (is_whole || (saved->lost_sectors & bit) == 0) {
            piece_make_durable(self, change, piece); /* Part of a sector needs what was before. */
            saved->lost_sectors &= (uint8_t)~bit;
        }
    }
}

static void cut_changes(struct sim_file *self, struct cut *cut)
{
    for (size_t i = 0; i < self->change_count; i++) {
        const struct sim_change *change = &self->changes[i];
        cut->is_change_kept = cut_keeps_change(cut, i);
        if (change->kind == SIM_CHANGE_WRITE) {
            if (change->is_lengthening && cut->is_change_kept) {
                uint64_t end = change->position + change->byte_count;
                self->durable_byte_count =
                    end > self->durable_byte_count ? end : self->durable_byte_count;
            }
            cut_write(self, cut, i, self->durable_byte_count);
        } else if (cut->is_change_kept) {
            if (change->kind == SIM_CHANGE_SHORTEN) {
                shorten_saved(self, change->position, change->sequence);
            }
            self->durable_byte_count = change->position;
        } else if (change->kind == SIM_CHANGE_SHORTEN) {
            return;
        }
    }
}

void sim_file_cut_power(struct sim_file *self, enum sim_cut how, struct prng *prng)
{
    static const uint64_t chances[3] = {24, 128, 232};
    struct cut cut = {.how = how, .prng = prng, .chance_256 = chances[prng_below(prng, 3)]};
    cut.chosen = self->change_count == 0 ? 0 : (size_t)prng_below(prng, self->change_count);
    cut_changes(self, &cut);

    for (size_t i = 0; i < self->dirty_count; i++) {
        struct sim_page *page = &self->pages[self->dirty[i]];
        free(page->bytes);
        page->bytes = page->saved->bytes;
        page->saved->bytes = NULL;
        if (page->bytes != NULL) {
            page_set_allocated(self, page, true);
        }
    }
    pages_forget_saved(self);
    changes_drop(self, self->change_count);
    self->byte_count = self->durable_byte_count;

    /* Nothing lies behind the end: a file that grows later reads zeros there. */
    size_t first = (size_t)((self->byte_count + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES);
    for (size_t i = first; i < self->page_count; i++) {
        free(self->pages[i].bytes);
        self->pages[i].bytes = NULL;
        page_set_allocated(self, &self->pages[i], false);
    }
    size_t within = (size_t)(self->byte_count % SIM_PAGE_BYTES);
    size_t last = (size_t)(self->byte_count / SIM_PAGE_BYTES);
    if (within > 0 && last < self->page_count && self->pages[last].bytes != NULL) {
        memset(self->pages[last].bytes + within, 0, SIM_PAGE_BYTES - within);
    }
}

bool sim_file_flip_bit(struct sim_file *self, uint64_t position, unsigned bit)
{
    check(bit < 8);
    if (position >= self->byte_count) {
        return false;
    }
    struct sim_page *page = page_at(self, (size_t)(position / SIM_PAGE_BYTES));
    size_t within = (size_t)(position % SIM_PAGE_BYTES);
    own_bytes(&page->bytes)[within] ^= (uint8_t)(1U << bit);
    if (page->saved != NULL) {
        own_bytes(&page->saved->bytes)[within] ^= (uint8_t)(1U << bit);
    }
    return true;
}
