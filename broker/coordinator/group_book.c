#include "broker/coordinator/group_book.h"

#include "broker/coordinator/group_codec.h"
#include "broker/coordinator/group_commit.h"
#include "broker/coordinator/group_rebalance.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define GROUP_BOOK_MAGIC 0x9400b00cU

static void sweep_on_timer(struct timer *timer);

struct group *group_book_find(const struct group_book *self, struct wire_text id)
{
    check(self->magic == GROUP_BOOK_MAGIC);
    struct text_entry *entry = text_table_find(&self->groups, id);
    return entry == NULL ? NULL : container_of(entry, struct group, entry);
}

static struct group *find_or_make(struct group_book *self, struct wire_text id)
{
    struct group *group = group_book_find(self, id);
    return group != NULL ? group : group_state_new(self, id);
}

struct group *group_book_make(struct group_book *self, struct wire_text id)
{
    check(group_book_find(self, id) == NULL);
    return self->groups.entry_count >= GROUP_BOOK_GROUPS_MAX ? NULL : group_state_new(self, id);
}

int64_t group_book_now_ms(const struct group_book *self)
{
    return clock_wall_ms(ledger_loop(self->ledger)->clock);
}

void *group_book_open(void *context, struct ledger *ledger)
{
    struct group_book *self = calloc(1, sizeof *self);
    check(self != NULL);
    self->magic = GROUP_BOOK_MAGIC;
    self->ledger = ledger;
    self->limits = context;
    list_init(&self->pending);
    timer_init(&self->sweep_timer, &ledger_loop(ledger)->timers, sweep_on_timer);
    return self;
}

/* ---- applying ---- */

static void complain(const struct group_book *self, const struct ledger_record *record,
                     enum status why)
{
    trace_line(ledger_loop(self->ledger)->trace, TRACE_ERROR, "group", "record_not_read",
               "topic=\"%s\" offset=%lld reason=\"%s\" action=skip", GROUP_TOPIC_NAME,
               (long long)record->offset, status_text(why));
}

void group_book_forget_if_bare(struct group *group)
{
    if (group->stored.byte_count < 0 && group_offsets_is_empty(&group->offsets) &&
        group_state_member_count(group) == 0 && group->candidates.entry_count == 0 &&
        group->phase == GROUP_EMPTY) {
        group_state_free(group);
    }
}

static enum status apply_offset(struct group_book *self, const struct group_codec_key *key,
                                const struct ledger_record *record)
{
    if (record->value.byte_count < 0) {
        struct group *group = group_book_find(self, key->group);
        if (group != NULL) {
            group_offsets_apply(&group->offsets, key->topic, key->partition, NULL, record);
            group_book_forget_if_bare(group);
        }
        return STATUS_OK;
    }
    struct kafka_offset_commit_value value;
    TRY(group_codec_read_offset(record->value, &value));
    struct group *group = find_or_make(self, key->group);
    group_offsets_apply(&group->offsets, key->topic, key->partition, &value, record);
    if (record->producer_id >= 0 && list_is_empty(&group->in_pending)) {
        list_append(&self->pending, &group->in_pending);
    }
    return STATUS_OK;
}

static enum status apply_group(struct group_book *self, const struct group_codec_key *key,
                               const struct ledger_record *record)
{
    if (record->value.byte_count < 0) {
        struct group *group = group_book_find(self, key->group);
        if (group != NULL) {
            text_table_drop_bytes(&group->stored);
            group_book_forget_if_bare(group);
        }
        return STATUS_OK;
    }
    struct arena arena;
    arena_init(&arena, GROUP_CODEC_BYTES_MAX);
    struct kafka_group_metadata_value value;
    enum status status = group_codec_read_group(record->value, &arena, &value);
    if (status == STATUS_OK) {
        struct group *group = find_or_make(self, key->group);
        text_table_drop_bytes(&group->stored);
        group->stored = text_table_copy_bytes(record->value);
        group->stored_offset = record->offset;
        group_rebalance_apply(group, &value);
    }
    arena_done(&arena);
    return status;
}

