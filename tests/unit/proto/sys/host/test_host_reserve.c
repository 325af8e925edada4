/* Goal: what is kept back is given when a call lacks room, and comes back when there is room.
 * Method: real files; /dev/full is the disk that stays full. That a broker lives through a disk
 * that is full to its last block is the subject of tests/cluster/disk_full.py. */
#include "proto/sys/host/host_reserve.h"
#include "tests/unit/proto/sys/host/host_rig.h"

#include <sys/stat.h>
#include <unistd.h>

#define RESERVE_BYTES (1U << 20)

static struct host_rig rig;
static struct host_reserve reserve;
static struct host_disk disk;

static void set_up(void)
{
    host_rig_init(&rig);
    cr_assert_eq(host_reserve_open(&reserve, host_rig_path(&rig, "reserve"), RESERVE_BYTES, NULL),
                 STATUS_OK);
    host_disk_init(&disk, &(struct host_disk_options){.reserve = &reserve});
}

static void tear_down(void)
{
    host_reserve_close(&reserve);
    host_rig_done(&rig);
}

TestSuite(host_reserve, .init = set_up);

static uint64_t kept_bytes(void)
{
    struct stat info;
    cr_assert_eq(stat(host_rig_path(&rig, "reserve"), &info), 0);
    return (uint64_t)info.st_blocks * 512;
}

static enum status write_to_full(void)
{
    struct disk_file *file = NULL;
    cr_assert_eq(disk_open(&disk.disk, "/dev/full", DISK_OPEN_WRITE, &file), STATUS_OK);
    enum status status = disk_file_write(&disk.disk, file, 0, "x", 1);
    cr_expect_eq(kept_bytes(), 0, "all of it was offered");
    disk_file_close(&disk.disk, file);
    return status;
}

Test(host_reserve, blocks_are_taken_at_the_beginning)
{
    cr_expect_eq(kept_bytes(), RESERVE_BYTES);
    tear_down();
}

Test(host_reserve, a_disk_that_stays_full_ends_the_tries)
{
    cr_expect_eq(write_to_full(), STATUS_NO_SPACE);
    tear_down();
}

Test(host_reserve, what_was_given_comes_back_with_the_next_file_that_goes)
{
    cr_assert_eq(write_to_full(), STATUS_NO_SPACE);

    cr_expect_eq(kept_bytes(), RESERVE_BYTES);
    tear_down();
}

Test(host_reserve, a_draw_gives_no_more_than_is_asked_for)
{
    struct host_reserve_draw draw = {.reserve = &reserve};

    cr_expect(host_reserve_draw(&draw, STATUS_NO_SPACE, 1000));
    cr_expect_eq(kept_bytes(), RESERVE_BYTES - (256U << 10));
    host_reserve_fill(&reserve);
    cr_expect_eq(kept_bytes(), RESERVE_BYTES - (256U << 10), "not while somebody draws");
    host_reserve_end(&draw);

    host_reserve_fill(&reserve);
    cr_expect_eq(kept_bytes(), RESERVE_BYTES);
    tear_down();
}

Test(host_reserve, other_failures_draw_nothing)
{
    struct host_reserve_draw draw = {.reserve = &reserve};

    cr_expect_not(host_reserve_draw(&draw, STATUS_OK, 1));
    cr_expect_not(host_reserve_draw(&draw, STATUS_IO, 1));
    host_reserve_end(&draw);

    cr_expect_eq(kept_bytes(), RESERVE_BYTES);
    tear_down();
}

Test(host_reserve, the_next_process_takes_over_what_is_left_and_cuts_what_is_too_much)
{
    host_reserve_close(&reserve);

    cr_assert_eq(
        host_reserve_open(&reserve, host_rig_path(&rig, "reserve"), RESERVE_BYTES / 2, NULL),
        STATUS_OK);

    cr_expect_eq(kept_bytes(), RESERVE_BYTES / 2);
    tear_down();
}
