/* Goal: children start where and how they are told, their end is seen, and they never outlive us.
 * Method: small shell children; for our own death a process between, which kills itself. */
#include "proto/sys/host/host_process.h"

#include "tests/unit/proto/sys/host/host_rig.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct host_rig rig;
static struct host_process *process;
static struct host_process_end told;
static int told_count;

static void set_up(void)
{
    host_rig_init(&rig);
}

static void tear_down(void)
{
    host_rig_done(&rig);
}

TestSuite(host_process, .init = set_up, .timeout = 30);

static void note_exit(struct host_process *self, const struct host_process_end *end)
{
    cr_expect_eq(self, process);
    cr_expect_eq(host_process_context(self), &told);
    told = *end;
    told_count += 1;
    host_rig_finish(&rig);
}

static struct host_process_options shell(const char *const *arguments)
{
    return (struct host_process_options){
        .loop = &rig.loop, .arguments = arguments, .on_exit = note_exit, .context = &told};
}

#define SHELL(script) ((const char *const[]){"/bin/sh", "-c", script, NULL})

static void expect_file(const char *name, const char *expected)
{
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(
        disk_read_file(&rig.disk.disk, host_rig_path(&rig, name), 1000, &bytes, &byte_count),
        STATUS_OK);
    cr_expect_eq(byte_count, strlen(expected), "%.*s", (int)byte_count, (const char *)bytes);
    cr_expect_arr_eq(bytes, expected, strlen(expected));
    free(bytes);
}

Test(host_process, exit_code_is_told)
{
    struct host_process_options options = shell(SHELL("exit 7"));
    cr_assert_eq(host_process_open(&options, &process), STATUS_OK);
    cr_expect_gt(host_process_id(process), 1);

    host_rig_run(&rig);

    cr_expect_eq(told_count, 1);
    cr_expect_eq(told.exit_code, 7);
    cr_expect_eq(told.signal_number, 0);
    tear_down();
}

Test(host_process, signal_that_ended_it_is_told)
{
    struct host_process_options options = shell(SHELL("exec sleep 600"));
    cr_assert_eq(host_process_open(&options, &process), STATUS_OK);

    host_process_signal(process, SIGKILL);
    host_rig_run(&rig);

    cr_expect_eq(told.exit_code, 0);
    cr_expect_eq(told.signal_number, SIGKILL);
    tear_down();
}

Test(host_process, child_gets_its_directory_environment_and_files)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s", host_rig_path(&rig, "out"));
    struct host_process_options options =
        shell(SHELL("pwd >&2; echo $COLOUR; cat; ls /proc/self/fd | wc -l"));
    options.environment = (const char *const[]){"COLOUR=blue", "PATH=/bin:/usr/bin", NULL};
    options.directory = "/";
    options.streams[1] = (struct host_process_stream){.kind = HOST_PROCESS_FILE, .path = path};
    options.streams[2] = options.streams[1];
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(host_process_open(&options, &process), STATUS_OK);
        host_rig_run(&rig);
        cr_expect_eq(told.exit_code, 0);
    }

    /* Four descriptors: its three and the one with which ls reads the list. */
    expect_file("out", "/\nblue\n4\n/\nblue\n4\n");
    tear_down();
}

Test(host_process, program_that_cannot_start_is_a_status)
{
    struct host_process_options options = shell((const char *const[]){"/no/such/program", NULL});
    cr_expect_eq(host_process_open(&options, &process), STATUS_NOT_FOUND);

    options = shell((const char *const[]){"/etc/passwd", NULL});
    cr_expect_eq(host_process_open(&options, &process), STATUS_INVALID);

    options = shell(SHELL("exit 0"));
    options.directory = "/no/such/directory";
    cr_expect_eq(host_process_open(&options, &process), STATUS_NOT_FOUND);

    options = shell(SHELL("exit 0"));
    options.streams[1] =
        (struct host_process_stream){.kind = HOST_PROCESS_FILE, .path = "/no/such/file"};
    cr_expect_eq(host_process_open(&options, &process), STATUS_NOT_FOUND);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "no child is left behind");
    tear_down();
}

struct talk {
    struct socket socket;
    struct socket_write write;
    struct socket_buffer buffer;
    uint8_t room[64];
    size_t byte_count;
};

