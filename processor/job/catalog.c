#include "processor/job/catalog.h"

#include "processor/job/catalog_write.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CATALOG_MAGIC 0xca7a1096U
#define CATALOG_FORMAT 1U
#define TOPIC_MS 15000
#define LOOK_MS 500
#define AGAIN_MS 500
#define READ_BYTES_MAX ((size_t)8 << 20)
#define FETCH_WAIT_MS 500
#define REQUEST_MS 10000
#define FIRST_MS 60000

/* ---- entries ---- */

static const char *const prefixes[] = {[CATALOG_TABLE] = "table/", [CATALOG_JOB] = "job/"};

struct catalog_entry *catalog_find(struct catalog *self, enum catalog_kind kind, const char *name)
{
    list_for_each(link, &self->entries)
    {
        struct catalog_entry *entry = container_of(link, struct catalog_entry, in_catalog);
        if (entry->kind == kind && strcmp(entry->name, name) == 0) {
            return entry;
        }
    }
    return NULL;
}

struct catalog_entry *catalog_next(struct catalog *self, enum catalog_kind kind,
                                   struct catalog_entry *entry)
{
    struct list *link = entry == NULL ? self->entries.next : entry->in_catalog.next;
    for (; link != &self->entries; link = link->next) {
        struct catalog_entry *found = container_of(link, struct catalog_entry, in_catalog);
        if (found->kind == kind) {
            return found;
        }
    }
    return NULL;
}

static void remove_entry(struct catalog *self, struct catalog_entry *entry)
{
    list_remove(&entry->in_catalog);
    self->entry_count -= 1;
    millrace__processor__catalog_record__free_unpacked(entry->record, NULL);
    free(entry);
}

/* False: the key is none of ours. */
static bool read_key(struct wire_bytes key, enum catalog_kind *out_kind,
                     char name[CATALOG_NAME_BYTES_MAX])
{
    for (uint32_t kind = CATALOG_TABLE; kind <= CATALOG_JOB; kind++) {
        size_t prefix_bytes = strlen(prefixes[kind]);
        size_t key_bytes = key.byte_count < 0 ? 0 : (size_t)key.byte_count;
        if (key_bytes > prefix_bytes && key_bytes - prefix_bytes < CATALOG_NAME_BYTES_MAX &&
            memcmp(key.bytes, prefixes[kind], prefix_bytes) == 0) {
            *out_kind = (enum catalog_kind)kind;
            memcpy(name, key.bytes + prefix_bytes, key_bytes - prefix_bytes);
            name[key_bytes - prefix_bytes] = '\0';
            return true;
        }
    }
    return false;
}

static bool fits_kind(const Millrace__Processor__CatalogRecord *record, enum catalog_kind kind)
{
    bool is_table = record->kind_case == MILLRACE__PROCESSOR__CATALOG_RECORD__KIND_TABLE;
    bool is_job = record->kind_case == MILLRACE__PROCESSOR__CATALOG_RECORD__KIND_JOB &&
                  record->job->plan != NULL;
    return record->version == CATALOG_FORMAT && (kind == CATALOG_TABLE ? is_table : is_job);
}

static void put_entry(struct catalog *self, enum catalog_kind kind, const char *name,
                      const struct record *from)
{
    struct catalog_entry *entry = catalog_find(self, kind, name);
    if (from->value.byte_count < 0) {
        if (entry != NULL) {
            self->removed_job_count += kind == CATALOG_JOB ? 1 : 0;
            remove_entry(self, entry);
        }
        return;
    }
    Millrace__Processor__CatalogRecord *record = millrace__processor__catalog_record__unpack(
        NULL, (size_t)from->value.byte_count, from->value.bytes);
    if (record == NULL || !fits_kind(record, kind)) {
        trace_line(self->options.loop->trace, TRACE_ERROR, "catalog", "entry-not-understood",
                   "key=%s offset=%lld", name, (long long)from->offset);
        if (record != NULL) {
            millrace__processor__catalog_record__free_unpacked(record, NULL);
        }
        return; /* Of a newer version, or not ours: what is known stays. */
    }
    if (entry == NULL && self->entry_count < CATALOG_ENTRIES_MAX) {
        entry = calloc(1, sizeof *entry);
        if (entry != NULL) {
            entry->kind = kind;
            (void)snprintf(entry->name, sizeof entry->name, "%s", name);
            list_append(&self->entries, &entry->in_catalog);
            self->entry_count += 1;
        }
    }
    if (entry == NULL) {
        millrace__processor__catalog_record__free_unpacked(record, NULL);
        return;
    }
    if (entry->record != NULL) {
        millrace__processor__catalog_record__free_unpacked(entry->record, NULL);
    }
    entry->record = record;
    entry->offset = from->offset;
}

/* ---- reading ---- */

