#include "tests/sim/sim_checker.h"

#include "proto/sys/check.h"
#include "tests/sim/sim_heap.h"

#include <stdlib.h>
#include <string.h>

void sim_checker_init(struct sim_checker *self, struct sim_world *world)
{
    *self = (struct sim_checker){.world = world};
}

void sim_checker_done(struct sim_checker *self)
{
    for (size_t i = 0; i < SIM_CHECKER_KEYS_MAX; i++) {
        free(self->keys[i].values);
    }
    free(self->appends);
    *self = (struct sim_checker){0};
}

/* NULL: no such value was ever made. */
static struct sim_append *append_of(struct sim_checker *self, uint64_t value)
{
    return value == 0 || value > self->append_count ? NULL : &self->appends[value - 1];
}

uint64_t sim_checker_begin(struct sim_checker *self, uint32_t key, uint32_t process)
{
    check(key < SIM_CHECKER_KEYS_MAX);

    if (self->append_count == self->append_room) {
        struct sim_heap *user = sim_heap_switch(NULL);
        self->append_room = self->append_room == 0 ? 1024 : self->append_room * 2;
        self->appends = realloc(self->appends, self->append_room * sizeof *self->appends);
        check(self->appends != NULL);
        sim_heap_switch(user);
    }
    self->appends[self->append_count] = (struct sim_append){.key = key,
                                                            .process = process,
                                                            .begun_ns = self->world->now_ns,
                                                            .offset = -1,
                                                            .seen_offset = -1};
    self->append_count += 1;
    return self->append_count;
}

/* The place for what is at an offset. */
static uint64_t *place_of(struct sim_checker *self, uint32_t key, int64_t offset)
{
    struct sim_checker_key *log = &self->keys[key];
    if (offset >= log->value_room) {
        struct sim_heap *user = sim_heap_switch(NULL);
        int64_t room = offset * 2 + 256;
        log->values = realloc(log->values, (size_t)room * sizeof *log->values);
        check(log->values != NULL);
        memset(log->values + log->value_room, 0,
               (size_t)(room - log->value_room) * sizeof *log->values);
        log->value_room = room;
        sim_heap_switch(user);
    }
    return &log->values[offset];
}

static void settle(struct sim_checker *self, uint32_t key, int64_t offset, uint64_t value)
{
    uint64_t *place = place_of(self, key, offset);
    if (*place != 0 && *place != value) {
        sim_world_fail(self->world,
                       "inconsistent offsets: key %u offset %lld held value %llu, now %llu", key,
                       (long long)offset, (unsigned long long)*place, (unsigned long long)value);
        return;
    }
    *place = value;
}

/* Appends of one process to one key that ended well before this one began lie below it. */
static void check_order(struct sim_checker *self, uint64_t value)
{
    const struct sim_append *append = append_of(self, value);
    for (uint64_t i = value - 1; i-- > 0;) {
        const struct sim_append *earlier = &self->appends[i];
        if (earlier->key != append->key || earlier->process != append->process) {
            continue;
        }
        if (earlier->outcome == SIM_OUTCOME_OK && earlier->offset >= append->offset &&
            earlier->ended_ns <= append->begun_ns) {
            sim_world_fail(self->world,
                           "nonmonotonic appends: key %u value %llu at %lld after %llu at %lld",
                           append->key, (unsigned long long)value, (long long)append->offset,
                           (unsigned long long)(i + 1), (long long)earlier->offset);
        }
        return; /* One before is enough: it was checked against those before it. */
    }
}

void sim_checker_end(struct sim_checker *self, uint64_t value, enum sim_outcome outcome,
                     int64_t offset)
{
    struct sim_append *append = append_of(self, value);
    check(append != NULL);
    check(append->outcome == SIM_OUTCOME_OPEN || append->outcome == outcome);

    append->outcome = outcome;
    append->ended_ns = self->world->now_ns;
    if (outcome == SIM_OUTCOME_FAILED && append->seen_offset >= 0) {
        sim_world_fail(self->world, "value %llu was seen and is told to have failed",
                       (unsigned long long)value);
    }
    if (offset < 0) {
        return;
    }
    append->offset = offset;
    settle(self, append->key, offset, value);
    if (outcome == SIM_OUTCOME_OK) {
        check_order(self, value);
    }
}

