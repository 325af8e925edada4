/* Goal: what a job's wish means is the same everywhere, and its numbers in the catalog never
 * change. Method: each wish; the bytes of a record written by hand. */
#include "processor/job/job_wish.h"

#include <criterion/criterion.h>
#include <string.h>

static Millrace__Plan__JobPlan plan;
static Millrace__Processor__Job job;
static uint8_t query_id[JOB_WISH_QUERY_ID_BYTES] = {1, 2, 3};

static void set_up(void)
{
    millrace__plan__job_plan__init(&plan);
    plan.query_id = (ProtobufCBinaryData){sizeof query_id, query_id};
    millrace__processor__job__init(&job);
    job.plan = &plan;
    job.run = 4;
}

TestSuite(job_wish, .init = set_up);

/* CatalogRecord {version 1, job {wish}}. */
Test(job_wish, each_wish_has_its_number_in_the_catalog)
{
    static const Millrace__Processor__JobWish wishes[] = {
        MILLRACE__PROCESSOR__JOB_WISH__JOB_RUN,    MILLRACE__PROCESSOR__JOB_WISH__JOB_STOP,
        MILLRACE__PROCESSOR__JOB_WISH__JOB_FAILED, MILLRACE__PROCESSOR__JOB_WISH__JOB_STOPPED,
        MILLRACE__PROCESSOR__JOB_WISH__JOB_DROP,
    };
    for (uint8_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        const uint8_t bytes[] = {0x08, 0x01, 0x1a, 0x02, 0x10, i};
        Millrace__Processor__CatalogRecord *record =
            millrace__processor__catalog_record__unpack(NULL, sizeof bytes, bytes);
        cr_assert_not_null(record);
        cr_assert_eq(record->kind_case, MILLRACE__PROCESSOR__CATALOG_RECORD__KIND_JOB);
        cr_expect_eq(record->job->wish, wishes[i]);
        cr_expect_eq(job_wish_is_alive(record->job), i < 2);
        cr_expect_eq(job_wish_is_drop(record->job), i == 4);
        millrace__processor__catalog_record__free_unpacked(record, NULL);
    }
}

Test(job_wish, of_a_wish_that_is_not_known_nothing_runs)
{
    const uint8_t bytes[] = {0x08, 0x01, 0x1a, 0x02, 0x10, 0x63};
    Millrace__Processor__CatalogRecord *record =
        millrace__processor__catalog_record__unpack(NULL, sizeof bytes, bytes);
    cr_assert_not_null(record);
    cr_expect_not(job_wish_is_alive(record->job));
    millrace__processor__catalog_record__free_unpacked(record, NULL);
}

Test(job_wish, another_start_is_another_run_and_so_is_another_job_of_the_name)
{
    struct job_wish_run run = job_wish_run_of(&job);
    cr_expect(job_wish_is_run(&job, &run));

    job.run = 5;
    cr_expect_not(job_wish_is_run(&job, &run));

    job.run = 4;
    query_id[15] = 9;
    cr_expect_not(job_wish_is_run(&job, &run));

    plan.query_id = (ProtobufCBinaryData){0, NULL};
    cr_expect_not(job_wish_is_run(&job, &run));
}