static bool take_records(struct catalog *self, const struct consumer_fetched *fetched)
{
    struct fetch_walk walk;
    fetch_walk_init(&walk, &fetched->source);
    bool has_changed = false;
    while (fetch_walk_batch(&walk, &self->decompressor, &self->output) == STATUS_OK) {
        struct record record;
        while (fetch_walk_record(&walk, &record) == STATUS_OK) {
            enum catalog_kind kind;
            char name[CATALOG_NAME_BYTES_MAX];
            if (self->writing != NULL) {
                catalog_write_see(self->writing, record.offset);
            }
            if (read_key(record.key, &kind, name)) {
                put_entry(self, kind, name, &record);
                has_changed = true;
            }
        }
    }
    return has_changed;
}

static void end_barrier(struct catalog_barrier *barrier, enum status status)
{
    timer_done(&barrier->timer);
    list_remove(&barrier->in_catalog);
    barrier->on_done(barrier, status);
}

static void end_barriers(struct catalog *self)
{
    list_for_each_removable(link, &self->barriers)
    {
        struct catalog_barrier *barrier = container_of(link, struct catalog_barrier, in_catalog);
        if (barrier->end.offset >= 0 && self->position >= barrier->end.offset) {
            end_barrier(barrier, STATUS_OK);
        }
    }
}

static void consumer_on_fetched(void *context, struct consumer_fetched *fetched)
{
    struct catalog *self = context;
    check(self->magic == CATALOG_MAGIC);
    bool has_changed = take_records(self, fetched);
    self->position = fetched->next_offset;
    consumer_core_give_back(&self->consumer, fetched);
    end_barriers(self);
    if (has_changed && self->is_ready && !self->is_closing) {
        self->options.on_changed(self->options.context);
    }
}

static void consumer_on_fault(void *context, const struct consumer_fault *fault)
{
    struct catalog *self = context;
    trace_line(self->options.loop->trace, TRACE_WARN, "catalog", "not-readable",
               "why=\"%s\" code=%d", status_text(fault->status), fault->error_code);
    self->is_assigned = false;
    if (!self->is_closing) {
        timer_start_after(&self->again, AGAIN_MS * CLOCK_NS_PER_MS);
    }
}

/* An empty topic brings nothing to read, but it has been read to its end. */
static void consumer_on_placed(void *context)
{
    struct catalog *self = context;
    struct consumer_partition *partition =
        consumer_core_find(&self->consumer, wire_text_of(CATALOG_TOPIC), 0);
    if (partition != NULL && partition->position > self->position) {
        self->position = partition->position;
        end_barriers(self);
    }
}

static void close_if_alone(struct catalog *self)
{
    if (self->is_closing && self->has_closed_consumer && self->writing == NULL) {
        while (!list_is_empty(&self->entries)) {
            remove_entry(self, container_of(self->entries.next, struct catalog_entry, in_catalog));
        }
        decompressor_output_done(&self->output);
        decompressor_done(&self->decompressor);
        self->magic = 0;
        self->options.on_closed(self->options.context);
    }
}

static void consumer_on_closed(void *context)
{
    struct catalog *self = context;
    self->has_closed_consumer = true;
    close_if_alone(self);
}

/* ---- barriers ---- */

/* Where nothing comes, our reader may be at a leader that the cluster went on without. */
static void arm(struct catalog_barrier *barrier)
{
    int64_t look_ns = loop_now_ns(barrier->catalog->options.loop) + LOOK_MS * CLOCK_NS_PER_MS;
    timer_start_at(&barrier->timer,
                   look_ns < barrier->deadline_ns ? look_ns : barrier->deadline_ns);
}

static void end_on_done(struct admin_op *op, enum status status)
{
    struct catalog_barrier *barrier = container_of(op, struct catalog_barrier, op);
    struct catalog *self = barrier->catalog;
    check(self->magic == CATALOG_MAGIC);
    if (status == STATUS_OK && op->error_code != ERROR_CODE_NONE) {
        status = STATUS_INVALID;
    }
    if (status != STATUS_OK || self->is_closing) {
        end_barrier(barrier, status != STATUS_OK ? status : STATUS_CANCELED);
    } else if (self->position >= barrier->end.offset) {
        end_barrier(barrier, STATUS_OK);
    } else {
        arm(barrier);
    }
}

static void barrier_on_fire(struct timer *timer)
{
    struct catalog_barrier *barrier = container_of(timer, struct catalog_barrier, timer);
    struct catalog *self = barrier->catalog;
    if (loop_now_ns(self->options.loop) >= barrier->deadline_ns) {
        end_barrier(barrier, STATUS_TIMEOUT);
    } else {
        cluster_refresh_elsewhere(&self->consumer.cluster);
        arm(barrier);
    }
}

static void begin_barrier(struct catalog *self, struct catalog_barrier *barrier)
{
    check(self->magic == CATALOG_MAGIC);
    barrier->catalog = self;
    barrier->end =
        (struct topic_calls_offset){.time = TOPIC_CALLS_LATEST, .is_committed = true, .offset = -1};
    list_init(&barrier->in_catalog);
    list_append(&self->barriers, &barrier->in_catalog);
    timer_init(&barrier->timer, &self->options.loop->timers, barrier_on_fire);
}

