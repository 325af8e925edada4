/* Goal: nothing that threads share is touched without order between them.
 * Method: a plain program, because criterion does not start under ThreadSanitizer (build with
 * -Db_sanitize=thread): threads post to a running loop, a letter goes to and fro between two loops,
 * and two loops keep a lane each busy. It also runs, and must pass, without the sanitizer. */
#include "proto/sys/check.h"
#include "proto/sys/host/host_disk.h"
#include "proto/sys/host/host_loop.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOP_COUNT 2U
#define SENDER_COUNT 3U
#define LETTER_COUNT 5000U
#define HOP_COUNT 5000U
#define WRITE_COUNT 300U
#define WRITE_DEPTH 4U

struct letter {
    struct mail mail;
    uint32_t sender;
    uint32_t number;
};

struct write_job {
    struct disk_request request;
    struct disk_buffer buffer;
    struct side *side;
    char bytes[64];
};

/* A loop, its lane, and what must have happened before it may stop. */
struct side {
    struct host_loop loop;
    struct mail begin;
    struct mail hop; /* The one letter that both sides share, on the first side. */
    struct disk_lane *lane;
    struct disk_file *file;
    struct write_job jobs[WRITE_DEPTH];
    uint32_t submitted_count;
    uint32_t written_count;
    uint32_t next_number[SENDER_COUNT];
    uint32_t letter_count;
    bool has_all_hops;
};

static struct host_disk disk;
static struct side sides[LOOP_COUNT];
static uint32_t hop_count; /* Of the loop that holds the letter. */

static void stop_when_all_is_done(struct side *side)
{
    if (side->written_count == WRITE_COUNT && side->letter_count == SENDER_COUNT * LETTER_COUNT &&
        side->has_all_hops) {
        disk_lane_close(&disk.disk, side->lane);
        host_loop_stop(&side->loop);
    }
}

static struct side *side_of_current_hop(void)
{
    return &sides[hop_count % LOOP_COUNT];
}

static void hop(struct mail *mail)
{
    struct side *side = side_of_current_hop();
    hop_count += 1;
    if (hop_count >= HOP_COUNT) {
        side->has_all_hops = true;
        stop_when_all_is_done(side);
    }
    if (hop_count < HOP_COUNT + LOOP_COUNT - 1) {
        mailbox_post(&side_of_current_hop()->loop.loop.mailbox, mail);
    }
}

static void write_on_done(struct disk_request *request)
{
    struct write_job *job = container_of(request, struct write_job, request);
    struct side *side = job->side;
    check(request->status == STATUS_OK);
    side->written_count += 1;
    if (side->submitted_count < WRITE_COUNT) {
        side->submitted_count += 1;
        request->position += sizeof job->bytes;
        job->bytes[0] += 1;
        disk_submit(&disk.disk, side->lane, request);
    }
    stop_when_all_is_done(side);
}

static void begin(struct mail *mail)
{
    struct side *side = container_of(mail, struct side, begin);
    check(disk_lane_open(&disk.disk, &side->loop.loop, "lane", &side->lane) == STATUS_OK);
    for (uint32_t i = 0; i < WRITE_DEPTH; i++) {
        struct write_job *job = &side->jobs[i];
        job->side = side;
        job->buffer = (struct disk_buffer){.base = job->bytes, .byte_count = sizeof job->bytes};
        job->request = (struct disk_request){.kind = i % 2 == 0 ? DISK_WRITE : DISK_WRITE_DURABLE,
                                             .file = side->file,
                                             .buffers = &job->buffer,
                                             .buffer_count = 1,
                                             .on_done = write_on_done};
        side->submitted_count += 1;
        disk_submit(&disk.disk, side->lane, &job->request);
    }
}

static void take_letter(struct side *side, struct mail *mail)
{
    struct letter *letter = container_of(mail, struct letter, mail);
    check(letter->number == side->next_number[letter->sender]);
    side->next_number[letter->sender] += 1;
    side->letter_count += 1;
    free(letter);
    stop_when_all_is_done(side);
}

static void take_on_first(struct mail *mail)
{
    take_letter(&sides[0], mail);
}

static void take_on_second(struct mail *mail)
{
    take_letter(&sides[1], mail);
}

static void *send_letters(void *context)
{
    const uint32_t *sender = context;
    for (uint32_t i = 0; i < LETTER_COUNT * LOOP_COUNT; i++) {
        struct letter *letter = malloc(sizeof *letter);
        check(letter != NULL);
        *letter = (struct letter){.sender = *sender, .number = i / LOOP_COUNT};
        letter->mail.deliver = i % LOOP_COUNT == 0 ? take_on_first : take_on_second;
        mailbox_post(&sides[i % LOOP_COUNT].loop.loop.mailbox, &letter->mail);
    }
    return NULL;
}

static void open_side(struct side *side)
{
    char path[] = "/tmp/millrace-race-XXXXXX";
    int fd = mkstemp(path);
    check(fd >= 0);
    check(close(fd) == 0);
    check(host_loop_init(&side->loop, &(struct host_loop_options){
                                          .name = "side", .disk = &disk.disk}) == STATUS_OK);
    check(disk_open(&disk.disk, path, DISK_OPEN_WRITE, &side->file) == STATUS_OK);
    check(unlink(path) == 0);
    side->begin.deliver = begin;
    mailbox_post(&side->loop.loop.mailbox, &side->begin);
    check(host_loop_start(&side->loop) == STATUS_OK);
}

int main(void)
{
    pthread_t threads[SENDER_COUNT];
    uint32_t senders[SENDER_COUNT] = {0, 1, 2};
    host_disk_init(&disk, &(struct host_disk_options){.trace = NULL});
    for (uint32_t i = 0; i < LOOP_COUNT; i++) {
        open_side(&sides[i]);
    }
    sides[0].hop.deliver = hop;
    mailbox_post(&sides[0].loop.loop.mailbox, &sides[0].hop);
    for (uint32_t i = 0; i < SENDER_COUNT; i++) {
        check(pthread_create(&threads[i], NULL, send_letters, &senders[i]) == 0);
    }
    for (uint32_t i = 0; i < SENDER_COUNT; i++) {
        check(pthread_join(threads[i], NULL) == 0);
    }
    for (uint32_t i = 0; i < LOOP_COUNT; i++) {
        host_loop_join(&sides[i].loop);
        disk_file_close(&disk.disk, sides[i].file);
        host_loop_done(&sides[i].loop);
    }
    (void)printf("%u hops, %u letters, %u writes each\n", hop_count, sides[0].letter_count,
                 sides[0].written_count);
    return 0;
}
