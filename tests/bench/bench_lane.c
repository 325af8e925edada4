/* What a durable write costs through a lane, beside the same write called in place, and what a
 * letter between two loops costs.
 *
 * The file is written once before, so that a write changes no metadata. The bare call is pwrite on
 * O_DIRECT | O_DSYNC; both write the same blocks in turn, so that the disk's mood is the same. */
#include "proto/sys/check.h"
#include "proto/sys/host/host_disk.h"
#include "proto/sys/host/host_loop.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITE_COUNT 1000U
#define FILE_BYTES ((size_t)16 << 20)
#define HOP_COUNT 20000U

static struct host_disk disk;
static struct host_loop loop;
static struct host_loop other;
static struct disk_lane *lane;
static struct disk_file *file;
static struct disk_request request;
static struct disk_buffer buffer;
static void *block;
static int bare_fd;
static size_t write_bytes;
static uint32_t write_count;
static int64_t submitted_ns;
static double lane_us[WRITE_COUNT];
static double bare_us[WRITE_COUNT];

static int compare(const void *left, const void *right)
{
    const double *a = left;
    const double *b = right;
    return *a < *b ? -1 : *a > *b;
}

static void print_row(const char *name, double *figures)
{
    qsort(figures, WRITE_COUNT, sizeof figures[0], compare);
    (void)printf("  %-34s p50 %7.0f us  p90 %7.0f us  p99 %7.0f us\n", name,
                 figures[WRITE_COUNT / 2], figures[WRITE_COUNT * 9 / 10],
                 figures[WRITE_COUNT * 99 / 100]);
}

static void write_next(void)
{
    uint64_t position = (uint64_t)write_count * write_bytes % FILE_BYTES;
    int64_t start_ns = loop_now_ns(&loop.loop);
    check(pwrite(bare_fd, block, write_bytes, (off_t)position) == (ssize_t)write_bytes);
    submitted_ns = loop_now_ns(&loop.loop);
    bare_us[write_count] = (double)(submitted_ns - start_ns) / 1000;
    request.position = position;
    disk_submit(&disk.disk, lane, &request);
}

static void write_on_done(struct disk_request *done)
{
    check(done->status == STATUS_OK);
    lane_us[write_count] = (double)(loop_now_ns(&loop.loop) - submitted_ns) / 1000;
    write_count += 1;
    if (write_count < WRITE_COUNT) {
        write_next();
    } else {
        host_loop_stop(&loop);
    }
}

static void run_writes(const char *lane_name, size_t byte_count)
{
    check(disk_lane_open(&disk.disk, &loop.loop, lane_name, &lane) == STATUS_OK);
    write_bytes = byte_count;
    write_count = 0;
    buffer = (struct disk_buffer){.base = block, .byte_count = byte_count};
    request = (struct disk_request){.kind = DISK_WRITE_DURABLE,
                                    .file = file,
                                    .buffers = &buffer,
                                    .buffer_count = 1,
                                    .on_done = write_on_done};
    write_next();
    host_loop_run(&loop);
    disk_lane_close(&disk.disk, lane);
    (void)printf("durable write of %zu KiB, lane \"%s\"\n", byte_count >> 10, lane_name);
    print_row("pwrite, O_DIRECT | O_DSYNC", bare_us);
    print_row("lane, submit to on_done", lane_us);
}

static uint32_t hop_count;

static void hop(struct mail *letter)
{
    hop_count += 1;
    if (hop_count == HOP_COUNT) {
        host_loop_stop(&loop);
        host_loop_stop(&other);
        return;
    }
    mailbox_post(hop_count % 2 == 0 ? &loop.loop.mailbox : &other.loop.mailbox, letter);
}

static void run_hops(void)
{
    struct mail letter = {.deliver = hop};
    check(host_loop_init(&other, &(struct host_loop_options){.name = "other"}) == STATUS_OK);
    check(host_loop_start(&other) == STATUS_OK);
    int64_t start_ns = loop_now_ns(&loop.loop);
    mailbox_post(&loop.loop.mailbox, &letter);
    host_loop_run(&loop);
    int64_t end_ns = loop_now_ns(&loop.loop);
    host_loop_join(&other);
    host_loop_done(&other);
    (void)printf("letter between two loops: %.1f us each\n",
                 (double)(end_ns - start_ns) / HOP_COUNT / 1000);
}

int main(int argument_count, char **arguments)
{
    const char *path = argument_count > 1 ? arguments[1] : "bench_lane.file";
    const char *const realtime_lanes[] = {"journal", NULL};
    host_disk_init(&disk, &(struct host_disk_options){.realtime_lanes = realtime_lanes});
    check(host_loop_init(&loop, &(struct host_loop_options){.name = "bench", .disk = &disk.disk}) ==
          STATUS_OK);
    check(posix_memalign(&block, DISK_BLOCK_BYTES, 1 << 20) == 0);
    memset(block, 'x', 1 << 20);
    check(disk_open(&disk.disk, path, DISK_OPEN_WRITE | DISK_OPEN_CREATE | DISK_OPEN_DIRECT,
                    &file) == STATUS_OK);
    for (size_t at = 0; at < FILE_BYTES; at += 1 << 20) {
        check(disk_file_write(&disk.disk, file, at, block, 1 << 20) == STATUS_OK);
    }
    check(disk_file_sync(&disk.disk, file) == STATUS_OK);
    bare_fd = open(path, O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
    check(bare_fd >= 0);
    (void)printf("direct: %s\n", disk_file_is_direct(&disk.disk, file) ? "yes" : "no");
    run_writes("plain", 4096);
    run_writes("journal", 4096);
    run_writes("journal", 65536);
    run_hops();
    check(close(bare_fd) == 0);
    disk_file_close(&disk.disk, file);
    check(unlink(path) == 0);
    host_loop_done(&loop);
    free(block);
    return 0;
}