void catalog_wait_until(struct catalog *self, struct catalog_barrier *barrier, int64_t end)
{
    check(self->position < end);
    begin_barrier(self, barrier);
    barrier->end.offset = end;
    arm(barrier);
}

void catalog_wait(struct catalog *self, struct catalog_barrier *barrier)
{
    begin_barrier(self, barrier);
    barrier->op = topic_calls_offset(wire_text_of(CATALOG_TOPIC), 0, &barrier->end);
    barrier->op.deadline_ns = barrier->deadline_ns;
    barrier->op.on_done = end_on_done;
    admin_core_run(self->options.admin, &barrier->op);
}

/* ---- beginning ---- */

static void first_on_done(struct catalog_barrier *barrier, enum status status)
{
    struct catalog *self = container_of(barrier, struct catalog, first);
    if (self->is_closing) {
        return;
    }
    if (status != STATUS_OK) {
        timer_start_after(&self->again, AGAIN_MS * CLOCK_NS_PER_MS);
        return;
    }
    self->is_ready = true;
    self->options.on_changed(self->options.context);
}

static void topic_on_done(struct topic_wish *wish, enum status status)
{
    struct catalog *self = container_of(wish, struct catalog, topic);
    if (self->is_closing) {
        return;
    }
    if (status == STATUS_OK) {
        struct consumer_start start = {.kind = CONSUMER_START_EARLIEST};
        if (self->position >= 0) {
            start = (struct consumer_start){CONSUMER_START_OFFSET, self->position};
        }
        status = consumer_core_assign(&self->consumer, wire_text_of(CATALOG_TOPIC), 0, start);
        self->is_assigned = status == STATUS_OK;
    }
    if (status != STATUS_OK) {
        trace_line(self->options.loop->trace, TRACE_WARN, "catalog", "no-topic",
                   "why=\"%s\" code=%d", status_text(status), wish->op.error_code);
        timer_start_after(&self->again, AGAIN_MS * CLOCK_NS_PER_MS);
    } else if (!self->is_ready) {
        self->first = (struct catalog_barrier){.deadline_ns = loop_now_ns(self->options.loop) +
                                                              FIRST_MS * CLOCK_NS_PER_MS,
                                               .on_done = first_on_done};
        catalog_wait(self, &self->first);
    }
}

static void begin(struct timer *timer)
{
    struct catalog *self = container_of(timer, struct catalog, again);
    self->topic = (struct topic_wish){.name = CATALOG_TOPIC,
                                      .partition_count = 1,
                                      .settings = {{"cleanup.policy", "compact"}},
                                      .setting_count = 1,
                                      .is_never_deleted = true,
                                      .deadline_ns = loop_now_ns(self->options.loop) +
                                                     TOPIC_MS * CLOCK_NS_PER_MS,
                                      .on_done = topic_on_done};
    topic_maker_run(self->options.admin, &self->topic);
}

void catalog_init(struct catalog *self, const struct catalog_options *options)
{
    *self = (struct catalog){.magic = CATALOG_MAGIC, .options = *options, .position = -1};
    list_init(&self->entries);
    list_init(&self->barriers);
    list_init(&self->writes);
    decompressor_init(&self->decompressor, NULL);
    decompressor_output_init(&self->output, NULL, CATALOG_RECORD_BYTES_MAX * 2);
    timer_init(&self->again, &options->loop->timers, begin);
    struct consumer_core_options consumer = {.loop = options->loop,
                                             .bootstrap = options->bootstrap,
                                             .bootstrap_count = options->bootstrap_count,
                                             .client_id = options->client_id,
                                             .is_committed = true,
                                             .reset = CONSUMER_RESET_EARLIEST,
                                             .buffer_bytes_max = READ_BYTES_MAX,
                                             .partition_bytes_max = CATALOG_RECORD_BYTES_MAX,
                                             .fetch_bytes_max = CATALOG_RECORD_BYTES_MAX,
                                             .fetch_wait_ms = FETCH_WAIT_MS,
                                             .request_timeout_ms = REQUEST_MS,
                                             .on_fetched = consumer_on_fetched,
                                             .on_fault = consumer_on_fault,
                                             .on_placed = consumer_on_placed,
                                             .on_closed = consumer_on_closed,
                                             .context = self};
    consumer_core_init(&self->consumer, &consumer);
    timer_start_after(&self->again, 0);
}

void catalog_close(struct catalog *self)
{
    check(self->magic == CATALOG_MAGIC);
    check(!self->is_closing);
    self->is_closing = true;
    timer_done(&self->again);
    list_for_each_removable(link, &self->barriers)
    {
        struct catalog_barrier *barrier = container_of(link, struct catalog_barrier, in_catalog);
        if (barrier->end.offset >= 0) { /* The others end with the admin's core. */
            end_barrier(barrier, STATUS_CANCELED);
        }
    }
    catalog_write_cancel_all(self);
    consumer_core_close(&self->consumer);
}

void catalog_change(struct catalog *self, struct catalog_write *write)
{
    check(self->magic == CATALOG_MAGIC);
    catalog_write_start(self, write);
}

void catalog_end_write(struct catalog *self)
{
    close_if_alone(self);
}
