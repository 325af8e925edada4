#include "processor/source/source.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define SOURCE_MAGIC 0x50c3c0deU
#define PARTITION_BYTES_MAX (1 << 20)
#define FETCH_BYTES_MAX (8 << 20)
/* Compressed record batches that one slice may hold open. */
#define OUTPUTS_MAX 16U
/* Rooms of outputs that grew beyond it are given back after their slice. */
#define OUTPUT_BYTES_KEPT ((size_t)4 << 20)
#define ROWS_FIRST 256U
#define LOOK_AGAIN_MS 50

struct source_partition {
    struct source_view view;
    struct source_start start;
    int64_t log_start; /* As heard. */
};

struct source {
    uint32_t magic;
    struct source_options options;
    struct wire_text topic;
    struct consumer_core core;
    struct source_partition *partitions; /* Owned. */
    uint32_t partition_count;
    bool is_finding_ends;
    struct timer look; /* At ends that lay before what must be there. */
    bool is_closing;
    struct list ready;  /* struct consumer_fetched, oldest first. */
    struct list sealed; /* The same; the first one may be open. */
    size_t ready_bytes;
    struct decompressor decompressor;
    struct decompressor_output outputs[OUTPUTS_MAX];
    uint32_t output_count;  /* In use by the slice. */
    struct fetch_walk walk; /* Of the first sealed part, when it is open. */
    bool is_open;
    bool is_inside;                /* A record batch has been opened and not read to its end. */
    bool is_inside_output;         /* Its records lie in the last output in use. */
    struct consumer_fetched *read; /* Exhausted; given back with the slice. NULL: none. */
    bool is_taken;                 /* A slice is out. */
    uint32_t row_room;
    struct row_origin rows; /* Arrays owned. */
    struct mail news_mail;
    bool is_news_posted;
    struct source_fault fault;
    struct mail fault_mail;
    bool is_fault_posted;
    bool is_of_another; /* The topic; that was told. */
    bool has_core_closed;
};

/* ---- news ---- */

static void end_close(struct source *self);

static void news_deliver(struct mail *mail)
{
    struct source *self = container_of(mail, struct source, news_mail);
    check(self->magic == SOURCE_MAGIC);
    self->is_news_posted = false;
    if (self->is_closing) {
        end_close(self);
        return;
    }
    self->options.on_news(self->options.context);
}

static void tell_news(struct source *self)
{
    if (!self->is_news_posted && !self->is_closing) {
        self->is_news_posted = true;
        self->news_mail = (struct mail){.deliver = news_deliver};
        loop_defer(self->options.loop, &self->news_mail);
    }
}

static void fault_deliver(struct mail *mail)
{
    struct source *self = container_of(mail, struct source, fault_mail);
    check(self->magic == SOURCE_MAGIC);
    self->is_fault_posted = false;
    if (self->is_closing) {
        end_close(self);
        return;
    }
    struct source_fault fault = self->fault;
    self->options.on_fault(self->options.context, &fault);
}

/* The first one is told; whoever hears it closes the source. */
static void tell_fault(struct source *self, const struct source_fault *fault)
{
    if (!self->is_fault_posted && !self->is_closing) {
        self->fault = *fault;
        self->is_fault_posted = true;
        self->fault_mail = (struct mail){.deliver = fault_deliver};
        loop_defer(self->options.loop, &self->fault_mail);
    }
}

/* True: what was heard is of another topic of that name; nothing is taken any more. */
static bool is_of_another(struct source *self)
{
    const struct wire_uuid *wanted = &self->options.topic_id;
    const struct cluster_topic *topic = cluster_topic(&self->core.cluster, self->topic);
    bool is_told = topic != NULL && !wire_uuid_is_zero(&topic->id);
    if (!self->is_of_another && is_told && !wire_uuid_is_zero(wanted) &&
        !wire_uuid_equals(wanted, &topic->id)) {
        self->is_of_another = true;
        struct source_fault fault = {.partition = -1, .offset = -1, .status = STATUS_FENCED};
        tell_fault(self, &fault);
    }
    return self->is_of_another;
}

