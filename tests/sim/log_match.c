#include "tests/sim/log_match.h"

#include "broker/partition/partition_state.h"
#include "proto/record/batch_iterator.h"
#include "proto/sys/check.h"
#include "tests/sim/sim_heap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct log_match *present;

struct log_match *log_match_present(void)
{
    return present;
}

void log_match_begin(struct log_match *self, struct sim_world *world)
{
    check(present == NULL);
    *self = (struct log_match){.world = world};
    present = self;
}

void log_match_end(struct log_match *self)
{
    for (uint32_t i = 0; i < self->partition_count; i++) {
        struct log_match_partition *partition = &self->partitions[i];
        for (uint32_t k = 0; k < LOG_MATCH_BROKERS_MAX; k++) {
            free(partition->replicas[k].row.batches);
        }
        free(partition->committed.batches);
        free(partition->leaders);
    }
    present = NULL;
}

/* --- Rows ------------------------------------------------------------------------------------- */

static void row_push(struct log_match_row *self, const struct log_match_batch *batch)
{
    if (self->count == self->room) {
        struct sim_heap *heap = sim_node_step_out();
        self->room = self->room == 0 ? 64 : self->room * 2;
        self->batches = realloc(self->batches, self->room * sizeof *self->batches);
        check(self->batches != NULL);
        sim_node_step_in(heap);
    }
    self->batches[self->count] = *batch;
    self->count += 1;
}

static int64_t row_end(const struct log_match_row *self)
{
    return self->count == 0 ? 0 : self->batches[self->count - 1].next_offset;
}

static bool is_same(const struct log_match_batch *one, const struct log_match_batch *other)
{
    return one->base_offset == other->base_offset && one->next_offset == other->next_offset &&
           one->leader_epoch == other->leader_epoch && one->checksum == other->checksum;
}

static struct log_match_batch batch_of(const struct batch_view *batch)
{
    return (struct log_match_batch){.base_offset = batch_base_offset(batch),
                                    .next_offset = batch_next_offset(batch),
                                    .leader_epoch = batch_leader_epoch(batch),
                                    .checksum = big_endian_get32(batch->bytes + 17)};
}

