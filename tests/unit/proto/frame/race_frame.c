/* Goal: connections on two loops, frames that travel between them and a listener that closes while
 * they are busy touch nothing without order.
 * Method: a plain program for ThreadSanitizer (see race_host.c): real loopback clients; each frame
 * is looked at by the other loop, which drops it last, while its own loop answers. */
#include "proto/frame/listener.h"
#include "proto/sys/check.h"
#include "proto/sys/host/host_loop.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOP_COUNT 2U
#define CLIENT_COUNT 4U
#define REQUEST_COUNT 400U
#define FRAME_BYTES 3000U

struct job {
    struct mail mail;
    struct answer answer;
    struct wire_slice slice;
    struct frame *frame;
    struct ticket *ticket;
    struct host_loop *home;
    uint8_t sum[1];
};

static struct host_loop loops[LOOP_COUNT];
static struct budget budget;
static struct listener *listener;
static struct mail close_letter;
static _Atomic uint32_t finished_count;

static void job_on_sent(struct answer *answer)
{
    free(container_of(answer, struct job, answer));
}

static void job_answer_at_home(struct mail *mail)
{
    struct job *job = container_of(mail, struct job, mail);
    job->slice = (struct wire_slice){.base = job->sum, .byte_count = 1};
    job->answer = (struct answer){.slices = &job->slice, .slice_count = 1, .on_sent = job_on_sent};
    connection_answer(job->ticket, &job->answer);
}

static void job_sum_abroad(struct mail *mail)
{
    struct job *job = container_of(mail, struct job, mail);
    for (size_t i = 0; i < job->frame->byte_count; i++) {
        job->sum[0] = (uint8_t)(job->sum[0] + job->frame->bytes[i]);
    }
    frame_unref(job->frame);
    job->mail.deliver = job_answer_at_home;
    mailbox_post(&job->home->loop.mailbox, &job->mail);
}

static void handle_frame(struct connection *connection, struct frame *frame, struct ticket *ticket)
{
    struct job *job = calloc(1, sizeof *job);
    check(job != NULL);
    job->home = connection_context(connection);
    job->frame = frame_ref(frame);
    job->ticket = ticket;
    job->mail.deliver = job_sum_abroad;
    struct host_loop *other = job->home == &loops[0] ? &loops[1] : &loops[0];
    mailbox_post(&other->loop.mailbox, &job->mail);
    frame_unref(frame);
}

static void stop_all(void *context)
{
    (void)context;
    for (uint32_t i = 0; i < LOOP_COUNT; i++) {
        host_loop_stop(&loops[i]);
    }
}

static void close_on_first(struct mail *mail)
{
    (void)mail;
    listener_close(listener, stop_all, NULL);
}

static void read_whole(int fd, uint8_t *bytes, size_t byte_count)
{
    for (size_t done = 0; done < byte_count;) {
        ssize_t count = read(fd, bytes + done, byte_count - done);
        check(count > 0);
        done += (size_t)count;
    }
}

static void *run_client(void *context)
{
    const uint16_t *port = context;
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    uint8_t request[2 * (4 + FRAME_BYTES)];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0);
    check(connect(fd, (struct sockaddr *)&name, sizeof name) == 0);
    for (uint32_t i = 0; i < REQUEST_COUNT; i++) {
        uint32_t size = htonl(FRAME_BYTES);
        memset(request, (int)(i & 0xff), sizeof request);
        memcpy(request, &size, 4);
        memcpy(request + 4 + FRAME_BYTES, &size, 4);
        check(write(fd, request, sizeof request) == (ssize_t)sizeof request);
        for (int answer_index = 0; answer_index < 2; answer_index++) {
            uint8_t answer[5];
            read_whole(fd, answer, sizeof answer);
            check(memcmp(answer, "\0\0\0\1", 4) == 0);
            check(answer[4] == (uint8_t)(i * FRAME_BYTES));
        }
    }
    /* Half of a frame is left over when the listener closes, which the last client asks for. */
    check(write(fd, request, 1000) == 1000);
    if (atomic_fetch_add(&finished_count, 1) + 1 == CLIENT_COUNT) {
        close_letter.deliver = close_on_first;
        mailbox_post(&loops[0].loop.mailbox, &close_letter);
    }
    uint8_t end = 0;
    check(read(fd, &end, 1) <= 0);
    check(close(fd) == 0);
    return NULL;
}

static void open_all(void)
{
    struct connection_options shards[LOOP_COUNT];
    memset(shards, 0, sizeof shards);
    budget_init(&budget, (size_t)64 << 20);
    for (uint32_t i = 0; i < LOOP_COUNT; i++) {
        check(host_loop_init(&loops[i], &(struct host_loop_options){.name = "shard"}) == STATUS_OK);
        shards[i] = (struct connection_options){.loop = &loops[i].loop,
                                                .budget = &budget,
                                                .frame_bytes_max = FRAME_BYTES,
                                                .on_frame = handle_frame,
                                                .context = &loops[i]};
    }
    check(listener_open(&(struct listener_options){.loop = &loops[0].loop,
                                                   .address = {.host = "127.0.0.1"},
                                                   .shards = shards,
                                                   .shard_count = LOOP_COUNT,
                                                   .connection_count_max = 100},
                        &listener) == STATUS_OK);
}

int main(void)
{
    pthread_t clients[CLIENT_COUNT];
    open_all();
    uint16_t port = listener_port(listener);
    for (uint32_t i = 0; i < LOOP_COUNT; i++) {
        check(host_loop_start(&loops[i]) == STATUS_OK);
    }
    for (uint32_t i = 0; i < CLIENT_COUNT; i++) {
        check(pthread_create(&clients[i], NULL, run_client, &port) == 0);
    }
    for (uint32_t i = 0; i < CLIENT_COUNT; i++) {
        check(pthread_join(clients[i], NULL) == 0);
    }
    for (uint32_t i = 0; i < LOOP_COUNT; i++) {
        host_loop_join(&loops[i]);
        host_loop_done(&loops[i]);
    }
    check(budget_taken_bytes(&budget) == 0);
    (void)printf("%u requests\n", CLIENT_COUNT * REQUEST_COUNT * 2);
    return 0;
}