static struct source_partition *find(struct source *self, int32_t partition)
{
    for (uint32_t i = 0; i < self->partition_count; i++) {
        if (self->partitions[i].view.partition == partition) {
            return &self->partitions[i];
        }
    }
    return NULL;
}

static void update_end(struct source_partition *partition)
{
    struct source_view *view = &partition->view;
    view->is_at_end = view->next_offset >= 0 && view->high_watermark >= 0 &&
                      view->next_offset >= view->high_watermark;
    view->is_unwritten = view->high_watermark == 0;
}

/* What lies between the position and where the core has come without bytes is not in the log. */
static void pass_gap(struct source_partition *partition, const struct consumer_partition *known)
{
    struct source_view *view = &partition->view;
    if (known->state == CONSUMER_FETCHING && known->ready_bytes == 0 &&
        known->position > view->next_offset) {
        view->next_offset = known->position;
    }
}

/* ---- the core's callbacks ---- */

static void core_on_fetched(void *context, struct consumer_fetched *fetched)
{
    struct source *self = context;
    check(self->magic == SOURCE_MAGIC);
    struct source_partition *partition = find(self, fetched->index);
    check(partition != NULL);
    partition->view.record_ns = loop_now_ns(self->options.loop);
    list_append(&self->ready, &fetched->in_line);
    self->ready_bytes += fetched->room_bytes;
    if (!is_of_another(self)) {
        tell_news(self);
    }
}

static void core_on_heard(void *context, const struct consumer_partition *heard)
{
    struct source *self = context;
    check(self->magic == SOURCE_MAGIC);
    struct source_partition *partition = find(self, heard->index);
    check(partition != NULL);
    struct source_view *view = &partition->view;
    view->high_watermark = heard->high_watermark;
    view->stable_end = heard->stable_end;
    view->log_start = heard->log_start;
    view->heard_ns = loop_now_ns(self->options.loop);
    pass_gap(partition, heard);
    update_end(partition);
    tell_news(self);
}

static void core_on_fault(void *context, const struct consumer_fault *fault)
{
    struct source *self = context;
    check(self->magic == SOURCE_MAGIC);
    if (is_of_another(self)) {
        return;
    }
    const struct source_partition *partition = find(self, fault->partition);
    struct source_fault told = {.partition = fault->partition,
                                .offset = partition == NULL ? -1 : partition->view.next_offset,
                                .status = fault->status,
                                .error_code = fault->error_code};
    tell_fault(self, &told);
}

/* The end that was told lies before what must be there. */
static bool is_stale(struct source *self, const struct source_partition *partition)
{
    const struct consumer_partition *placed =
        consumer_core_find(&self->core, self->topic, partition->view.partition);
    return placed != NULL && placed->state == CONSUMER_FETCHING &&
           placed->position < partition->start.end_min;
}

static bool has_stale_end(struct source *self)
{
    for (uint32_t i = 0; i < self->partition_count; i++) {
        if (is_stale(self, &self->partitions[i])) {
            return true;
        }
    }
    return false;
}

static void look_on_fire(struct timer *timer)
{
    struct source *self = container_of(timer, struct source, look);
    check(self->magic == SOURCE_MAGIC);
    const struct consumer_start latest = {.kind = CONSUMER_START_LATEST};
    cluster_refresh_elsewhere(&self->core.cluster);
    for (uint32_t i = 0; i < self->partition_count; i++) {
        if (is_stale(self, &self->partitions[i])) {
            check(consumer_core_seek(&self->core, self->topic, self->partitions[i].view.partition,
                                     latest) == STATUS_OK);
        }
    }
}

