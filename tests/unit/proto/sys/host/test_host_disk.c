/* Goal: files and lanes of the machine behave as disk.h says.
 * Method: real files in a temporary directory; failures that root can provoke too (size limits,
 * missing names, /dev/full). What survives a power cut is the simulator's subject. */
#include "tests/unit/proto/sys/host/host_rig.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct host_rig rig;
static struct disk *disk;

static void set_up(void)
{
    host_rig_init(&rig);
    disk = &rig.disk.disk;
}

static void tear_down(void)
{
    host_rig_done(&rig);
}

TestSuite(host_disk, .init = set_up);

static struct disk_file *open_file(const char *name, unsigned flags)
{
    struct disk_file *file = NULL;
    cr_assert_eq(disk_open(disk, host_rig_path(&rig, name), flags, &file), STATUS_OK);
    return file;
}

static enum status try_open(const char *path, unsigned flags)
{
    struct disk_file *file = NULL;
    enum status status = disk_open(disk, path, flags, &file);
    disk_file_close(disk, file);
    return status;
}

Test(host_disk, bytes_written_are_read_back_up_to_the_end_of_the_file)
{
    struct disk_file *file = open_file("f", DISK_OPEN_WRITE | DISK_OPEN_CREATE);
    char bytes[16] = {0};
    size_t byte_count = 0;

    cr_expect_eq(disk_file_write(disk, file, 3, "hello", 5), STATUS_OK);
    cr_expect_eq(disk_file_read(disk, file, 0, bytes, sizeof bytes, &byte_count), STATUS_OK);

    cr_expect_eq(byte_count, 8);
    cr_expect_arr_eq(bytes, "\0\0\0hello", 8);
    uint64_t size = 0;
    cr_expect_eq(disk_file_size(disk, file, &size), STATUS_OK);
    cr_expect_eq(size, 8);
    cr_expect_eq(disk_file_sync(disk, file), STATUS_OK);
    disk_file_close(disk, file);
    tear_down();
}

Test(host_disk, open_obeys_its_flags)
{
    const char *path = host_rig_path(&rig, "f");

    cr_expect_eq(try_open(path, DISK_OPEN_READ), STATUS_NOT_FOUND);
    cr_expect_eq(try_open(path, DISK_OPEN_WRITE), STATUS_NOT_FOUND);
    cr_expect_eq(try_open(path, DISK_OPEN_WRITE | DISK_OPEN_CREATE | DISK_OPEN_EXCLUSIVE),
                 STATUS_OK);
    cr_expect_eq(try_open(path, DISK_OPEN_WRITE | DISK_OPEN_CREATE | DISK_OPEN_EXCLUSIVE),
                 STATUS_EXISTS);
    cr_expect_eq(try_open(path, DISK_OPEN_WRITE | DISK_OPEN_CREATE), STATUS_OK);
    cr_expect_eq(try_open(host_rig_path(&rig, "no/f"), DISK_OPEN_WRITE | DISK_OPEN_CREATE),
                 STATUS_NOT_FOUND);
    char overlong[DISK_PATH_BYTES_MAX + 1];
    memset(overlong, 'x', sizeof overlong - 1);
    overlong[sizeof overlong - 1] = '\0';
    cr_expect_eq(try_open(overlong, DISK_OPEN_READ), STATUS_INVALID);
    tear_down();
}

Test(host_disk, file_opened_for_reading_refuses_writes)
{
    disk_file_close(disk, open_file("f", DISK_OPEN_WRITE | DISK_OPEN_CREATE));
    struct disk_file *file = open_file("f", DISK_OPEN_READ);

    cr_expect_eq(disk_file_write(disk, file, 0, "x", 1), STATUS_IO);

    disk_file_close(disk, file);
    tear_down();
}

Test(host_disk, truncate_and_allocate_set_the_size_and_keep_the_bytes)
{
    struct disk_file *file = open_file("f", DISK_OPEN_WRITE | DISK_OPEN_CREATE);
    uint64_t size = 0;
    char bytes[8] = {0};
    size_t byte_count = 0;
    cr_assert_eq(disk_file_write(disk, file, 0, "abcdef", 6), STATUS_OK);

    cr_expect_eq(disk_file_truncate(disk, file, 3), STATUS_OK);
    cr_expect_eq(disk_file_allocate(disk, file, 0, 100000), STATUS_OK);

    cr_expect_eq(disk_file_size(disk, file, &size), STATUS_OK);
    cr_expect_eq(size, 100000);
    cr_expect_eq(disk_file_read(disk, file, 0, bytes, 8, &byte_count), STATUS_OK);
    cr_expect_arr_eq(bytes, "abc\0\0\0\0\0", 8);
    cr_expect_eq(disk_file_allocate(disk, file, 0, 10), STATUS_OK);
    cr_expect_eq(disk_file_size(disk, file, &size), STATUS_OK);
    cr_expect_eq(size, 100000, "allocating never shrinks");
    disk_file_close(disk, file);
    tear_down();
}