void sim_checker_see(struct sim_checker *self, uint32_t key, int64_t offset, uint64_t value)
{
    check(offset >= 0);
    self->seen_count += 1;
    struct sim_append *append = append_of(self, value);
    if (append == NULL || append->key != key) {
        sim_world_fail(self->world, "%s: key %u offset %lld holds value %llu",
                       append == NULL ? "phantom" : "misrouted", key, (long long)offset,
                       (unsigned long long)value);
        return;
    }
    if (append->outcome == SIM_OUTCOME_FAILED) {
        sim_world_fail(self->world, "aborted read: key %u offset %lld holds failed value %llu", key,
                       (long long)offset, (unsigned long long)value);
    }
    if (!self->may_duplicate && append->seen_offset >= 0 && append->seen_offset != offset) {
        sim_world_fail(self->world, "duplicate: key %u value %llu at %lld and at %lld", key,
                       (unsigned long long)value, (long long)append->seen_offset,
                       (long long)offset);
    }
    settle(self, key, offset, value);
    append->seen_offset = offset;
    append->is_seen_finally |= self->is_final;
}

void sim_checker_move_start(struct sim_checker *self, uint32_t key, int64_t start)
{
    struct sim_checker_key *log = &self->keys[key];
    log->start = start > log->start ? start : log->start;
}

void sim_checker_cut(struct sim_checker *self, uint32_t key, int64_t end)
{
    struct sim_checker_key *log = &self->keys[key];
    for (int64_t offset = end; offset < log->value_room; offset++) {
        struct sim_append *append = append_of(self, log->values[offset]);
        log->values[offset] = 0;
        if (append == NULL) {
            continue;
        }
        if (append->outcome == SIM_OUTCOME_OK || append->seen_offset >= 0) {
            sim_world_fail(self->world, "lost write: key %u ends at %lld, offset %lld was %s", key,
                           (long long)end, (long long)offset,
                           append->outcome == SIM_OUTCOME_OK ? "acknowledged" : "seen");
            return;
        }
    }
}

void sim_checker_begin_final(struct sim_checker *self)
{
    self->is_final = true;
}

void sim_checker_finish(struct sim_checker *self)
{
    int64_t ends[SIM_CHECKER_KEYS_MAX] = {0};
    for (uint64_t i = 0; i < self->append_count; i++) {
        const struct sim_append *append = &self->appends[i];
        int64_t offset = append->offset >= 0 ? append->offset : append->seen_offset;
        bool may_be_gone = offset >= 0 && offset < self->keys[append->key].start;
        if (append->outcome == SIM_OUTCOME_OK && !append->is_seen_finally && !may_be_gone) {
            sim_world_fail(self->world,
                           "lost write: key %u value %llu was acknowledged at offset %lld",
                           append->key, (unsigned long long)i + 1, (long long)append->offset);
        }
        if (append->is_seen_finally && append->seen_offset >= ends[append->key]) {
            ends[append->key] = append->seen_offset + 1;
        }
    }
    for (uint32_t key = 0; key < SIM_CHECKER_KEYS_MAX; key++) {
        for (int64_t offset = self->keys[key].start; offset < ends[key]; offset++) {
            if (self->keys[key].values[offset] == 0) {
                sim_world_fail(self->world, "hole: key %u has nothing at offset %lld of %lld", key,
                               (long long)offset, (long long)ends[key]);
            }
        }
    }
}

uint64_t sim_checker_count(const struct sim_checker *self, enum sim_outcome outcome)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < self->append_count; i++) {
        count += self->appends[i].outcome == outcome;
    }
    return count;
}