/* The ends are known: back to where the reading begins. */
static void begin_bounded(struct source *self)
{
    if (has_stale_end(self)) {
        timer_start_after(&self->look, LOOK_AGAIN_MS * CLOCK_NS_PER_MS);
        return;
    }
    self->is_finding_ends = false;
    for (uint32_t i = 0; i < self->partition_count; i++) {
        struct source_partition *partition = &self->partitions[i];
        struct source_view *view = &partition->view;
        const struct consumer_partition *placed =
            consumer_core_find(&self->core, self->topic, view->partition);
        check(placed != NULL);
        if (placed->state != CONSUMER_FETCHING) {
            continue; /* It has failed, and that is told. */
        }
        view->end_offset = placed->position;
        struct consumer_start start = partition->start.start;
        if (self->options.back_count > 0) {
            int64_t back = self->options.back_count;
            int64_t begin = view->end_offset > back ? view->end_offset - back : 0;
            start = (struct consumer_start){.kind = CONSUMER_START_OFFSET, .value = begin};
        }
        check(start.kind == CONSUMER_START_OFFSET);
        view->next_offset = start.value;
        if (start.value < view->end_offset) {
            check(consumer_core_seek(&self->core, self->topic, view->partition, start) ==
                  STATUS_OK);
            check(consumer_core_pause(&self->core, self->topic, view->partition, false) ==
                  STATUS_OK);
        }
    }
}

static void core_on_placed(void *context)
{
    struct source *self = context;
    check(self->magic == SOURCE_MAGIC);
    if (is_of_another(self)) {
        return;
    }
    if (self->is_finding_ends) {
        begin_bounded(self);
    }
    for (uint32_t i = 0; i < self->partition_count; i++) {
        struct source_partition *partition = &self->partitions[i];
        const struct consumer_partition *placed =
            consumer_core_find(&self->core, self->topic, partition->view.partition);
        if (placed != NULL && !placed->is_paused) {
            pass_gap(partition, placed);
        }
    }
    tell_news(self);
}

/* ---- taking ---- */

size_t source_ready_bytes(const struct source *self)
{
    check(self->magic == SOURCE_MAGIC);
    return self->ready_bytes;
}

void source_seal(struct source *self, size_t byte_count_max)
{
    check(self->magic == SOURCE_MAGIC);
    size_t sealed_bytes = 0;
    while (!self->is_of_another && !list_is_empty(&self->ready) && sealed_bytes < byte_count_max) {
        struct list *link = list_take_first(&self->ready);
        struct consumer_fetched *fetched = container_of(link, struct consumer_fetched, in_line);
        sealed_bytes += fetched->room_bytes;
        self->ready_bytes -= fetched->room_bytes;
        list_append(&self->sealed, link);
    }
}

bool source_has_sealed(const struct source *self)
{
    check(self->magic == SOURCE_MAGIC);
    return !list_is_empty(&self->sealed);
}

static enum status grow_array(void *pointer, uint32_t room, size_t size)
{
    void **array = pointer;
    void *grown = realloc(*array, room * size);
    if (grown == NULL) {
        return STATUS_NO_MEMORY;
    }
    *array = grown;
    return STATUS_OK;
}

static enum status grow_rows(struct source *self)
{
    uint32_t room = self->row_room == 0 ? ROWS_FIRST : self->row_room * 2;
    struct row_origin *rows = &self->rows;
    TRY(grow_array(&rows->offsets, room, sizeof *rows->offsets));
    TRY(grow_array(&rows->created_ms, room, sizeof *rows->created_ms));
    TRY(grow_array(&rows->ingested_ms, room, sizeof *rows->ingested_ms));
    TRY(grow_array(&rows->keys, room, sizeof *rows->keys));
    TRY(grow_array(&rows->values, room, sizeof *rows->values));
    TRY(grow_array(&rows->headers, room, sizeof *rows->headers));
    TRY(grow_array(&rows->headers_ends, room, sizeof *rows->headers_ends));
    TRY(grow_array(&rows->header_counts, room, sizeof *rows->header_counts));
    self->row_room = room;
    return STATUS_OK;
}

static size_t bytes_of(struct wire_bytes bytes)
{
    return bytes.byte_count > 0 ? (size_t)bytes.byte_count : 0;
}

