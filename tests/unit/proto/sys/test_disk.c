/* Goal: a small file is replaced in the only order that survives a crash, and every failure on the
 * way leaves the old file under its name.
 * Method: a disk that writes down the calls and fails the one the test names. What the calls do to
 * real files is the business of host_disk's and the simulator's own tests. */
#include "proto/sys/disk.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct disk_file {
    int dummy;
};

static struct disk_file only_file;
static char calls[1024];
static const char *failing_call = "";
static uint64_t file_size;

static enum status note(const char *call, const char *detail)
{
    size_t length = strlen(calls);
    (void)snprintf(calls + length, sizeof calls - length, "%s(%s) ", call, detail);
    return strcmp(call, failing_call) == 0 ? STATUS_IO : STATUS_OK;
}

static enum status note_open(struct disk *self, const char *path, unsigned flags,
                             struct disk_file **out_file)
{
    (void)self;
    (void)flags;
    TRY(note("open", path));
    *out_file = &only_file;
    return STATUS_OK;
}

static void note_close(struct disk_file *file)
{
    cr_assert_eq(file, &only_file);
    status_ignore(note("close", ""), "closing cannot fail");
}

static enum status tell_size(struct disk_file *file, uint64_t *out_bytes)
{
    cr_assert_eq(file, &only_file);
    *out_bytes = file_size;
    return STATUS_OK;
}

static enum status note_read(struct disk_file *file, uint64_t position, void *bytes,
                             size_t byte_count, size_t *out_byte_count)
{
    cr_assert_eq(file, &only_file);
    cr_assert_eq(position, 0);
    TRY(note("read", ""));
    memset(bytes, 'r', byte_count);
    *out_byte_count = byte_count;
    return STATUS_OK;
}

static enum status note_write(struct disk_file *file, uint64_t position, const void *bytes,
                              size_t byte_count)
{
    char text[64];
    cr_assert_eq(file, &only_file);
    (void)snprintf(text, sizeof text, "%llu:%.*s", (unsigned long long)position, (int)byte_count,
                   (const char *)bytes);
    return note("write", text);
}

static enum status note_sync(struct disk_file *file)
{
    cr_assert_eq(file, &only_file);
    return note("sync", "");
}

static enum status note_truncate(struct disk_file *file, uint64_t byte_count)
{
    cr_assert_eq(file, &only_file);
    return note("truncate", byte_count == 0 ? "0" : "wrong");
}

static enum status note_rename(struct disk *self, const char *from, const char *to)
{
    char text[256];
    (void)self;
    (void)snprintf(text, sizeof text, "%s,%s", from, to);
    return note("rename", text);
}

static enum status note_remove(struct disk *self, const char *path)
{
    (void)self;
    return note("remove", path);
}

static enum status note_sync_directory(struct disk *self, const char *path)
{
    (void)self;
    return note("sync_directory", path);
}

static const struct disk_ops ops = {
    .open = note_open,
    .close = note_close,
    .size = tell_size,
    .read = note_read,
    .write = note_write,
    .sync = note_sync,
    .truncate = note_truncate,
    .rename = note_rename,
    .remove = note_remove,
    .sync_directory = note_sync_directory,
};
static struct disk disk = {.ops = &ops};

Test(disk, file_is_replaced_by_write_sync_rename_and_sync_of_the_directory)
{
    cr_expect_eq(disk_replace_file(&disk, "d", "vote", "new", 3), STATUS_OK);

    cr_expect_str_eq(calls, "open(d/vote.new) truncate(0) write(0:new) sync() close() "
                            "rename(d/vote.new,d/vote) sync_directory(d) ");
}

Test(disk, failed_sync_never_reaches_the_rename)
{
    failing_call = "sync";

    cr_expect_eq(disk_replace_file(&disk, "d", "vote", "new", 3), STATUS_IO);

    cr_expect_str_eq(calls, "open(d/vote.new) truncate(0) write(0:new) sync() close() "
                            "remove(d/vote.new) ");
}

Test(disk, failed_write_is_told_and_neither_synced_nor_renamed)
{
    failing_call = "write";

    cr_expect_eq(disk_replace_file(&disk, "d", "vote", "new", 3), STATUS_IO);

    cr_expect_str_eq(calls,
                     "open(d/vote.new) truncate(0) write(0:new) close() remove(d/vote.new) ");
}

Test(disk, failed_sync_of_the_directory_is_told)
{
    failing_call = "sync_directory";

    cr_expect_eq(disk_replace_file(&disk, "d", "vote", "", 0), STATUS_IO);
}

Test(disk, path_that_does_not_fit_is_refused_untouched)
{
    char name[DISK_PATH_BYTES_MAX];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';

    cr_expect_eq(disk_replace_file(&disk, "d", name, "new", 3), STATUS_INVALID);

    cr_expect_str_eq(calls, "");
}

Test(disk, whole_file_is_read_up_to_the_limit_only)
{
    uint8_t *bytes = NULL;
    size_t byte_count = 99;
    file_size = 5;

    cr_expect_eq(disk_read_file(&disk, "f", 4, &bytes, &byte_count), STATUS_FULL);
    cr_expect_null(bytes);
    cr_expect_eq(byte_count, 99);
    cr_assert_eq(disk_read_file(&disk, "f", 5, &bytes, &byte_count), STATUS_OK);

    cr_expect_eq(byte_count, 5);
    cr_expect_arr_eq(bytes, "rrrrr", 5);
    free(bytes);
}

Test(disk, failed_read_of_a_whole_file_gives_nothing)
{
    uint8_t *bytes = NULL;
    size_t byte_count = 99;
    file_size = 5;
    failing_call = "read";

    cr_expect_eq(disk_read_file(&disk, "f", 5, &bytes, &byte_count), STATUS_IO);

    cr_expect_null(bytes);
    cr_expect_str_eq(calls, "open(f) read() close() ");
}

Test(disk, exclusive_without_create_aborts, .signal = SIGABRT)
{
    struct disk_file *file = NULL;

    status_ignore(disk_open(&disk, "f", DISK_OPEN_WRITE | DISK_OPEN_EXCLUSIVE, &file),
                  "never returns");
}

Test(disk, request_without_a_callback_aborts, .signal = SIGABRT)
{
    struct disk_request request = {.kind = DISK_SYNC, .file = &only_file};

    disk_submit(&disk, NULL, &request);
}