Test(host_disk, full_device_is_no_space)
{
    struct disk_file *file = NULL;
    cr_assert_eq(disk_open(disk, "/dev/full", DISK_OPEN_WRITE, &file), STATUS_OK);

    cr_expect_eq(disk_file_write(disk, file, 0, "x", 1), STATUS_NO_SPACE);

    disk_file_close(disk, file);
    tear_down();
}

Test(host_disk, write_that_the_system_cuts_short_is_an_error)
{
    struct disk_file *file = open_file("f", DISK_OPEN_WRITE | DISK_OPEN_CREATE);
    static const char bytes[8192];
    const struct rlimit limit = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};
    cr_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);

    cr_expect_eq(disk_file_write(disk, file, 0, bytes, sizeof bytes), STATUS_IO);

    disk_file_close(disk, file);
    tear_down();
}

Test(host_disk, directories_are_made_renamed_listed_and_removed)
{
    cr_expect_eq(disk_make_directory(disk, host_rig_path(&rig, "d")), STATUS_OK);
    cr_expect_eq(disk_make_directory(disk, host_rig_path(&rig, "d")), STATUS_OK);
    disk_file_close(disk, open_file("f", DISK_OPEN_WRITE | DISK_OPEN_CREATE));
    cr_expect_eq(disk_make_directory(disk, host_rig_path(&rig, "f")), STATUS_EXISTS);
    cr_expect_eq(disk_sync_directory(disk, host_rig_path(&rig, "d")), STATUS_OK);
    cr_expect_eq(disk_sync_directory(disk, host_rig_path(&rig, "no")), STATUS_NOT_FOUND);

    cr_expect_eq(disk_rename(disk, host_rig_path(&rig, "f"), host_rig_path(&rig, "d/g")),
                 STATUS_OK);

    cr_expect_eq(disk_rename(disk, host_rig_path(&rig, "f"), host_rig_path(&rig, "d/g")),
                 STATUS_NOT_FOUND);
    cr_expect_eq(disk_remove(disk, host_rig_path(&rig, "d")), STATUS_IO, "it is not empty");
    cr_expect_eq(disk_remove(disk, host_rig_path(&rig, "d/g")), STATUS_OK);
    cr_expect_eq(disk_remove(disk, host_rig_path(&rig, "d")), STATUS_OK);
    cr_expect_eq(disk_remove(disk, host_rig_path(&rig, "d")), STATUS_NOT_FOUND);
    tear_down();
}

static char listed[256];

static void note_entry(void *context, const char *name, bool is_directory)
{
    cr_assert_eq(context, &rig);
    size_t length = strlen(listed);
    (void)snprintf(listed + length, sizeof listed - length, "%s%s ", name, is_directory ? "/" : "");
}

Test(host_disk, entries_are_listed_in_byte_order)
{
    const char *const names[] = {"b", "a", "B", "_", "10", "9"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        disk_file_close(disk, open_file(names[i], DISK_OPEN_WRITE | DISK_OPEN_CREATE));
    }
    cr_assert_eq(disk_make_directory(disk, host_rig_path(&rig, "Z")), STATUS_OK);

    cr_expect_eq(disk_list(disk, rig.directory, note_entry, &rig), STATUS_OK);

    cr_expect_str_eq(listed, "10 9 B Z/ _ a b ");
    cr_expect_eq(disk_list(disk, host_rig_path(&rig, "no"), note_entry, &rig), STATUS_NOT_FOUND);
    tear_down();
}

Test(host_disk, space_is_told)
{
    struct disk_space space = {0};

    cr_expect_eq(disk_space_of(disk, rig.directory, &space), STATUS_OK);

    cr_expect_gt(space.total_bytes, 0);
    cr_expect_leq(space.free_bytes, space.total_bytes);
    tear_down();
}