static void add_row(struct source *self, const struct record *record, struct source_rows *out_rows)
{
    uint32_t row = out_rows->row_count++;
    self->rows.offsets[row] = record->offset;
    self->rows.created_ms[row] = record->timestamp_ms;
    self->rows.ingested_ms[row] = self->walk.ingested_ms;
    self->rows.keys[row] = record->key;
    self->rows.values[row] = record->value;
    self->rows.headers[row] = record->headers;
    self->rows.headers_ends[row] = record->headers_end;
    self->rows.header_counts[row] = record->header_count;
    out_rows->byte_count += bytes_of(record->key) + bytes_of(record->value) +
                            (size_t)(record->headers_end - record->headers);
}

/* The rest of the record batch that is open, as far as the slice has room. NOT_FOUND: all of it. */
static enum status take_records(struct source *self, struct source_view *view,
                                struct source_rows *out_rows)
{
    while (out_rows->row_count < self->options.slice.row_count &&
           out_rows->byte_count < self->options.slice.byte_count) {
        if (out_rows->row_count == self->row_room) {
            TRY(grow_rows(self));
        }
        struct record record;
        TRY(fetch_walk_record(&self->walk, &record));
        add_row(self, &record, out_rows);
        view->next_offset = record.offset + 1;
    }
    return STATUS_OK;
}

/* Opens the next record batch of the part. NOT_FOUND: there is none. */
static enum status open_batch(struct source *self)
{
    struct decompressor_output *output = &self->outputs[self->output_count];
    output->byte_count = 0;
    TRY(fetch_walk_batch(&self->walk, &self->decompressor, output));
    self->is_inside = true;
    self->is_inside_output = output->byte_count > 0;
    self->output_count += self->is_inside_output;
    return STATUS_OK;
}

static bool has_enough(const struct source *self, const struct source_rows *rows)
{
    return rows->row_count == self->options.slice.row_count ||
           rows->byte_count >= self->options.slice.byte_count || self->output_count == OUTPUTS_MAX;
}

/* Rows of the first sealed part. NOT_FOUND: it is exhausted. Else OK: the slice is full; or what
 * broke it. */
static enum status take_part(struct source *self, struct source_view *view,
                             struct source_rows *out_rows)
{
    for (;;) {
        if (self->is_inside) {
            enum status status = take_records(self, view, out_rows);
            if (status != STATUS_NOT_FOUND) {
                return status;
            }
            self->is_inside = false;
            self->is_inside_output = false;
            view->next_offset = self->walk.next_offset;
            if (has_enough(self, out_rows)) {
                return STATUS_OK;
            }
        }
        enum status status = open_batch(self);
        if (status != STATUS_OK) {
            if (self->walk.next_offset > view->next_offset) {
                view->next_offset = self->walk.next_offset;
            }
            return status;
        }
    }
}

/* The part is read, or broken; its memory stays until the slice is released. */
static void end_part(struct source *self, struct consumer_fetched *part,
                     const struct source_view *view, enum status status)
{
    list_remove(&part->in_line);
    self->is_open = false;
    self->is_inside = false;
    self->is_inside_output = false;
    part->next_offset = view->next_offset;
    part->fault = status == STATUS_NOT_FOUND ? STATUS_OK : status;
    check(self->read == NULL);
    self->read = part;
}

static void give_back_read(struct source *self)
{
    struct consumer_fetched *read = self->read;
    self->read = NULL;
    if (read != NULL) {
        consumer_core_give_back(&self->core, read);
    }
}

/* The outputs are free again, but for the one that the open record batch lies in. */
static void rewind_outputs(struct source *self)
{
    uint32_t kept = 0;
    if (self->is_inside_output) {
        struct decompressor_output last = self->outputs[self->output_count - 1];
        self->outputs[self->output_count - 1] = self->outputs[0];
        self->outputs[0] = last;
        kept = 1;
    }
    for (uint32_t i = kept; i < OUTPUTS_MAX; i++) {
        if (self->outputs[i].capacity_bytes > OUTPUT_BYTES_KEPT) {
            decompressor_output_done(&self->outputs[i]);
        }
    }
    self->output_count = kept;
}

