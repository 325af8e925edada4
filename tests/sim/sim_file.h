/* The content of one simulated file: what a process reads, what a power cut leaves, and what lies
 * between.
 *
 * Pages hold the content as the process sees it. A page that is changed without being flushed keeps
 * a saved copy of its durable content, and the change joins a list in order. A flush makes a prefix
 * of the list durable; a power cut restores the saved pages and puts back any part of the list:
 * - each 512-byte sector gets a prefix of its own changes, independently of all others (a sector
 *   is written whole, in order with itself, never in order with its neighbours);
 * - sizes change in order: the size is that after a prefix of the size changes; what was written
 *   beyond it is lost; what follows a lost shortening is lost as well (its blocks are not the
 *   file's);
 * - a file that was lengthened reads zeros where data did not make it.
 * A failed flush leaves its changes in the list for good: no later flush covers them, although
 * reads show them (what ext4, XFS and Btrfs do).
 *
 * Owner: the disk. Loop: the world's thread. Limits: SIM_FILE_PENDING_MAX changes wait; beyond, the
 * oldest are made durable, as a kernel's write-back does. */
#pragma once

#include "proto/sys/prng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_SECTOR_BYTES 512U
#define SIM_PAGE_BYTES 4096U
#define SIM_PAGE_SECTORS (SIM_PAGE_BYTES / SIM_SECTOR_BYTES)
#define SIM_FILE_PENDING_MAX 8192U

enum sim_change_kind { SIM_CHANGE_WRITE, SIM_CHANGE_SHORTEN, SIM_CHANGE_LENGTHEN };

struct sim_change {
    enum sim_change_kind kind;
    uint64_t sequence;
    uint64_t position; /* Of a write; else the new size. */
    size_t byte_count;
    uint8_t *bytes;      /* Owned; writes only. */
    bool is_lengthening; /* A write that moved the end. */
    bool is_abandoned;   /* Covered by a flush that failed. */
};

struct sim_saved_page {
    uint8_t *bytes;                              /* Owned; NULL: zeros. */
    uint64_t durable_sequence[SIM_PAGE_SECTORS]; /* Changes up to it are in `bytes`. */
    uint8_t lost_sectors; /* During a power cut: bits of sectors whose later changes are lost. */
};

struct sim_page {
    uint8_t *bytes;               /* Owned; NULL: zeros. */
    struct sim_saved_page *saved; /* Owned; NULL: what is seen is durable. */
    bool is_allocated;            /* Takes space on the disk. */
};

struct sim_file {
    uint64_t byte_count;
    uint64_t durable_byte_count;
    struct sim_page *pages; /* Owned. */
    size_t page_count;
    uint64_t allocated_pages;
    struct sim_change *changes; /* Owned; in order. */
    size_t change_count;
    size_t change_room;
    uint64_t sequence; /* Of the newest change. */
    size_t *dirty;     /* Owned; numbers of pages with a saved copy. */
    size_t dirty_count;
    size_t dirty_room;
};

/* How a power cut chooses what is kept. */
enum sim_cut {
    SIM_CUT_LOSE_ALL,
    SIM_CUT_KEEP_ALL,
    SIM_CUT_SECTORS, /* Each sector by itself. */
    SIM_CUT_CHANGES, /* Each change as a whole. */
    SIM_CUT_PREFIX,  /* All before one change, that one torn, none after. */
    SIM_CUT_HOLE,    /* All but one. */
    SIM_CUT_SUFFIX,  /* The newest only. */
    SIM_CUT_COUNT,
};

void sim_file_init(struct sim_file *self);
void sim_file_done(struct sim_file *self);

size_t sim_file_read(const struct sim_file *self, uint64_t position, uint8_t *bytes,
                     size_t byte_count);
/* Takes `bytes` (malloc'ed). Durable: as with O_DSYNC, this range and the size. */
void sim_file_write(struct sim_file *self, uint64_t position, uint8_t *bytes, size_t byte_count,
                    bool is_durable);
void sim_file_truncate(struct sim_file *self, uint64_t byte_count);
void sim_file_allocate(struct sim_file *self, uint64_t position, uint64_t byte_count);
/* Pages that a write or allocation there would newly take. */
uint64_t sim_file_pages_needed(const struct sim_file *self, uint64_t position, uint64_t byte_count);

/* A flush covers the changes up to the sequence that was the newest when it began. */
void sim_file_flush(struct sim_file *self, uint64_t sequence);
void sim_file_fail_flush(struct sim_file *self, uint64_t sequence);
bool sim_file_is_clean(const struct sim_file *self);

void sim_file_cut_power(struct sim_file *self, enum sim_cut cut, struct prng *prng);
/* Damages what is durable and what is seen. False: no such byte. */
bool sim_file_flip_bit(struct sim_file *self, uint64_t position, unsigned bit);