static struct talk talk_in;
static struct talk talk_out;

static void talk_on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    struct talk *talk = container_of(socket, struct talk, socket);
    *out_base = talk->room + talk->byte_count;
    *out_byte_count = sizeof talk->room - talk->byte_count;
}

static void talk_on_read(struct socket *socket, size_t byte_count)
{
    container_of(socket, struct talk, socket)->byte_count += byte_count;
    if (talk_out.byte_count == 6) {
        socket_close(&talk_in.socket); /* The end of its input ends cat. */
    }
}

static void talk_on_end(struct socket *socket, enum status why)
{
    (void)why;
    socket_close(socket);
}

static void talk_on_closed(struct socket *socket)
{
    (void)socket;
}

static void talk_on_written(struct socket_write *write, enum status status)
{
    (void)write;
    cr_expect_eq(status, STATUS_OK);
}

static const struct socket_events talk_events = {.on_room = talk_on_room,
                                                 .on_read = talk_on_read,
                                                 .on_end = talk_on_end,
                                                 .on_closed = talk_on_closed};

Test(host_process, pipes_are_streams_to_and_from_the_child)
{
    struct socket_token in = {0};
    struct socket_token out = {0};
    struct socket_service *sockets = rig.loop.loop.sockets;
    struct host_process_options options = shell(SHELL("exec cat"));
    options.streams[0] = (struct host_process_stream){.kind = HOST_PROCESS_PIPE, .out_token = &in};
    options.streams[1] = (struct host_process_stream){.kind = HOST_PROCESS_PIPE, .out_token = &out};
    cr_assert_eq(host_process_open(&options, &process), STATUS_OK);
    cr_assert_eq(socket_adopt(sockets, &talk_in.socket, in, &talk_events), STATUS_OK);
    cr_assert_eq(socket_adopt(sockets, &talk_out.socket, out, &talk_events), STATUS_OK);

    socket_read_start(&talk_out.socket);
    talk_in.buffer = (struct socket_buffer){.base = "hello\n", .byte_count = 6};
    talk_in.write = (struct socket_write){
        .buffers = &talk_in.buffer, .buffer_count = 1, .on_done = talk_on_written};
    socket_write(&talk_in.socket, &talk_in.write);
    host_rig_run(&rig);

    cr_expect_eq(told.exit_code, 0);
    cr_expect_arr_eq(talk_out.room, "hello\n", 6);
    socket_close(&talk_out.socket);
    tear_down();
}

/* Starts a child that holds `fd`, tells that it runs, and dies like a crash. */
static _Noreturn void die_with_a_child(int fd)
{
    cr_assert_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
    (void)close(fd);
    struct host_process_options options = shell(SHELL("echo runs; exec sleep 600"));
    options.streams[1].kind = HOST_PROCESS_INHERIT;
    if (host_process_open(&options, &process) == STATUS_OK) {
        (void)raise(SIGKILL);
    }
    _exit(1);
}

Test(host_process, child_dies_with_its_parent)
{
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    pid_t parent = fork();
    cr_assert_geq(parent, 0);
    if (parent == 0) {
        (void)close(fds[0]);
        die_with_a_child(fds[1]);
    }
    (void)close(fds[1]);

    /* The end of the pipe comes when the last one who could write into it is gone. */
    char bytes[64];
    ssize_t count = 0;
    while ((count = read(fds[0], bytes, sizeof bytes)) > 0) {
    }

    cr_expect_eq(count, 0);
    int status = 0;
    cr_expect_eq(waitpid(parent, &status, 0), parent);
    cr_expect(WIFSIGNALED(status));
    tear_down();
}

Test(host_process, child_ignores_nothing_and_stands_in_its_own_group)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s", host_rig_path(&rig, "out"));
    struct host_process_options options =
        shell(SHELL("test $(cut -d' ' -f5 /proc/$$/stat) = $$ && echo own; "
                    "exec grep -E '^Sig(Blk|Ign)' /proc/self/status"));
    options.streams[1] = (struct host_process_stream){.kind = HOST_PROCESS_FILE, .path = path};
    cr_assert_eq(host_process_open(&options, &process), STATUS_OK);

    host_rig_run(&rig);

    expect_file("out", "own\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    tear_down();
}