Test(host_disk, small_file_is_replaced_and_read_as_a_whole)
{
    uint8_t *bytes = NULL;
    size_t byte_count = 0;

    cr_expect_eq(disk_replace_file(disk, rig.directory, "vote", "a longer first one", 18),
                 STATUS_OK);
    cr_expect_eq(disk_replace_file(disk, rig.directory, "vote", "second", 6), STATUS_OK);

    cr_assert_eq(disk_read_file(disk, host_rig_path(&rig, "vote"), 100, &bytes, &byte_count),
                 STATUS_OK);
    cr_expect_eq(byte_count, 6);
    cr_expect_arr_eq(bytes, "second", 6);
    free(bytes);
    cr_expect_eq(disk_list(disk, rig.directory, note_entry, &rig), STATUS_OK);
    cr_expect_str_eq(listed, "vote ", "no temporary file is left");
    cr_expect_eq(disk_read_file(disk, host_rig_path(&rig, "none"), 100, &bytes, &byte_count),
                 STATUS_NOT_FOUND);
    tear_down();
}

static int told_count;

static void count_line(struct trace *self, enum trace_level level, const char *line,
                       size_t byte_count)
{
    (void)self;
    (void)byte_count;
    cr_expect_eq(level, TRACE_WARN);
    cr_expect_not_null(strstr(line, "direct_refused"));
    told_count += 1;
}

Test(host_disk, file_without_direct_support_is_buffered_and_told_once)
{
    struct trace trace = {.level = TRACE_INFO, .write_line = count_line};
    rig.disk.trace = &trace;
    for (int i = 0; i < 2; i++) {
        /* One of the kernel's own files. */
        struct disk_file *file = NULL;
        cr_assert_eq(disk_open(disk, "/proc/self/comm", DISK_OPEN_WRITE | DISK_OPEN_DIRECT, &file),
                     STATUS_OK);
        cr_expect_not(disk_file_is_direct(disk, file));
        disk_file_close(disk, file);
    }

    cr_expect_eq(told_count, 1);
    tear_down();
}

struct job {
    struct disk_request request;
    struct disk_buffer buffers[3];
    int index;
};

static struct disk_lane *lane;
static int done_order[64];
static int done_count;
static int awaited_count;

static void note_done(struct disk_request *request)
{
    done_order[done_count] = container_of(request, struct job, request)->index;
    done_count += 1;
    if (done_count == awaited_count) {
        host_rig_finish(&rig);
    }
}

static void submit(struct job *job, enum disk_request_kind kind, struct disk_file *file)
{
    job->request.kind = kind;
    job->request.file = file;
    job->request.buffers = job->buffers;
    job->request.on_done = note_done;
    disk_submit(disk, lane, &job->request);
}

static void open_lane(const char *name)
{
    cr_assert_eq(disk_lane_open(disk, &rig.loop.loop, name, &lane), STATUS_OK);
}

Test(host_disk, lane_runs_requests_in_order_and_answers_on_the_loop)
{
    char written[6] = "abcdef";
    char read[2][6] = {{0}};
    struct disk_file *file = open_file("f", DISK_OPEN_WRITE | DISK_OPEN_CREATE);
    struct job jobs[5];
    memset(jobs, 0, sizeof jobs);
    for (int i = 0; i < 5; i++) {
        jobs[i].index = i;
        jobs[i].request.buffer_count = 2;
        jobs[i].buffers[0] = (struct disk_buffer){.base = written, .byte_count = 2};
        jobs[i].buffers[1] = (struct disk_buffer){.base = written + 2, .byte_count = 4};
    }
    jobs[2].request.position = 3;
    jobs[4].request.position = 5;
    jobs[4].buffers[0] = (struct disk_buffer){.base = read[0], .byte_count = 3};
    jobs[4].buffers[1] = (struct disk_buffer){.base = read[1], .byte_count = 6};
    awaited_count = 5;
    open_lane("lane");

    submit(&jobs[0], DISK_WRITE, file);
    submit(&jobs[1], DISK_SYNC, file);
    submit(&jobs[2], DISK_WRITE_DURABLE, file);
    submit(&jobs[3], DISK_SYNC, file);
    submit(&jobs[4], DISK_READ, file);
    cr_expect_eq(done_count, 0, "never from inside the call");
    host_rig_run(&rig);

    cr_expect_arr_eq(done_order, ((int[]){0, 1, 2, 3, 4}), 5 * sizeof done_order[0]);
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(jobs[i].request.status, STATUS_OK);
    }
    cr_expect_eq(jobs[4].request.byte_count, 4, "abcabcdef from 5 on");
    cr_expect_arr_eq(read[0], "cde", 3);
    cr_expect_arr_eq(read[1], "f\0\0\0\0\0", 6);
    cr_expect_eq(jobs[0].buffers[0].byte_count, 2, "buffers stay as they were");
    disk_lane_close(disk, lane);
    disk_file_close(disk, file);
    tear_down();
}