void group_book_apply(void *machine, const struct ledger_record *record)
{
    struct group_book *self = machine;
    check(self->magic == GROUP_BOOK_MAGIC);
    struct group_codec_key key;
    enum status status = group_codec_read_key(record->key, &key);
    if (status == STATUS_OK && key.kind == GROUP_CODEC_OFFSET) {
        status = apply_offset(self, &key, record);
    } else if (status == STATUS_OK && key.kind == GROUP_CODEC_GROUP) {
        status = apply_group(self, &key, record);
    }
    if (status != STATUS_OK) {
        complain(self, record, status);
    }
}

void group_book_end_txn(void *machine, int64_t producer_id, bool is_commit)
{
    struct group_book *self = machine;
    check(self->magic == GROUP_BOOK_MAGIC);
    list_for_each_removable(link, &self->pending)
    {
        struct group *group = container_of(link, struct group, in_pending);
        group_offsets_end_txn(&group->offsets, producer_id, is_commit);
        if (list_is_empty(&group->offsets.pending)) {
            list_remove(&group->in_pending);
            group_book_forget_if_bare(group);
        }
    }
}

void group_book_snapshot(void *machine, struct ledger_snapshot_writer *writer)
{
    struct group_book *self = machine;
    check(self->magic == GROUP_BOOK_MAGIC);
    text_table_for_each(entry, &self->groups)
    {
        const struct group *group = container_of(entry, struct group, entry);
        if (group->stored.byte_count >= 0) {
            struct group_codec_record made;
            group_codec_init(&made);
            group_codec_group_gone(&made, entry->name); /* For its key. */
            struct ledger_record record = {.key = made.key,
                                           .value = group->stored,
                                           .offset = group->stored_offset,
                                           .producer_id = -1,
                                           .producer_epoch = -1};
            ledger_snapshot_add(writer, &record);
            group_codec_done(&made);
        }
        group_offsets_snapshot(&group->offsets, entry->name, writer);
    }
}

/* ---- upkeep ---- */

static void sweep_on_done(struct ledger_op *op, enum ledger_fault fault)
{
    struct group_book *self = container_of(op, struct group_book, sweep);
    self->is_sweeping = false;
    if (self->is_closed) {
        free(self);
        return;
    }
    check(self->magic == GROUP_BOOK_MAGIC);
    (void)fault; /* What could not be written is found again. */
    timer_start_after(&self->sweep_timer, self->limits->retention_check_ms * CLOCK_NS_PER_MS);
}

static void sweep_on_timer(struct timer *timer)
{
    struct group_book *self = container_of(timer, struct group_book, sweep_timer);
    check(self->magic == GROUP_BOOK_MAGIC);
    self->is_sweeping = true;
    self->sweep.decide = group_commit_expire;
    self->sweep.on_done = sweep_on_done;
    ledger_submit(self->ledger, &self->sweep);
}

void group_book_on_loaded(void *machine)
{
    struct group_book *self = machine;
    check(self->magic == GROUP_BOOK_MAGIC);
    self->is_live = true;
    text_table_for_each(entry, &self->groups)
    {
        group_rebalance_on_loaded(container_of(entry, struct group, entry));
    }
    timer_start_after(&self->sweep_timer, self->limits->retention_check_ms * CLOCK_NS_PER_MS);
}

void group_book_close(void *machine)
{
    struct group_book *self = machine;
    check(self->magic == GROUP_BOOK_MAGIC);
    self->is_live = false;
    text_table_for_each(entry, &self->groups)
    {
        struct group *group = container_of(entry, struct group, entry);
        group_rebalance_lose(group);
        group_state_free(group);
    }
    text_table_done(&self->groups);
    timer_done(&self->sweep_timer);
    self->magic = 0;
    self->is_closed = true;
    if (!self->is_sweeping) {
        free(self);
    }
}
