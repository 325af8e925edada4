/* What a commit of the metadata quorum costs: one voter, then three, each on a thread and a
 * directory of its own, over loopback. Commands of 100 bytes, a fixed number of them under way. */
#include "proto/frame/listener.h"
#include "proto/sys/check.h"
#include "proto/sys/host/host_disk.h"
#include "proto/sys/host/host_loop.h"
#include "raft/peer_transport.h"
#include "raft/quorum.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_BYTES 100U
#define WINDOW_MAX 512U
#define ROUND_NS (2 * CLOCK_NS_PER_S)
#define SAMPLES_MAX 2000000U

struct voter {
    struct host_loop loop;
    struct budget budget;
    struct listener *listener;
    struct quorum_peers *peers;
    struct quorum *quorum;
    struct quorum_fsm fsm;
};

struct flight {
    struct quorum_proposal proposal;
    int64_t begun_ns;
};

static struct host_disk disk;
static struct voter voters[3];
static uint32_t voter_count;

/* The run, on the leader's loop. */
static struct voter *leader;
static struct flight flights[WINDOW_MAX];
static uint8_t command[COMMAND_BYTES];
static const uint32_t windows[] = {1, 8, 32, 128, 512};
static uint32_t round_number;
static int64_t round_begun_ns;
static double *samples;
static uint32_t sample_count;
static uint32_t flight_count;

static void apply(struct quorum_fsm *fsm, uint64_t index, int64_t term, const void *bytes,
                  size_t byte_count)
{
    (void)fsm;
    (void)index;
    (void)term;
    (void)bytes;
    (void)byte_count;
}

static enum status snapshot(struct quorum_fsm *fsm, void **out_bytes, size_t *out_byte_count)
{
    (void)fsm;
    *out_bytes = calloc(1, 8);
    *out_byte_count = 8;
    return STATUS_OK;
}

static enum status restore(struct quorum_fsm *fsm, uint64_t index, const void *bytes,
                           size_t byte_count)
{
    (void)fsm;
    (void)index;
    (void)bytes;
    (void)byte_count;
    return STATUS_OK;
}

static const struct quorum_fsm_ops ops = {.apply = apply, .snapshot = snapshot, .restore = restore};

static int compare(const void *left, const void *right)
{
    const double *a = left;
    const double *b = right;
    return *a < *b ? -1 : *a > *b;
}

static void begin_round(void);

static void end_round(void)
{
    double seconds = (double)(loop_now_ns(&leader->loop.loop) - round_begun_ns) / CLOCK_NS_PER_S;
    qsort(samples, sample_count, sizeof *samples, compare);
    (void)printf("  %u voters, %3u under way: %7.0f commits/s  p50 %6.0f us  p99 %6.0f us\n",
                 voter_count, windows[round_number], sample_count / seconds,
                 samples[sample_count / 2], samples[(size_t)sample_count * 99 / 100]);
    round_number += 1;
    if (round_number == sizeof windows / sizeof windows[0]) {
        for (uint32_t i = 0; i < voter_count; i++) {
            host_loop_stop(&voters[i].loop);
        }
        return;
    }
    begin_round();
}

static void propose(struct flight *flight);

static void on_done(struct quorum_proposal *proposal, enum status status)
{
    struct flight *flight = container_of(proposal, struct flight, proposal);
    check(status == STATUS_OK);
    int64_t now_ns = loop_now_ns(&leader->loop.loop);
    if (sample_count < SAMPLES_MAX) {
        samples[sample_count] = (double)(now_ns - flight->begun_ns) / 1000;
        sample_count += 1;
    }
    if (now_ns - round_begun_ns < ROUND_NS) {
        propose(flight);
        return;
    }
    flight_count -= 1;
    if (flight_count == 0) {
        end_round();
    }
}

static void propose(struct flight *flight)
{
    flight->begun_ns = loop_now_ns(&leader->loop.loop);
    flight->proposal = (struct quorum_proposal){
        .bytes = command, .byte_count = sizeof command, .on_done = on_done};
    quorum_propose(leader->quorum, &flight->proposal);
}

static void begin_round(void)
{
    sample_count = 0;
    flight_count = windows[round_number];
    round_begun_ns = loop_now_ns(&leader->loop.loop);
    for (uint32_t i = 0; i < windows[round_number]; i++) {
        propose(&flights[i]);
    }
}