Test(host_disk, closing_a_lane_runs_what_is_queued_first)
{
    char bytes[4096] = {0};
    struct disk_file *file = open_file("f", DISK_OPEN_WRITE | DISK_OPEN_CREATE);
    static struct job jobs[32];
    awaited_count = 1000;
    open_lane("lane");

    for (int i = 0; i < 32; i++) {
        jobs[i] =
            (struct job){.request = {.position = (uint64_t)i * sizeof bytes, .buffer_count = 1},
                         .buffers = {{.base = bytes, .byte_count = sizeof bytes}},
                         .index = i};
        submit(&jobs[i], DISK_WRITE_DURABLE, file);
    }
    disk_lane_close(disk, lane);

    cr_expect_eq(done_count, 32);
    for (int i = 0; i < 32; i++) {
        cr_expect_eq(done_order[i], i);
    }
    disk_file_close(disk, file);
    tear_down();
}

static enum status rename_in_its_turn(struct disk_request *request)
{
    (void)request;
    return disk_rename(disk, host_rig_path(&rig, "f"), host_rig_path(&rig, "g"));
}

Test(host_disk, call_runs_in_its_turn_and_its_answer_is_the_status)
{
    char byte = 'x';
    struct disk_file *file = open_file("f", DISK_OPEN_WRITE | DISK_OPEN_CREATE);
    struct job jobs[3];
    memset(jobs, 0, sizeof jobs);
    for (int i = 0; i < 3; i++) {
        jobs[i].index = i;
        jobs[i].request.call = rename_in_its_turn;
        jobs[i].request.buffer_count = 1;
        jobs[i].buffers[0] = (struct disk_buffer){.base = &byte, .byte_count = 1};
    }
    awaited_count = 3;
    open_lane("lane");

    submit(&jobs[0], DISK_WRITE, file);
    submit(&jobs[1], DISK_CALL, NULL);
    submit(&jobs[2], DISK_CALL, NULL);
    host_rig_run(&rig);

    cr_expect_arr_eq(done_order, ((int[]){0, 1, 2}), 3 * sizeof done_order[0]);
    cr_expect_eq(jobs[1].request.status, STATUS_OK);
    cr_expect_eq(jobs[2].request.status, STATUS_NOT_FOUND, "it was renamed already");
    disk_lane_close(disk, lane);
    disk_file_close(disk, file);
    tear_down();
}

static void close_from_inside(struct disk_request *request)
{
    done_order[done_count++] = container_of(request, struct job, request)->index;
    if (done_count == 1) {
        disk_lane_close(disk, lane);
        cr_expect_eq(done_count, 4, "the others ran before close returned");
        host_rig_finish(&rig);
    }
}

Test(host_disk, lane_may_be_closed_by_its_own_callback)
{
    struct disk_file *file = open_file("f", DISK_OPEN_WRITE | DISK_OPEN_CREATE);
    struct job jobs[4];
    memset(jobs, 0, sizeof jobs);
    open_lane("lane");
    for (int i = 0; i < 4; i++) {
        jobs[i].index = i;
        jobs[i].request.kind = DISK_SYNC;
        jobs[i].request.file = file;
        jobs[i].request.on_done = close_from_inside;
        disk_submit(disk, lane, &jobs[i].request);
    }

    host_rig_run(&rig);

    cr_expect_arr_eq(done_order, ((int[]){0, 1, 2, 3}), 4 * sizeof done_order[0]);
    disk_file_close(disk, file);
    tear_down();
}

static enum status tell_scheduling(struct disk_request *request)
{
    container_of(request, struct job, request)->index = sched_getscheduler(0);
    return STATUS_OK;
}

static const char *last_line_event;

static void note_refusal(struct trace *self, enum trace_level level, const char *line,
                         size_t byte_count)
{
    (void)self;
    (void)level;
    (void)byte_count;
    last_line_event = strstr(line, "realtime_refused");
}