enum status source_take(struct source *self, struct source_rows *out_rows)
{
    check(self->magic == SOURCE_MAGIC);
    check(!self->is_taken);
    while (!list_is_empty(&self->sealed)) {
        struct consumer_fetched *part =
            container_of(self->sealed.next, struct consumer_fetched, in_line);
        struct source_partition *partition = find(self, part->index);
        check(partition != NULL);
        if (!self->is_open) {
            fetch_walk_init(&self->walk, &part->source);
            self->is_open = true;
        }
        struct source_rows rows = {.row_count = 0};
        enum status status = take_part(self, &partition->view, &rows);
        if (status == STATUS_NO_MEMORY) {
            return status; /* The task gives up; nothing goes on from here. */
        }
        if (status != STATUS_OK) {
            end_part(self, part, &partition->view, status);
        }
        update_end(partition);
        if (rows.row_count > 0) {
            self->rows.partition = part->index;
            rows.origin = self->rows;
            self->is_taken = true;
            *out_rows = rows;
            return STATUS_OK;
        }
        rewind_outputs(self);
        give_back_read(self); /* Nothing of it was to be seen. */
    }
    return STATUS_NOT_FOUND;
}

void source_release(struct source *self)
{
    check(self->magic == SOURCE_MAGIC);
    check(self->is_taken);
    self->is_taken = false;
    rewind_outputs(self);
    give_back_read(self);
}

/* ---- what is known ---- */

uint32_t source_partition_count(const struct source *self)
{
    return self->partition_count;
}

const struct source_view *source_view(const struct source *self, uint32_t index)
{
    check(self->magic == SOURCE_MAGIC);
    check(index < self->partition_count);
    return &self->partitions[index].view;
}

bool source_is_placed(const struct source *self)
{
    for (uint32_t i = 0; i < self->partition_count; i++) {
        if (self->partitions[i].view.next_offset < 0) {
            return false;
        }
    }
    return true;
}

bool source_is_done(const struct source *self)
{
    check(self->options.is_bounded);
    for (uint32_t i = 0; i < self->partition_count; i++) {
        const struct source_view *view = &self->partitions[i].view;
        if (view->end_offset < 0 || view->next_offset < view->end_offset) {
            return false;
        }
    }
    return true;
}

/* ---- life ---- */

static void free_all(struct source *self)
{
    for (uint32_t i = 0; i < OUTPUTS_MAX; i++) {
        decompressor_output_done(&self->outputs[i]);
    }
    decompressor_done(&self->decompressor);
    free(self->rows.offsets);
    free(self->rows.created_ms);
    free(self->rows.ingested_ms);
    free(self->rows.keys);
    free(self->rows.values);
    free(self->rows.headers);
    free(self->rows.headers_ends);
    free(self->rows.header_counts);
    free(self->partitions);
    self->magic = 0;
    free(self);
}

static void end_close(struct source *self)
{
    if (!self->has_core_closed || self->is_news_posted || self->is_fault_posted) {
        return;
    }
    struct source_options options = self->options;
    free_all(self);
    options.on_closed(options.context);
}

static void core_on_closed(void *context)
{
    struct source *self = context;
    check(self->magic == SOURCE_MAGIC);
    self->has_core_closed = true;
    end_close(self);
}

static void give_back_all(struct source *self, struct list *parts)
{
    struct list *link;
    while ((link = list_take_first(parts)) != NULL) {
        struct consumer_fetched *part = container_of(link, struct consumer_fetched, in_line);
        part->fault = STATUS_OK;
        consumer_core_give_back(&self->core, part);
    }
}

void source_close(struct source *self)
{
    check(self->magic == SOURCE_MAGIC);
    check(!self->is_closing);
    self->is_closing = true;
    timer_done(&self->look);
    if (self->read != NULL) {
        self->read->fault = STATUS_OK;
    }
    give_back_read(self);
    give_back_all(self, &self->sealed);
    give_back_all(self, &self->ready);
    consumer_core_close(&self->core);
}

