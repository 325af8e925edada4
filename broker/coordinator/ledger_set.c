#include "broker/coordinator/ledger_set.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define LEDGER_SET_MAGIC 0x1ed65e70U

struct ledger_set {
    uint32_t magic;
    struct ledger_set_options options;
    struct partition_observer observer;
    struct disk_lane *lane;
    uint32_t ledger_count; /* Also those that are going. */
    bool is_closing;
    struct mail close_mail;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

static void close_deliver(struct mail *mail)
{
    struct ledger_set *self = container_of(mail, struct ledger_set, close_mail);
    disk_lane_close(self->options.loop->disk, self->lane);
    void (*on_closed)(void *) = self->on_closed;
    void *context = self->on_closed_context;
    self->magic = 0;
    free(self);
    on_closed(context);
}

static void close_when_idle(struct ledger_set *self)
{
    if (self->is_closing && self->ledger_count == 0) {
        self->close_mail.deliver = close_deliver;
        loop_defer(self->options.loop, &self->close_mail); /* Not inside the lane's callback. */
    }
}

static void ledger_on_gone(void *context)
{
    struct ledger_set *self = context;
    check(self->magic == LEDGER_SET_MAGIC);
    check(self->ledger_count > 0);
    self->ledger_count -= 1;
    close_when_idle(self);
}

static const struct ledger_kind *kind_of(const struct ledger_set *self, const char *topic_name)
{
    for (uint32_t i = 0; i < self->options.kind_count; i++) {
        if (strcmp(self->options.kinds[i].topic_name, topic_name) == 0) {
            return &self->options.kinds[i];
        }
    }
    return NULL;
}

static void on_assigned(struct partition_observer *observer, struct partition *partition,
                        bool is_gone)
{
    struct ledger_set *self = container_of(observer, struct ledger_set, observer);
    check(self->magic == LEDGER_SET_MAGIC);
    const struct ledger_kind *kind = kind_of(self, partition_topic_name(partition));
    if (kind == NULL) {
        return;
    }
    struct partition_marks marks;
    partition_marks_of(partition, &marks);
    bool is_led = !is_gone && !self->is_closing && marks.is_leader;
    struct ledger *ledger = partition_ledger(partition);
    if (ledger != NULL && is_led && ledger_leader_epoch(ledger) == marks.leader_epoch) {
        return; /* Only its ISR is another one. */
    }
    if (ledger != NULL) {
        partition_set_ledger(partition, NULL);
        ledger_lose(ledger);
    }
    if (is_led) {
        struct ledger_options options = {.loop = self->options.loop,
                                         .lane = self->lane,
                                         .directory = self->options.directory,
                                         .kind = kind,
                                         .partition = partition,
                                         .snapshot_record_count =
                                             self->options.snapshot_record_count,
                                         .on_gone = ledger_on_gone,
                                         .context = self};
        self->ledger_count += 1;
        partition_set_ledger(partition, ledger_new(&options));
    }
}

enum status ledger_set_new(const struct ledger_set_options *options, struct ledger_set **out_self)
{
    check(options->kind_count <= LEDGER_SET_KINDS_MAX);
    struct ledger_set *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = LEDGER_SET_MAGIC;
    self->options = *options;
    self->observer.on_assigned = on_assigned;
    enum status status = disk_lane_open(options->loop->disk, options->loop, "ledger", &self->lane);
    if (status != STATUS_OK) {
        free(self);
        return status;
    }
    *out_self = self;
    return STATUS_OK;
}

struct partition_observer *ledger_set_observer(struct ledger_set *self)
{
    check(self->magic == LEDGER_SET_MAGIC);
    return &self->observer;
}

void ledger_set_close(struct ledger_set *self, void (*on_closed)(void *context), void *context)
{
    check(self->magic == LEDGER_SET_MAGIC);
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    close_when_idle(self);
}

struct ledger *ledger_set_of(const struct partition *partition)
{
    return partition == NULL ? NULL : partition_ledger(partition);
}
