/* Goal: every task has exactly one owner, shares are even, and nothing moves without need.
 * Method: members with what they run, tasks, and the answer counted. */
#include "processor/job/task_deal.h"

#include <criterion/criterion.h>
#include <string.h>

#define TASKS 8U
#define MEMBERS_MAX 4U

static Millrace__Processor__TaskId ids[TASKS];
static struct task_deal_task tasks[TASKS];
static Millrace__Processor__Member members[MEMBERS_MAX];
static const Millrace__Processor__Member *pointers[MEMBERS_MAX];
static Millrace__Processor__TaskId *runs[MEMBERS_MAX][TASKS];
static uint8_t query_id[16];
static char job[] = "delays";

static void set_up(void)
{
    for (uint32_t i = 0; i < TASKS; i++) {
        millrace__processor__task_id__init(&ids[i]);
        ids[i].job = job;
        ids[i].query_id = (ProtobufCBinaryData){sizeof query_id, query_id};
        ids[i].stage = i / 4;
        ids[i].task = i % 4;
        ids[i].run = 1;
        tasks[i].id = &ids[i];
    }
    for (uint32_t i = 0; i < MEMBERS_MAX; i++) {
        millrace__processor__member__init(&members[i]);
        members[i].tasks = runs[i];
        pointers[i] = &members[i];
    }
}

static void deal(uint32_t member_count)
{
    cr_assert_eq(task_deal(tasks, TASKS, pointers, member_count), STATUS_OK);
}

/* As if each member had started what it was given. */
static void run_all(void)
{
    for (uint32_t m = 0; m < MEMBERS_MAX; m++) {
        members[m].n_tasks = 0;
        for (uint32_t i = 0; i < TASKS; i++) {
            if (tasks[i].member == m) {
                runs[m][members[m].n_tasks] = &ids[i];
                members[m].n_tasks += 1;
            }
        }
    }
}

static uint32_t count_of(uint32_t member)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < TASKS; i++) {
        count += tasks[i].member == member ? 1 : 0;
    }
    return count;
}

TestSuite(task_deal, .init = set_up);

Test(task_deal, nobody_gets_anything_where_nobody_is)
{
    deal(0);

    cr_expect_eq(count_of(TASK_DEAL_NOBODY), TASKS);
}

Test(task_deal, two_members_get_half_each)
{
    deal(2);

    cr_expect_eq(count_of(0), 4);
    cr_expect_eq(count_of(1), 4);
}

Test(task_deal, nothing_moves_when_nothing_changes)
{
    deal(3);
    uint32_t before[TASKS];
    for (uint32_t i = 0; i < TASKS; i++) {
        before[i] = tasks[i].member;
    }
    run_all();
    deal(3);

    for (uint32_t i = 0; i < TASKS; i++) {
        cr_expect_eq(tasks[i].member, before[i], "task %u moved", i);
    }
}

Test(task_deal, only_the_tasks_of_the_dead_move)
{
    deal(2);
    run_all();
    uint32_t before[TASKS];
    for (uint32_t i = 0; i < TASKS; i++) {
        before[i] = tasks[i].member;
    }
    members[1].n_tasks = 0; /* The second one is another process now. */
    deal(2);

    for (uint32_t i = 0; i < TASKS; i++) {
        if (before[i] == 0) {
            cr_expect_eq(tasks[i].member, 0, "task %u moved", i);
        }
    }
    cr_expect_eq(count_of(1), 4);
}

Test(task_deal, a_newcomer_gets_its_share_and_no_more)
{
    deal(1);
    run_all();
    deal(2);

    cr_expect_eq(count_of(0), 4);
    cr_expect_eq(count_of(1), 4);
}

Test(task_deal, a_task_claimed_by_two_has_one_owner)
{
    runs[0][0] = &ids[3];
    runs[1][0] = &ids[3];
    members[0].n_tasks = 1;
    members[1].n_tasks = 1;
    deal(2);

    cr_expect_eq(tasks[3].member, 0);
    cr_expect_eq(count_of(0) + count_of(1), TASKS);
}

Test(task_deal, a_task_of_another_run_is_another_task)
{
    Millrace__Processor__TaskId old = ids[0];
    old.run = 2;

    cr_expect_not(task_deal_is_same(&ids[0], &old));
    cr_expect(task_deal_is_same(&ids[0], &ids[0]));
}