static void open_core(struct source *self)
{
    const struct source_options *options = &self->options;
    struct consumer_core_options core = {
        .loop = options->loop,
        .bootstrap = options->bootstrap,
        .bootstrap_count = options->bootstrap_count,
        .client_id = options->client_id,
        .is_committed = true,
        .is_end_uncommitted = options->is_bounded,
        .reset = options->back_count > 0 ? CONSUMER_RESET_EARLIEST : CONSUMER_RESET_FAIL,
        .buffer_bytes_max = options->buffer_bytes_max,
        .partition_bytes_max =
            options->part_bytes_max == 0 || options->part_bytes_max > PARTITION_BYTES_MAX
                ? PARTITION_BYTES_MAX
                : (int32_t)options->part_bytes_max,
        .fetch_bytes_max = FETCH_BYTES_MAX,
        .fetch_wait_ms = options->fetch_wait_ms,
        .request_timeout_ms = options->request_timeout_ms,
        .on_fetched = core_on_fetched,
        .on_heard = core_on_heard,
        .on_fault = core_on_fault,
        .on_placed = core_on_placed,
        .on_closed = core_on_closed,
        .context = self};
    consumer_core_init(&self->core, &core);
    self->options.bootstrap = NULL; /* The core has its copy. */
}

static enum status assign(struct source *self)
{
    for (uint32_t i = 0; i < self->partition_count; i++) {
        const struct source_start *asked = &self->partitions[i].start;
        struct consumer_start start = asked->start;
        if (self->options.is_bounded) {
            start = (struct consumer_start){.kind = CONSUMER_START_LATEST};
        } else if (start.kind == CONSUMER_START_OFFSET) {
            self->partitions[i].view.next_offset = start.value;
        }
        TRY(consumer_core_assign(&self->core, self->topic, asked->partition, start));
        if (self->options.is_bounded) {
            TRY(consumer_core_pause(&self->core, self->topic, asked->partition, true));
        }
    }
    return STATUS_OK;
}

static enum status make(const struct source_options *options, struct source **out_source)
{
    struct source *self = calloc(1, sizeof *self);
    struct source_partition *partitions = calloc(options->start_count, sizeof *partitions);
    if (self == NULL || partitions == NULL) {
        free(self);
        free(partitions);
        return STATUS_NO_MEMORY;
    }
    self->magic = SOURCE_MAGIC;
    self->options = *options;
    self->options.starts = NULL;
    if (options->slice.row_count == 0) {
        self->options.slice = (struct row_batch_room){SOURCE_ROWS_MAX, SOURCE_SLICE_BYTES};
    }
    self->topic = (struct wire_text){options->topic, (int32_t)strlen(options->topic)};
    self->partitions = partitions;
    self->partition_count = options->start_count;
    self->is_finding_ends = options->is_bounded;
    timer_init(&self->look, &options->loop->timers, look_on_fire);
    list_init(&self->ready);
    list_init(&self->sealed);
    decompressor_init(&self->decompressor, NULL);
    for (uint32_t i = 0; i < OUTPUTS_MAX; i++) {
        decompressor_output_init(&self->outputs[i], NULL, SOURCE_BATCH_BYTES_MAX);
    }
    int64_t now_ns = loop_now_ns(options->loop);
    for (uint32_t i = 0; i < options->start_count; i++) {
        partitions[i] =
            (struct source_partition){.start = options->starts[i],
                                      .view = {.partition = options->starts[i].partition,
                                               .next_offset = -1,
                                               .high_watermark = -1,
                                               .stable_end = -1,
                                               .log_start = -1,
                                               .end_offset = -1,
                                               .record_ns = now_ns}};
    }
    *out_source = self;
    return STATUS_OK;
}

enum status source_open(const struct source_options *options, struct source **out_source)
{
    check(options->start_count > 0);
    check(options->start_count <= SOURCE_PARTITIONS_MAX);
    check(options->slice.row_count <= SOURCE_ROWS_MAX);
    check(options->back_count == 0 || options->is_bounded);
    struct source *self = NULL;
    TRY(make(options, &self));
    open_core(self);
    if (assign(self) != STATUS_OK) {
        tell_fault(self, &(struct source_fault){
                             .partition = -1, .offset = -1, .status = STATUS_NO_MEMORY});
    }
    *out_source = self;
    return STATUS_OK;
}