static void on_leadership(void *context, bool is_ready, int64_t term)
{
    (void)term;
    check(is_ready); /* A figure of a run that changed its leader would mean nothing. */
    leader = context;
    begin_round();
}

static void on_fatal(void *context, enum status why)
{
    (void)context;
    (void)fprintf(stderr, "fatal: %s\n", status_text(why));
    abort();
}

static void on_frame(struct connection *connection, struct frame *frame, struct ticket *ticket)
{
    struct voter *self = connection_context(connection);
    connection_forget(ticket);
    peer_transport_receive(self->peers, frame->bytes, frame->byte_count);
    frame_unref(frame);
}

static void on_connection_closed(struct connection *connection)
{
    (void)connection;
}

static void voter_listen(struct voter *self)
{
    check(host_loop_init(&self->loop, &(struct host_loop_options){
                                          .name = "quorum", .disk = &disk.disk}) == STATUS_OK);
    budget_init(&self->budget, (size_t)1 << 30);
    struct connection_options shard = {.loop = &self->loop.loop,
                                       .budget = &self->budget,
                                       .frame_bytes_max = CONNECTION_FRAME_BYTES_MAX_DEFAULT,
                                       .on_frame = on_frame,
                                       .on_closed = on_connection_closed,
                                       .context = self};
    struct listener_options listen = {.loop = &self->loop.loop,
                                      .address = {.host = "127.0.0.1"},
                                      .shards = &shard,
                                      .shard_count = 1,
                                      .connection_count_max = 100};
    check(listener_open(&listen, &self->listener) == STATUS_OK);
}

static void voter_open(struct voter *self, const struct quorum_voter *addresses,
                       const char *directory)
{
    int32_t node_id = (int32_t)(self - voters) + 1;
    struct peer_transport_options transport = {
        .loop = &self->loop.loop, .node_id = node_id, .voter_count = voter_count};
    memcpy(transport.voters, addresses, sizeof transport.voters);
    check(peer_transport_open(&transport, &self->peers) == STATUS_OK);
    self->fsm.ops = &ops;
    struct quorum_options options = {.loop = &self->loop.loop,
                                     .directory = directory,
                                     .node_id = node_id,
                                     .voter_count = voter_count,
                                     .fsm = &self->fsm,
                                     .peers = self->peers,
                                     .on_leadership = on_leadership,
                                     .on_fatal = on_fatal,
                                     .context = self};
    memcpy(options.voters, addresses, sizeof options.voters);
    check(quorum_open(&options, &self->quorum) == STATUS_OK);
}

static void run(uint32_t count, const char *directory)
{
    struct quorum_voter addresses[QUORUM_VOTERS_MAX] = {0};
    voter_count = count;
    round_number = 0;
    memset(voters, 0, sizeof voters);
    for (uint32_t i = 0; i < count; i++) {
        voter_listen(&voters[i]);
        addresses[i].node_id = (int32_t)i + 1;
        addresses[i].address.port = listener_port(voters[i].listener);
        (void)snprintf(addresses[i].address.host, sizeof addresses[i].address.host, "127.0.0.1");
    }
    for (uint32_t i = 0; i < count; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s/%u-%u", directory, count, i + 1);
        voter_open(&voters[i], addresses, path);
    }
    for (uint32_t i = 0; i < count; i++) {
        check(host_loop_start(&voters[i].loop) == STATUS_OK);
    }
    for (uint32_t i = 0; i < count; i++) {
        host_loop_join(&voters[i].loop);
    }
}

/* `bench_quorum DIRECTORY`: an empty one, which is left as it is. The process ends without closing
 * anything: that is what a quorum is made for. */
int main(int argument_count, char **arguments)
{
    if (argument_count != 2) {
        (void)fprintf(stderr, "usage: bench_quorum EMPTY-DIRECTORY\n");
        return 2;
    }
    samples = calloc(SAMPLES_MAX, sizeof *samples);
    check(samples != NULL);
    host_disk_init(&disk, &(struct host_disk_options){0});
    run(1, arguments[1]);
    run(3, arguments[1]);
    (void)fflush(stdout);
    _Exit(0);
}