Test(host_disk, named_lane_runs_in_the_realtime_class_or_tells_that_it_may_not)
{
    static const char *const names[] = {"quorum", "journal", NULL};
    struct trace trace = {.level = TRACE_INFO, .write_line = note_refusal};
    struct job jobs[2];
    memset(jobs, 0, sizeof jobs);
    rig.disk.realtime_lanes = names;
    rig.disk.trace = &trace;
    awaited_count = 1;
    for (int i = 0; i < 2; i++) {
        done_count = 0;
        open_lane(i == 0 ? "segments" : "journal");
        jobs[i].request.call = tell_scheduling;
        submit(&jobs[i], DISK_CALL, NULL);
        host_rig_run(&rig);
        disk_lane_close(disk, lane);
    }

    cr_expect_eq(jobs[0].index, SCHED_OTHER);
    cr_expect(jobs[1].index == SCHED_FIFO || last_line_event != NULL);
    tear_down();
}

Test(host_disk, failures_of_a_lane_arrive_in_the_callback)
{
    char byte = 'x';
    struct disk_file *file = NULL;
    cr_assert_eq(disk_open(disk, "/dev/full", DISK_OPEN_WRITE, &file), STATUS_OK);
    struct job job = {.request.buffer_count = 1, .buffers = {{.base = &byte, .byte_count = 1}}};
    awaited_count = 1;
    open_lane("lane");

    submit(&job, DISK_WRITE_DURABLE, file);
    host_rig_run(&rig);

    cr_expect_eq(job.request.status, STATUS_NO_SPACE);
    disk_lane_close(disk, lane);
    disk_file_close(disk, file);
    tear_down();
}

Test(host_disk, more_buffers_than_the_system_takes_at_once_are_all_written)
{
    enum { COUNT = 3000 };
    static char bytes[COUNT];
    static char read[COUNT];
    static struct disk_buffer buffers[COUNT];
    size_t byte_count = 0;
    struct disk_file *file = open_file("f", DISK_OPEN_WRITE | DISK_OPEN_CREATE);
    for (int i = 0; i < COUNT; i++) {
        bytes[i] = (char)('a' + i % 26);
        /* Every third part is empty. */
        buffers[i] = (struct disk_buffer){.base = &bytes[i / 3 * 2 + i % 3],
                                          .byte_count = i % 3 == 2 ? 0 : 1};
    }
    struct job job = {.request = {.kind = DISK_WRITE_DURABLE,
                                  .file = file,
                                  .buffers = buffers,
                                  .buffer_count = COUNT,
                                  .on_done = note_done}};
    awaited_count = 1;
    open_lane("lane");

    disk_submit(disk, lane, &job.request);
    host_rig_run(&rig);

    cr_expect_eq(job.request.status, STATUS_OK);
    cr_expect_eq(disk_file_read(disk, file, 0, read, COUNT, &byte_count), STATUS_OK);
    cr_expect_eq(byte_count, COUNT / 3 * 2);
    cr_expect_arr_eq(read, bytes, COUNT / 3 * 2);
    disk_lane_close(disk, lane);
    disk_file_close(disk, file);
    tear_down();
}

Test(host_disk, direct_file_reads_what_it_wrote_and_meets_its_end)
{
    struct disk_file *file = open_file("f", DISK_OPEN_WRITE | DISK_OPEN_CREATE | DISK_OPEN_DIRECT);
    static _Alignas(4096) char written[8192];
    static _Alignas(4096) char read[16384];
    size_t byte_count = 0;
    memset(written, 'w', sizeof written);
    struct job job = {.request.buffer_count = 1,
                      .buffers = {{.base = written, .byte_count = sizeof written}}};
    awaited_count = 1;
    open_lane("journal-0");

    submit(&job, DISK_WRITE_DURABLE, file);
    host_rig_run(&rig);
    cr_expect_eq(job.request.status, STATUS_OK);
    cr_expect_eq(disk_file_read(disk, file, 4096, read, sizeof read, &byte_count), STATUS_OK);
    cr_expect_eq(byte_count, 4096);
    cr_expect_eq(disk_file_truncate(disk, file, 5000), STATUS_OK);
    cr_expect_eq(disk_file_read(disk, file, 0, read, sizeof read, &byte_count), STATUS_OK);

    cr_expect_eq(byte_count, 5000);
    cr_expect_arr_eq(read, written, 5000);
    disk_lane_close(disk, lane);
    disk_file_close(disk, file);
    tear_down();
}
