/* A bar on stderr that tells how far a long run is, where stderr is a terminal.
 *
 * Drawn at most ten times a second, over itself. Time is given by the caller, so that tests need
 * none.
 *
 * Owner: the command. Loop: the main thread. Limits: PROGRESS_BAR_BYTES_MAX. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PROGRESS_BAR_BYTES_MAX 160U

struct progress_bar {
    FILE *out;          /* Borrowed for life; NULL: nothing is drawn. */
    const char *unit;   /* As "records". */
    uint64_t count_max; /* 0: not known, then there is no bar but the count. */
    int64_t started_ns;
    int64_t drawn_ns;
    bool is_drawn;
};

void progress_bar_init(struct progress_bar *self, FILE *out, const char *unit, int64_t now_ns);
void progress_bar_show(struct progress_bar *self, uint64_t count, int64_t now_ns);
/* Draws the last state and ends the line. */
void progress_bar_done(struct progress_bar *self, uint64_t count, int64_t now_ns);
/* The text of a state, for show and for tests; `text` holds PROGRESS_BAR_BYTES_MAX. */
void progress_bar_format(const struct progress_bar *self, uint64_t count, int64_t now_ns,
                         char *text);
