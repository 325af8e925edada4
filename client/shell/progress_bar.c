#include "client/shell/progress_bar.h"

#include <inttypes.h>
#include <string.h>

#define CELL_COUNT 30U
#define DRAW_NS 100000000
#define NS_PER_S 1000000000

void progress_bar_init(struct progress_bar *self, FILE *out, const char *unit, int64_t now_ns)
{
    *self = (struct progress_bar){
        .out = out, .unit = unit, .started_ns = now_ns, .drawn_ns = now_ns - DRAW_NS};
}

void progress_bar_format(const struct progress_bar *self, uint64_t count, int64_t now_ns,
                         char *text)
{
    int64_t elapsed_ns = now_ns - self->started_ns;
    uint64_t rate = elapsed_ns <= 0 ? 0 : (uint64_t)((double)count * NS_PER_S / (double)elapsed_ns);
    if (self->count_max == 0) {
        (void)snprintf(text, PROGRESS_BAR_BYTES_MAX, "%" PRIu64 " %s  %" PRIu64 "/s", count,
                       self->unit, rate);
        return;
    }
    uint64_t shown = count < self->count_max ? count : self->count_max;
    char cells[CELL_COUNT + 1];
    size_t full = (size_t)(shown * CELL_COUNT / self->count_max);
    memset(cells, '.', CELL_COUNT);
    memset(cells, '#', full);
    cells[CELL_COUNT] = '\0';
    (void)snprintf(text, PROGRESS_BAR_BYTES_MAX,
                   "[%s] %3" PRIu64 " %%  %" PRIu64 "/%" PRIu64 " %s  %" PRIu64 "/s", cells,
                   shown * 100 / self->count_max, count, self->count_max, self->unit, rate);
}

static void draw(struct progress_bar *self, uint64_t count, int64_t now_ns)
{
    char text[PROGRESS_BAR_BYTES_MAX];
    progress_bar_format(self, count, now_ns, text);
    (void)fprintf(self->out, "\r%s\033[K", text);
    (void)fflush(self->out);
    self->drawn_ns = now_ns;
    self->is_drawn = true;
}

void progress_bar_show(struct progress_bar *self, uint64_t count, int64_t now_ns)
{
    if (self->out != NULL && now_ns - self->drawn_ns >= DRAW_NS) {
        draw(self, count, now_ns);
    }
}

void progress_bar_done(struct progress_bar *self, uint64_t count, int64_t now_ns)
{
    if (self->out != NULL && self->is_drawn) {
        draw(self, count, now_ns);
        (void)fputc('\n', self->out);
    }
}