/* The batch that holds `offset`; NULL: none does. */
static const struct log_match_batch *row_find(const struct log_match_row *self, int64_t offset)
{
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (self->batches[middle].next_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < self->count && self->batches[low].base_offset <= offset ? &self->batches[low]
                                                                         : NULL;
}

static bool has_flushed(const struct log_match_replica *self, size_t index,
                        const struct log_match_batch *batch)
{
    return index < self->row.count && self->flushed_end >= batch->next_offset &&
           is_same(&self->row.batches[index], batch);
}

/* --- Finding ---------------------------------------------------------------------------------- */

static struct log_match_partition *find(struct log_match *self, const char *topic, int32_t index)
{
    for (uint32_t i = 0; i < self->partition_count; i++) {
        struct log_match_partition *partition = &self->partitions[i];
        if (partition->index == index && strcmp(partition->topic, topic) == 0) {
            return partition;
        }
    }
    return NULL;
}

static struct log_match_partition *find_or_add(struct log_match *self, const char *topic,
                                               int32_t index)
{
    struct log_match_partition *partition = find(self, topic, index);
    if (partition == NULL) {
        check(self->partition_count < LOG_MATCH_PARTITIONS_MAX);
        check(strlen(topic) < LOG_MATCH_TOPIC_BYTES);
        partition = &self->partitions[self->partition_count];
        self->partition_count += 1;
        *partition = (struct log_match_partition){.index = index, .partition_epoch = -1};
        memcpy(partition->topic, topic, strlen(topic));
        for (uint32_t i = 0; i < LOG_MATCH_BROKERS_MAX; i++) {
            partition->replicas[i].led_epoch = -1;
        }
    }
    return partition;
}

static struct log_match_replica *find_by_log(struct log_match *self, const struct log *log,
                                             struct log_match_partition **out_partition)
{
    const struct sim_node *node = self->world->inside;
    for (uint32_t i = 0; i < self->partition_count; i++) {
        struct log_match_replica *replica = &self->partitions[i].replicas[node->id - 1];
        if (replica->log == log && replica->incarnation == node->incarnation) {
            *out_partition = &self->partitions[i];
            return replica;
        }
    }
    check_unreachable("a log that was never opened");
}

/* --- What the taps tell ----------------------------------------------------------------------- */

static enum status take_replayed(void *context, const uint8_t *bytes, size_t byte_count,
                                 int64_t ingested_ms)
{
    struct batch_view view;
    (void)ingested_ms;
    enum status status = batch_view_init(&view, bytes, byte_count);
    check(status == STATUS_OK);
    struct log_match_batch batch = batch_of(&view);
    row_push(context, &batch);
    return STATUS_OK;
}

/* What was flushed before must be there, as it was. */
static void compare_recovered(struct log_match *self, const struct log_match_partition *partition,
                              const struct log_match_replica *replica,
                              const struct log_match_row *found)
{
    if (row_end(found) < replica->flushed_end) {
        sim_world_fail(self->world,
                       "%s-%d: broker %u had flushed up to %" PRId64 " and finds %" PRId64,
                       partition->topic, partition->index, self->world->inside->id,
                       replica->flushed_end, row_end(found));
        return;
    }
    for (size_t i = 0; i < replica->row.count && i < found->count; i++) {
        const struct log_match_batch *before = &replica->row.batches[i];
        if (before->next_offset <= replica->flushed_end && !is_same(before, &found->batches[i])) {
            sim_world_fail(self->world, "%s-%d: broker %u finds another batch at %" PRId64,
                           partition->topic, partition->index, self->world->inside->id,
                           before->base_offset);
            return;
        }
    }
}

void log_match_opened(struct log_match *self, const struct log_options *options, struct log *log)
{
    struct log_match_partition *partition =
        find_or_add(self, options->topic_name, options->partition);
    struct log_match_replica *replica = &partition->replicas[self->world->inside->id - 1];
    /* The walk may meet an order to die: until it is over, this is still the former life's. */
    static struct log_match_row found;
    check(log_start(log) == 0);
    enum status status = log_end(log) > 0 ? STATUS_IO : STATUS_OK;
    found.count = 0;
    for (int attempt = 0; attempt < 3 && status == STATUS_IO; attempt++) {
        found.count = 0; /* An injected error of the disk is over when it was met. */
        status = log_replay(log, log_start(log), take_replayed, &found);
    }
    if (status != STATUS_OK) {
        sim_world_fail(self->world, "%s-%d: broker %u opened a log that cannot be read: %s",
                       partition->topic, partition->index, self->world->inside->id,
                       status_text(status));
    }
    compare_recovered(self, partition, replica, &found);
    struct log_match_row former = replica->row;
    replica->row = found;
    found = former;
    replica->log = log;
    replica->partition = NULL;
    replica->incarnation = self->world->inside->incarnation;
    replica->verified_count = 0;
    replica->flushed_end = log_flushed_end(log);
    replica->led_epoch = -1;
}

void log_match_partition_opened(struct log_match *self, const struct partition *partition)
{
    if (partition_is_offline(partition)) {
        /* It costs nothing else, so that nobody else would tell. */
        sim_world_fail(self->world, "%s-%d: broker %u takes its log for damaged",
                       partition->topic_name, partition->index, self->world->inside->id);
        return;
    }
    struct log_match_partition *known = NULL;
    struct log_match_replica *replica = find_by_log(self, partition->log, &known);
    replica->partition = partition;
}

void log_match_partition_gone(struct log_match *self, const struct partition *partition)
{
    struct log_match_partition *known = NULL;
    struct log_match_replica *replica = find_by_log(self, partition->log, &known);
    replica->partition = NULL;
}

/* Any member of the ISR may be the next leader, after a loss of power as well. */
static void look_at_isr(struct log_match *self, const struct log_match_partition *known)
{
    const struct log_match_row *committed = &known->committed;
    for (uint8_t i = 0; i < known->isr_count; i++) {
        const struct log_match_replica *member = &known->replicas[known->isr[i] - 1];
        size_t last = committed->count - 1;
        if (committed->count > 0 && !has_flushed(member, last, &committed->batches[last])) {
            sim_world_fail(self->world,
                           "%s-%d: broker %d is in the ISR of partition epoch %d, and has not "
                           "flushed the committed batch at %" PRId64,
                           known->topic, known->index, known->isr[i], known->partition_epoch,
                           committed->batches[last].base_offset);
            return;
        }
    }
}

void log_match_appended(struct log_match *self, const struct log *log,
                        const struct log_append *append)
{
    struct log_match_partition *partition = NULL;
    struct log_match_replica *replica = find_by_log(self, log, &partition);
    struct batch_iterator batches;
    struct batch_view view;
    batch_iterator_init(&batches, append->bytes, append->byte_count);
    while (batch_iterator_next(&batches, &view) == STATUS_OK) {
        struct log_match_batch batch = batch_of(&view);
        if (batch.base_offset != row_end(&replica->row)) {
            sim_world_fail(self->world, "%s-%d: broker %u appends %" PRId64 " behind %" PRId64,
                           partition->topic, partition->index, self->world->inside->id,
                           batch.base_offset, row_end(&replica->row));
        }
        row_push(&replica->row, &batch);
    }
}

void log_match_cut(struct log_match *self, const struct log *log, int64_t offset)
{
    struct log_match_partition *partition = NULL;
    struct log_match_replica *replica = find_by_log(self, log, &partition);
    struct log_match_row *row = &replica->row;
    while (row->count > 0 && row->batches[row->count - 1].next_offset > offset) {
        row->count -= 1;
    }
    if (replica->verified_count > row->count) {
        replica->verified_count = row->count;
    }
    if (replica->flushed_end > row_end(row)) {
        replica->flushed_end = row_end(row);
        look_at_isr(self, partition);
    }
}

void log_match_forgotten(struct log_match *self, const struct log *log, bool is_deleted)
{
    struct log_match_partition *partition = NULL;
    struct log_match_replica *replica = find_by_log(self, log, &partition);
    replica->log = NULL;
    if (is_deleted) {
        replica->row.count = 0;
        replica->verified_count = 0;
        replica->flushed_end = 0;
    }
}

/* --- After an event --------------------------------------------------------------------------- */

static bool is_safe(const struct log_match_partition *known, const struct replica_set *set,
                    size_t index, const struct log_match_batch *batch)
{
    uint8_t count = 0;
    for (uint8_t i = 0; i < set->replica_count; i++) {
        const struct replica *member = &set->replicas[i];
        bool is_flushed = has_flushed(&known->replicas[member->broker_id - 1], index, batch);
        count = (uint8_t)(count + is_flushed);
        if (!is_flushed && (member->is_in_isr || member->is_joining)) {
            return false;
        }
    }
    return count >= set->min_isr || count == set->replica_count;
}

/* Batches below the mark are compared once each; those of a leader become the committed ones. */
static void look_at_mark(struct log_match *self, struct log_match_partition *known,
                         struct log_match_replica *replica, const struct partition *partition)
{
    struct log_match_row *row = &replica->row;
    uint32_t id = (uint32_t)(replica - known->replicas) + 1;
    int64_t mark = partition->high_watermark;
    while (replica->verified_count < row->count &&
           row->batches[replica->verified_count].next_offset <= mark) {
        size_t index = replica->verified_count;
        const struct log_match_batch *batch = &row->batches[index];
        if (index < known->committed.count) {
            if (!is_same(batch, &known->committed.batches[index])) {
                sim_world_fail(self->world,
                               "%s-%d: broker %u has another batch at %" PRId64
                               " (epoch %d) than was committed (epoch %d)",
                               known->topic, known->index, id, batch->base_offset,
                               batch->leader_epoch, known->committed.batches[index].leader_epoch);
                return;
            }
        } else if (partition->role != PARTITION_ROLE_LEADER) {
            sim_world_fail(self->world,
                           "%s-%d: broker %u follows, and its mark %" PRId64
                           " is above all leaders'",
                           known->topic, known->index, id, mark);
            return;
        } else if (!is_safe(known, &partition->replicas, index, batch)) {
            sim_world_fail(self->world,
                           "%s-%d: broker %u commits %" PRId64 " before the ISR has flushed it",
                           known->topic, known->index, id, batch->base_offset);
            return;
        } else {
            row_push(&known->committed, batch);
        }
        replica->verified_count += 1;
        self->compared_count += 1;
    }
}

static void note_leader(struct log_match *self, struct log_match_partition *known, uint32_t id,
                        int32_t epoch)
{
    size_t place = (size_t)epoch;
    if (place >= known->leaders_room) {
        size_t room = place + 64;
        struct sim_heap *heap = sim_node_step_out();
        known->leaders = realloc(known->leaders, room * sizeof *known->leaders);
        check(known->leaders != NULL);
        sim_node_step_in(heap);
        memset(known->leaders + known->leaders_room, 0,
               (room - known->leaders_room) * sizeof *known->leaders);
        known->leaders_room = room;
    }
    int32_t before = known->leaders[place];
    if (before != 0 && before != (int32_t)id) {
        sim_world_fail(self->world, "%s-%d: brokers %d and %u both lead in epoch %d", known->topic,
                       known->index, before, id, epoch);
    }
    known->leaders[place] = (int32_t)id;
}

/* Once per term: all that is committed is here. An older leader that does not know yet that it
 * leads no more is none. */
static void look_at_new_leader(struct log_match *self, const struct log_match_partition *known,
                               const struct log_match_replica *replica, int32_t epoch)
{
    const struct log_match_row *committed = &known->committed;
    if ((size_t)epoch + 1 < known->leaders_room) {
        for (size_t i = (size_t)epoch + 1; i < known->leaders_room; i++) {
            if (known->leaders[i] != 0) {
                return;
            }
        }
    }
    for (size_t i = 0; i < committed->count; i++) {
        if (i >= replica->row.count || !is_same(&replica->row.batches[i], &committed->batches[i])) {
            sim_world_fail(
                self->world,
                "%s-%d: broker %u leads in epoch %d without the committed batch at %" PRId64,
                known->topic, known->index, (uint32_t)(replica - known->replicas) + 1, epoch,
                committed->batches[i].base_offset);
            return;
        }
    }
}

static void look_at(struct log_match *self, const struct sim_node *node,
                    struct log_match_partition *known)
{
    struct log_match_replica *replica = &known->replicas[node->id - 1];
    const struct partition *partition = replica->partition;
    int64_t flushed_end = log_flushed_end(partition->log);
    if (log_end(partition->log) != row_end(&replica->row) || flushed_end > row_end(&replica->row) ||
        partition->high_watermark > row_end(&replica->row)) {
        sim_world_fail(self->world,
                       "%s-%d: broker %u has the end %" PRId64 ", should be %" PRId64
                       ", flushed %" PRId64 ", mark %" PRId64,
                       known->topic, known->index, node->id, log_end(partition->log),
                       row_end(&replica->row), flushed_end, partition->high_watermark);
        return;
    }
    replica->flushed_end = flushed_end;
    if (partition->role == PARTITION_ROLE_LEADER) {
        if (replica->led_epoch != partition->leader_epoch) {
            note_leader(self, known, node->id, partition->leader_epoch);
            look_at_new_leader(self, known, replica, partition->leader_epoch);
            replica->led_epoch = partition->leader_epoch;
        } else if (partition->high_watermark < replica->led_mark) {
            sim_world_fail(self->world, "%s-%d: broker %u moves its mark back to %" PRId64,
                           known->topic, known->index, node->id, partition->high_watermark);
            return;
        }
        replica->led_mark = partition->high_watermark;
    }
    look_at_mark(self, known, replica, partition);
}

void log_match_assigned(struct log_match *self, const struct partition *partition,
                        const struct partition_assignment *assignment)
{
    struct log_match_partition *known = NULL;
    const struct log_match_replica *replica = find_by_log(self, partition->log, &known);
    if (replica->partition == partition) {
        look_at(self, self->world->inside, known); /* One event may bring several assignments. */
    }
    if (assignment->partition_epoch <= known->partition_epoch) {
        return;
    }
    check(assignment->isr_count <= LOG_MATCH_BROKERS_MAX);
    known->partition_epoch = assignment->partition_epoch;
    known->isr_count = assignment->isr_count;
    memcpy(known->isr, assignment->isr, assignment->isr_count * sizeof *known->isr);
    look_at_isr(self, known);
}

void log_match_look(struct log_match *self, const struct sim_node *node)
{
    for (uint32_t i = 0; i < self->partition_count; i++) {
        const struct log_match_replica *replica = &self->partitions[i].replicas[node->id - 1];
        if (node->is_up && replica->partition != NULL &&
            replica->incarnation == node->incarnation) {
            look_at(self, node, &self->partitions[i]);
        }
    }
}

/* --- Clients ---------------------------------------------------------------------------------- */

void log_match_read(struct log_match *self, const char *topic, int32_t index,
                    const struct batch_view *batch)
{
    const struct log_match_partition *known = find(self, topic, index);
    struct log_match_batch got = batch_of(batch);
    const struct log_match_batch *committed =
        known == NULL ? NULL : row_find(&known->committed, got.base_offset);
    if (committed == NULL || !is_same(committed, &got)) {
        sim_world_fail(self->world, "%s-%d: a reader gets a batch at %" PRId64 " that %s", topic,
                       index, got.base_offset,
                       committed == NULL ? "is not committed" : "is not the committed one");
    }
}

void log_match_acknowledge(struct log_match *self, const char *topic, int32_t index, int64_t end)
{
    const struct log_match_partition *known = find(self, topic, index);
    if (known == NULL || row_end(&known->committed) < end) {
        sim_world_fail(self->world,
                       "%s-%d: acknowledged up to %" PRId64 ", committed up to %" PRId64, topic,
                       index, end, known == NULL ? 0 : row_end(&known->committed));
    }
}
