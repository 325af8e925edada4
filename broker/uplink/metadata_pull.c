#include "broker/uplink/metadata_pull.h"

#include "broker/metadata/image_snapshot.h"
#include "proto/sys/check.h"
#include "proto/wire/big_endian.h"

#include <stdlib.h>
#include <string.h>

#define METADATA_PULL_MAGIC 0x9e7ada7aU
#define RETRY_MS 100
#define ANSWER_TIMEOUT_MS 10000
#define REQUEST_BYTES 12U

struct metadata_pull {
    uint32_t magic;
    struct metadata_pull_options options;
    struct quorum_voter voters[QUORUM_VOTERS_MAX];
    uint32_t voter;    /* The one that is asked. */
    struct link *link; /* Owned; NULL: not open. */
    struct link_call call;
    uint8_t request[REQUEST_BYTES];
    struct wire_slice body;
    uint64_t known_index;
    struct timer retry;
    bool is_closing;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

static void ask(struct metadata_pull *self);

static void finish(struct metadata_pull *self)
{
    void (*on_closed)(void *) = self->on_closed;
    void *context = self->on_closed_context;
    timer_done(&self->retry);
    self->magic = 0;
    free(self);
    on_closed(context);
}

static void link_on_open(struct link *link, void *context)
{
    (void)link;
    ask(context);
}

static void link_on_closed(struct link *link, void *context, enum status why)
{
    struct metadata_pull *self = context;
    (void)link;
    (void)why; /* Another voter is asked; that all are away is told by the broker's own silence. */
    self->link = NULL;
    if (self->is_closing) {
        finish(self);
        return;
    }
    self->voter = (self->voter + 1) % self->options.voter_count;
    timer_start_after(&self->retry, RETRY_MS * CLOCK_NS_PER_MS);
}

static void connect(struct metadata_pull *self)
{
    struct link_options options = {.loop = self->options.loop,
                                   .address = self->voters[self->voter].address,
                                   .client_id = "metadata",
                                   .frame_bytes_max = METADATA_PULL_BYTES_MAX,
                                   .on_open = link_on_open,
                                   .on_closed = link_on_closed,
                                   .context = self};
    if (link_open(&options, &self->link) != STATUS_OK) {
        self->link = NULL;
        timer_start_after(&self->retry, RETRY_MS * CLOCK_NS_PER_MS);
    }
}

static void retry_on_timer(struct timer *timer)
{
    struct metadata_pull *self = container_of(timer, struct metadata_pull, retry);
    if (self->link == NULL) {
        connect(self);
    } else {
        ask(self);
    }
}

/* False: the voter had nothing to give; ask again later. */
static bool take_answer(struct metadata_pull *self, struct wire_reader *reader)
{
    int16_t code = wire_read_int16(reader);
    struct wire_bytes bytes = wire_read_bytes(reader, false, true);
    if (wire_reader_status(reader) != STATUS_OK || code != 0) {
        return false;
    }
    if (bytes.byte_count < 0) {
        return true;
    }
    struct image *image;
    enum status status = image_snapshot_read(bytes.bytes, (size_t)bytes.byte_count, &image);
    if (status == STATUS_UNSUPPORTED) {
        self->options.on_fatal(self->options.context, status);
        return false;
    }
    if (status != STATUS_OK) {
        return false;
    }
    /* Another voter may be behind the one that was asked before. */
    if (image_index(image) > self->known_index) {
        self->known_index = image_index(image);
        self->options.on_image(self->options.context, image);
    }
    image_unref(image);
    return true;
}

static void call_on_done(struct link_call *call, enum status status)
{
    struct metadata_pull *self = container_of(call, struct metadata_pull, call);
    check(self->magic == METADATA_PULL_MAGIC);
    bool is_taken = status == STATUS_OK && !self->is_closing && take_answer(self, &call->reader);
    link_call_done(call);
    if (self->is_closing || status != STATUS_OK) {
        return; /* The link closes, and goes on from there. */
    }
    if (is_taken) {
        ask(self);
    } else {
        timer_start_after(&self->retry, RETRY_MS * CLOCK_NS_PER_MS);
    }
}

static void ask(struct metadata_pull *self)
{
    big_endian_put64(self->request, self->known_index);
    big_endian_put32(self->request + sizeof self->known_index, METADATA_PULL_WAIT_MS);
    self->body = (struct wire_slice){self->request, sizeof self->request};
    self->call = (struct link_call){.api_key = METADATA_PULL_KEY,
                                    .body = &self->body,
                                    .body_count = 1,
                                    .timeout_ms = ANSWER_TIMEOUT_MS,
                                    .on_done = call_on_done};
    if (link_send(self->link, &self->call) != STATUS_OK) {
        timer_start_after(&self->retry, RETRY_MS * CLOCK_NS_PER_MS);
    }
}

enum status metadata_pull_new(const struct metadata_pull_options *options,
                              struct metadata_pull **out_self)
{
    check(options->voter_count > 0);
    check(options->voter_count <= QUORUM_VOTERS_MAX);
    struct metadata_pull *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = METADATA_PULL_MAGIC;
    self->options = *options;
    memcpy(self->voters, options->voters, options->voter_count * sizeof *options->voters);
    self->options.voters = NULL;
    self->voter = (uint32_t)prng_below(&options->loop->prng, options->voter_count);
    timer_init(&self->retry, &options->loop->timers, retry_on_timer);
    connect(self);
    *out_self = self;
    return STATUS_OK;
}

void metadata_pull_close(struct metadata_pull *self, void (*on_closed)(void *context),
                         void *context)
{
    check(self->magic == METADATA_PULL_MAGIC);
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    timer_stop(&self->retry);
    if (self->link != NULL) {
        link_close(self->link);
    } else {
        finish(self);
    }
}
