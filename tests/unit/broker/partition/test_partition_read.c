/* Goal: a read that waits for the disk answers for the log as it is when it ends.
 * Method: a follower whose records are on its disk only; while a consumer's read is under way its
 * history is cut, as an unclean election of another leader does. */
#include "broker/partition/partition.h"
#include "broker/partition/partition_fault.h"
#include "proto/record/batch_builder.h"
#include "tests/rig/log_rig.h"

#include <criterion/criterion.h>

static struct log_rig rig;
static struct log_rig_log *log_under;
static struct list blocked;
static struct partition *partition;
static struct partition_read reading;
static bool is_done;
static int64_t cut_at;
static int other_count;
static const int32_t replicas[] = {1, 2, 3};

static void read_on_done(struct partition_read *read)
{
    cr_expect_eq(read, &reading);
    is_done = true;
}

static void follow(int32_t leader, int32_t epoch)
{
    const struct partition_assignment assignment = {.leader = leader,
                                                    .leader_epoch = epoch,
                                                    .partition_epoch = epoch,
                                                    .replicas = replicas,
                                                    .replica_count = 3,
                                                    .isr = replicas,
                                                    .isr_count = 3};
    partition_assign(partition, &assignment);
}

static void open_inside(void *context)
{
    (void)context;
    log_forget(log_under->log);
    log_under->log = NULL;
    list_init(&blocked);
    struct partition_options options = {.loop = rig.options.loop,
                                        .store = rig.store,
                                        .topic_name = log_under->options.topic_name,
                                        .topic_id = log_under->options.topic_id,
                                        .broker_id = 1,
                                        .config = {.log = log_under->options.config, .min_isr = 1},
                                        .blocked = &blocked};
    cr_assert_eq(partition_open(&options, &partition), STATUS_OK);
    follow(2, 1);
    partition_note_high_watermark(partition, 4);
}

static void set_up(void)
{
    enum status status = STATUS_UNKNOWN;
    log_rig_init(&rig, 1);
    log_under = log_rig_add(&rig, "t", 7, 0);
    cr_assert(log_rig_open(&rig, &status));
    cr_assert(log_rig_open_log(log_under, &status));
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(log_rig_append_at(log_under, 1, 100, 1, 1000), STATUS_OK);
    }
    cr_assert(log_rig_flush(&rig));
    log_rig_kill(&rig);
    cr_assert(log_rig_open(&rig, &status));
    cr_assert(log_rig_open_log(log_under, &status));
    cr_assert(sim_node_run(rig.node, open_inside, NULL));
}

static void close_inside(void *context)
{
    (void)context;
    partition_read_release(&reading);
    partition_retire(partition);
    partition_free(partition);
}

static void tear_down(void)
{
    cr_assert(sim_node_run(rig.node, close_inside, NULL));
    cr_expect_not(rig.world->has_failed, "%s", rig.world->failure);
    log_rig_done(&rig);
}

TestSuite(partition_read, .init = set_up, .fini = tear_down);

static void read_inside(void *context)
{
    const int64_t *offset = context;
    is_done = false;
    reading = (struct partition_read){.offset = *offset,
                                      .isolation = PARTITION_READ_UNCOMMITTED,
                                      .byte_count_max = 1 << 20,
                                      .any_replica = true,
                                      .current_leader_epoch = -1,
                                      .last_fetched_epoch = -1,
                                      .on_done = read_on_done};
    partition_read(partition, &reading);
    cr_assert_not(is_done, "its bytes are on the disk");
}

/* The new leader's history parts at `cut_at`; `other_count` batches of it come. */
static void cut_inside(void *context)
{
    (void)context;
    follow(3, 2);
    cr_assert_eq(partition_truncate(partition, cut_at), STATUS_OK);
    for (int64_t offset = cut_at; offset < cut_at + other_count; offset++) {
        static uint8_t room[512];
        struct batch_builder builder;
        batch_builder_init_over(&builder, room, sizeof room);
        const struct batch_builder_record record = {.value = {(const uint8_t *)"other", 5}};
        cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
        struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
        finish.base_offset = offset;
        finish.leader_epoch = 2;
        struct batch_view batch;
        cr_assert_eq(batch_builder_finish(&builder, &finish, NULL, &batch), STATUS_OK);
        const struct partition_replica_append append = {.bytes = batch.bytes,
                                                        .byte_count = batch.byte_count};
        cr_assert_eq(partition_append_replica(partition, &append), STATUS_OK);
    }
}

static void read_while_cut(int64_t offset)
{
    cr_assert(sim_node_run(rig.node, read_inside, &offset));
    cr_assert(sim_node_run(rig.node, cut_inside, NULL));
    sim_world_run_for(rig.world, CLOCK_NS_PER_S);
    cr_assert(is_done);
}

Test(partition_read, what_came_in_the_place_of_committed_records_is_not_taken_for_committed)
{
    cut_at = 2;
    other_count = 5;
    read_while_cut(2);
    cr_expect_eq(reading.marks.high_watermark, 2);
    cr_expect(reading.fault != PARTITION_FAULT_NONE || reading.log_read.next_offset <= 2,
              "read up to %lld", (long long)reading.log_read.next_offset);
}

Test(partition_read, offset_that_a_follower_has_lost_meanwhile_is_for_its_leader_to_judge)
{
    cut_at = 0;
    other_count = 1;
    read_while_cut(3);
    cr_expect_eq(reading.fault, PARTITION_FAULT_NOT_LEADER, "%s",
                 partition_fault_text(reading.fault));
}
