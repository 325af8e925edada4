#include "tests/sim/job_sums.h"

#include "proto/sys/check.h"
#include "tests/sim/job_plan.h"

#include <stdlib.h>
#include <string.h>

#define LETTER_NONE 'z'

static void print_time(int64_t at_s, char out[static 32])
{
    (void)snprintf(out, 32, "2001-01-01T%02d:%02d:%02dZ", (int)(at_s / 3600), (int)(at_s / 60 % 60),
                   (int)(at_s % 60));
}

int32_t job_sums_send(struct job_sums *self, int64_t at_s, int key, int64_t value,
                      char out_json[static JOB_SUMS_ROW_BYTES])
{
    char time[32];
    print_time(at_s, time);
    if (key >= 0) {
        check(at_s / JOB_PLAN_WINDOW_S < JOB_SUMS_WINDOWS);
        struct job_sum *sum = &self->sent[at_s / JOB_PLAN_WINDOW_S][key];
        sum->count += 1;
        sum->total += value;
        self->sent_count += 1;
    }
    return snprintf(out_json, JOB_SUMS_ROW_BYTES, "{\"t\":\"%s\",\"k\":\"%c\",\"v\":%lld}", time,
                    key < 0 ? LETTER_NONE : 'a' + key, (long long)value);
}

void job_sums_forget_output(struct job_sums *self)
{
    memset(self->emitted, 0, sizeof self->emitted);
    memset(self->late, 0, sizeof self->late);
    memset(self->logged, 0, sizeof self->logged);
    self->emitted_count = 0;
    self->late_count = 0;
    self->window_count = 0;
}

/* The text of a value, NUL-terminated. */
static void copy_value(struct wire_bytes value, char out[static 200])
{
    int32_t count = value.byte_count < 0 ? 0 : value.byte_count;
    count = count < 199 ? count : 199;
    if (count > 0) {
        memcpy(out, value.bytes, (size_t)count);
    }
    out[count] = '\0';
}

/* False: not a place of the sums (the closing rows are none). */
static bool place_of(int hour, int minute, int second, char letter, int64_t *out_window,
                     int *out_key)
{
    *out_window = (hour * 3600 + minute * 60 + second) / JOB_PLAN_WINDOW_S;
    *out_key = letter - 'a';
    return *out_window < JOB_SUMS_WINDOWS && *out_key >= 0 && *out_key < JOB_SUMS_KEYS;
}

void job_sums_take_output(struct job_sums *self, const struct source_rows *rows)
{
    for (uint32_t i = 0; i < rows->row_count; i++) {
        char text[200];
        copy_value(rows->origin.values[i], text);
        int hour;
        int minute;
        int second;
        char letter;
        long long count;
        long long total;
        int fields = sscanf(text,
                            "{\"window_start\":\"2001-01-01T%2d:%2d:%2dZ\",\"k\":\"%c\",\"n\":%lld,"
                            "\"total\":%lld}",
                            &hour, &minute, &second, &letter, &count, &total);
        int64_t window;
        int key;
        if (fields != 6) {
            sim_world_fail(self->world, "no row of the sink: %s", text);
            return;
        }
        if (!place_of(hour, minute, second, letter, &window, &key)) {
            continue;
        }
        struct job_sum *sum = &self->emitted[window][key];
        if (sum->count > 0) {
            sim_world_fail(self->world, "a window came out twice: %s at %d/%lld", text,
                           rows->origin.partition, (long long)rows->origin.offsets[i]);
            return;
        }
        *sum = (struct job_sum){.count = count, .total = total};
        self->emitted_count += count;
        self->window_count += 1;
    }
}

/* Rows as they were sent. */
static int64_t take_rows(struct job_sums *self, const struct source_rows *rows,
                         struct job_sum (*sums)[JOB_SUMS_KEYS])
{
    int64_t taken = 0;
    for (uint32_t i = 0; i < rows->row_count; i++) {
        char text[200];
        copy_value(rows->origin.values[i], text);
        int hour;
        int minute;
        int second;
        char letter;
        long long value;
        int64_t window;
        int key;
        if (sscanf(text, "{\"t\":\"2001-01-01T%2d:%2d:%2dZ\",\"k\":\"%c\",\"v\":%lld}", &hour,
                   &minute, &second, &letter, &value) != 5) {
            sim_world_fail(self->world, "no row of the source: %s", text);
            return taken;
        }
        if (place_of(hour, minute, second, letter, &window, &key)) {
            sums[window][key].count += 1;
            sums[window][key].total += value;
            taken += 1;
        }
    }
    return taken;
}

void job_sums_take_late(struct job_sums *self, const struct source_rows *rows)
{
    self->late_count += take_rows(self, rows, self->late);
}

void job_sums_take_input(struct job_sums *self, const struct source_rows *rows)
{
    (void)take_rows(self, rows, self->logged);
}

bool job_sums_is_whole(const struct job_sums *self)
{
    return self->emitted_count + self->late_count >= self->sent_count;
}

void job_sums_compare(struct job_sums *self)
{
    for (int64_t w = 0; w < JOB_SUMS_WINDOWS; w++) {
        for (int k = 0; k < JOB_SUMS_KEYS; k++) {
            const struct job_sum *sent = &self->sent[w][k];
            const struct job_sum *emitted = &self->emitted[w][k];
            const struct job_sum *late = &self->late[w][k];
            const struct job_sum *logged = &self->logged[w][k];
            if (logged->count != sent->count || logged->total != sent->total) {
                sim_world_fail(self->world,
                               "window %lld key %c: %lld rows of %lld were sent, the log of the "
                               "source has %lld of %lld",
                               (long long)w, 'a' + k, (long long)sent->count,
                               (long long)sent->total, (long long)logged->count,
                               (long long)logged->total);
                return;
            }
            if (emitted->count + late->count != sent->count ||
                emitted->total + late->total != sent->total) {
                sim_world_fail(self->world,
                               "window %lld key %c: %lld rows of %lld went in, %lld of %lld came "
                               "out, %lld of %lld were late",
                               (long long)w, 'a' + k, (long long)sent->count,
                               (long long)sent->total, (long long)emitted->count,
                               (long long)emitted->total, (long long)late->count,
                               (long long)late->total);
                return;
            }
        }
    }
}
