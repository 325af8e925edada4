#include "processor/state/store.h"

#include "processor/state/group_key.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define STORE_MAGIC 0x5707e9a1U

enum status store_init(struct store *self, const struct state_codec *codec,
                       uint32_t partition_count, size_t byte_count_max)
{
    check(partition_count > 0);
    *self = (struct store){.magic = STORE_MAGIC, .codec = codec, .byte_count_max = byte_count_max};
    self->partitions = calloc(partition_count, sizeof *self->partitions);
    if (self->partitions == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->partition_count = partition_count;
    return STATUS_OK;
}

static void window_free(struct store_window *window)
{
    group_table_done(&window->table);
    free(window);
}

void store_done(struct store *self)
{
    for (uint32_t i = 0; i < self->partition_count; i++) {
        struct store_partition *partition = &self->partitions[i];
        for (uint32_t k = 0; k < partition->window_count; k++) {
            window_free(partition->windows[k]);
        }
        free(partition->windows);
    }
    free(self->partitions);
    free(self->touched);
    *self = (struct store){0};
}

/* ---- windows of a partition */

/* The first whose start is not before `start`; most rows are of the newest ones. */
static uint32_t window_place(const struct store_partition *partition, int64_t start)
{
    uint32_t low = 0;
    uint32_t high = partition->window_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (partition->windows[middle]->start < start) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct store_window *window_find(const struct store_partition *partition, int64_t start)
{
    uint32_t place = window_place(partition, start);
    bool is_there = place < partition->window_count && partition->windows[place]->start == start;
    return is_there ? partition->windows[place] : NULL;
}

static enum status grow_array(void **array, size_t count, size_t item_bytes)
{
    void *grown = realloc(*array, count * item_bytes);
    if (grown == NULL) {
        return STATUS_NO_MEMORY;
    }
    *array = grown;
    return STATUS_OK;
}

static enum status window_add(struct store *self, struct store_partition *partition, int64_t start,
                              struct store_window **out_window)
{
    if (partition->window_count == partition->window_capacity) {
        uint32_t capacity = partition->window_capacity == 0 ? 8 : 2 * partition->window_capacity;
        void *windows = partition->windows;
        TRY(grow_array(&windows, capacity, sizeof *partition->windows));
        partition->windows = windows;
        partition->window_capacity = capacity;
    }
    struct store_window *window = calloc(1, sizeof *window);
    if (window == NULL) {
        return STATUS_NO_MEMORY;
    }
    window->start = start;
    group_table_init(&window->table, self->codec->aggregate_count, self->byte_count_max);
    window->byte_count = sizeof *window;
    self->byte_count += window->byte_count;
    uint32_t place = window_place(partition, start);
    memmove(partition->windows + place + 1, partition->windows + place,
            (partition->window_count - place) * sizeof(struct store_window *));
    partition->windows[place] = window;
    partition->window_count += 1;
    *out_window = window;
    return STATUS_OK;
}

/* Counts anew what the window takes. */
static enum status window_account(struct store *self, struct store_window *window)
{
    self->byte_count -= window->byte_count;
    window->byte_count = sizeof *window + group_table_bytes(&window->table);
    self->byte_count += window->byte_count;
    return self->byte_count > self->byte_count_max ? STATUS_FULL : STATUS_OK;
}

static struct store_partition *partition_of(const struct store *self, uint64_t hash)
{
    return &self->partitions[group_key_partition(hash, self->partition_count)];
}

static enum status find_or_add(struct store *self, const struct group *like,
                               struct store_window **out_window, struct group **out_group)
{
    struct store_partition *partition = partition_of(self, like->hash);
    struct store_window *window = window_find(partition, like->window_start);
    if (window == NULL) {
        TRY(window_add(self, partition, like->window_start, &window));
    }
    uint32_t earlier_count = window->table.group_count;
    TRY(group_table_find_or_add(&window->table, like->window_start, like->hash,
                                group_table_key(like), out_group));
    self->group_count += window->table.group_count - earlier_count;
    *out_window = window;
    return STATUS_OK;
}

/* ---- groups */

static enum status touch(struct store *self, struct group *group)
{
    if ((group->flags & GROUP_IS_TOUCHED) != 0) {
        return STATUS_OK;
    }
    if (self->touched_count == self->touched_capacity) {
        size_t capacity = self->touched_capacity == 0 ? 64 : 2 * self->touched_capacity;
        void *touched = self->touched;
        TRY(grow_array(&touched, capacity, sizeof *self->touched));
        self->byte_count += (capacity - self->touched_capacity) * sizeof *self->touched;
        self->touched = touched;
        self->touched_capacity = capacity;
    }
    self->touched[self->touched_count] = group;
    self->touched_count += 1;
    group->flags |= GROUP_IS_TOUCHED;
    return STATUS_OK;
}

static int64_t later(int64_t left, int64_t right)
{
    return left > right ? left : right;
}

/* All that `from` says, added to `group`. */
static enum status add(struct store *self, struct store_window *window, struct group *group,
                       const struct group *from)
{
    for (uint32_t i = 0; i < self->codec->aggregate_count; i++) {
        TRY(aggregate_merge(&self->codec->aggregates[i], &group->states[i], &from->states[i],
                            &window->table.arena));
    }
    group->input_count += from->input_count;
    self->input_count += from->input_count;
    group->created_max_ms = later(group->created_max_ms, from->created_max_ms);
    group->ingested_max_ms = later(group->ingested_max_ms, from->ingested_max_ms);
    return window_account(self, window);
}

/* The arena's limit is the store's own: both are FULL. */
static enum status as_full(enum status status)
{
    return status == STATUS_NO_MEMORY ? STATUS_FULL : status;
}

enum status store_merge(struct store *self, const struct group *from)
{
    check(self->magic == STORE_MAGIC);
    struct store_window *window = NULL;
    struct group *group = NULL;
    TRY(as_full(find_or_add(self, from, &window, &group)));
    TRY(as_full(touch(self, group)));
    return as_full(add(self, window, group, from));
}

enum status store_restore(struct store *self, const struct group *is)
{
    check(self->magic == STORE_MAGIC);
    struct store_window *window = NULL;
    struct group *group = NULL;
    TRY(as_full(find_or_add(self, is, &window, &group)));
    check((group->flags & GROUP_IS_TOUCHED) == 0);
    self->input_count -= group->input_count;
    group->input_count = 0;
    group->created_max_ms = -1;
    group->ingested_max_ms = -1;
    memset(group->states, 0, self->codec->aggregate_count * sizeof group->states[0]);
    group->flags = (uint8_t)((is->flags & GROUP_IS_EMITTED) | GROUP_IS_LOGGED);
    return as_full(add(self, window, group, is));
}

void store_remove(struct store *self, const struct group *gone)
{
    check(self->magic == STORE_MAGIC);
    struct store_partition *partition = partition_of(self, gone->hash);
    struct store_window *window = window_find(partition, gone->window_start);
    struct group *group = NULL;
    if (window == NULL || group_table_remove(&window->table, gone->window_start, gone->hash,
                                             group_table_key(gone), &group) != STATUS_OK) {
        return;
    }
    check((group->flags & GROUP_IS_TOUCHED) == 0);
    self->group_count -= 1;
    self->input_count -= group->input_count;
    if (window->table.group_count == 0) {
        uint32_t place = window_place(partition, window->start);
        self->byte_count -= window->byte_count;
        window_free(window);
        partition->window_count -= 1;
        memmove(partition->windows + place, partition->windows + place + 1,
                (partition->window_count - place) * sizeof(struct store_window *));
    }
}

/* ---- closing */

uint32_t store_closed_count(const struct store *self, uint32_t partition, int64_t size_us,
                            int64_t watermark_us)
{
    check(partition < self->partition_count);
    const struct store_partition *kept = &self->partitions[partition];
    uint32_t count = 0;
    while (count < kept->window_count && kept->windows[count]->start + size_us <= watermark_us) {
        count += 1;
    }
    return count;
}

static void drop_window(struct store *self, struct store_window *window)
{
    for (uint32_t i = 0; i < window->table.slot_count; i++) {
        const struct group *group = window->table.slots[i];
        if (group != NULL) {
            check((group->flags & GROUP_IS_TOUCHED) == 0);
            self->input_count -= group->input_count;
        }
    }
    self->group_count -= window->table.group_count;
    self->byte_count -= window->byte_count;
    window_free(window);
}

void store_drop_windows(struct store *self, uint32_t partition, uint32_t window_count)
{
    check(self->magic == STORE_MAGIC);
    check(partition < self->partition_count);
    struct store_partition *kept = &self->partitions[partition];
    check(window_count <= kept->window_count);
    for (uint32_t i = 0; i < window_count; i++) {
        drop_window(self, kept->windows[i]);
    }
    kept->window_count -= window_count;
    if (window_count > 0) {
        memmove(kept->windows, kept->windows + window_count,
                kept->window_count * sizeof(struct store_window *));
    }
}

void store_forget_touched(struct store *self)
{
    check(self->magic == STORE_MAGIC);
    for (size_t i = 0; i < self->touched_count; i++) {
        self->touched[i]->flags &= (uint8_t)~GROUP_IS_TOUCHED;
    }
    self->touched_count = 0;
}
