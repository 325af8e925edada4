/* Goal: a job is dropped as a whole or not at all, whoever starts it meanwhile; and a drop that
 * ended half way says so wherever one asks, and can be finished.
 * Method: two doors with real brokers in a simulated world. One drops while the other starts the
 * same job, the one a little later than the other each time; then what both were told is held
 * against the catalog and the topics that are there. */
#include "tests/unit/processor/control/door_rig.h"

#define ROUNDS 24
#define ROUND_MS 11

#define TABLES                                                                                     \
    "CREATE TABLE a (at timestamptz, key text) WITH (topic = 'a', format = 'json', "               \
    "event_time = 'at');"                                                                          \
    "CREATE TABLE b (key text, n bigint) WITH (topic = 'b', format = 'json');"
#define START                                                                                      \
    "SET job.name = 'x'; SET job.output_mode = 'update';"                                          \
    "INSERT INTO b SELECT key, count(*) FROM a GROUP BY key"
#define DROP "CALL drop_job('x')"

#define JOB_RUN MILLRACE__PROCESSOR__JOB_WISH__JOB_RUN
#define JOB_STOP MILLRACE__PROCESSOR__JOB_WISH__JOB_STOP
#define JOB_FAILED MILLRACE__PROCESSOR__JOB_WISH__JOB_FAILED
#define JOB_STOPPED MILLRACE__PROCESSOR__JOB_WISH__JOB_STOPPED
#define JOB_DROP MILLRACE__PROCESSOR__JOB_WISH__JOB_DROP

static const char *const topics[] = {"__millrace-x-route-0", "__millrace-x-changelog-1",
                                     "__millrace-x-progress"};

static void set_up(void)
{
    door_begin(3);
    door_expect(0, TABLES, "");
}

TestSuite(run_drop, .init = set_up, .fini = door_end, .timeout = 280);

/* ---- what tasks, other doors and dead ones would write ---- */

struct door_edit {
    struct catalog_write write;
    const char *job;
    Millrace__Processor__JobWish wish;
    bool is_start;
    bool is_done;
};

static enum status door_edit_decide(struct catalog_write *write)
{
    struct door_edit *self = container_of(write, struct door_edit, write);
    struct catalog_entry *entry = catalog_find(write->catalog, CATALOG_JOB, self->job);
    cr_assert_not_null(entry);
    Millrace__Processor__Job job = *entry->record->job;
    job.wish = self->wish;
    job.run += self->is_start ? 1 : 0;
    Millrace__Processor__CatalogRecord record = *entry->record;
    record.job = &job;
    return catalog_write_put(write, CATALOG_JOB, self->job, &record);
}

static void door_edit_on_done(struct catalog_write *write, enum status status)
{
    cr_assert_eq(status, STATUS_OK);
    container_of(write, struct door_edit, write)->is_done = true;
}

static void door_edit_start(struct door_edit *self, uint32_t door, const char *job,
                            Millrace__Processor__JobWish wish)
{
    *self = (struct door_edit){
        .write = {.deadline_ns = loop_now_ns(rig_loop) + DOOR_WAIT_MS * CLOCK_NS_PER_MS,
                  .decide = door_edit_decide,
                  .on_done = door_edit_on_done},
        .job = job,
        .wish = wish};
    catalog_change(&door_catalogs[door], &self->write);
}

static bool door_edit_is_done(void *context)
{
    return ((struct door_edit *)context)->is_done;
}

static void door_set_wish(uint32_t door, const char *job, Millrace__Processor__JobWish wish)
{
    struct door_edit edit;
    door_edit_start(&edit, door, job, wish);
    cr_assert(rig_until(door_edit_is_done, &edit, DOOR_WAIT_MS));
}

/* ---- looking ---- */

struct door_look {
    struct topic_wish wish;
    enum status status;
    bool is_done;
};

static void door_look_on_done(struct topic_wish *wish, enum status status)
{
    struct door_look *self = container_of(wish, struct door_look, wish);
    self->status = status;
    self->is_done = true;
}

static bool door_look_is_done(void *context)
{
    return ((struct door_look *)context)->is_done;
}

static bool door_has_topic(const char *name)
{
    static struct door_look look;
    look = (struct door_look){
        .wish = {.must_exist = true,
                 .deadline_ns = loop_now_ns(rig_loop) + DOOR_WAIT_MS * CLOCK_NS_PER_MS,
                 .on_done = door_look_on_done}};
    snprintf(look.wish.name, sizeof look.wish.name, "%s", name);
    topic_maker_run(&door_admins[0], &look.wish);
    cr_assert(rig_until(door_look_is_done, &look, DOOR_WAIT_MS));
    cr_assert(look.status == STATUS_OK || look.status == STATUS_NOT_FOUND, "%s",
              status_text(look.status));
    return look.status == STATUS_OK;
}

struct door_wait {
    struct catalog_barrier barrier;
    bool is_done;
};

static void door_wait_on_done(struct catalog_barrier *barrier, enum status status)
{
    cr_assert_eq(status, STATUS_OK);
    container_of(barrier, struct door_wait, barrier)->is_done = true;
}

static bool door_wait_is_done(void *context)
{
    return ((struct door_wait *)context)->is_done;
}

/* As of now; NULL: there is none. */
static const Millrace__Processor__Job *door_job(const char *name)
{
    struct door_wait wait = {
        .barrier = {.deadline_ns = loop_now_ns(rig_loop) + DOOR_WAIT_MS * CLOCK_NS_PER_MS,
                    .on_done = door_wait_on_done}};
    catalog_wait(&door_catalogs[0], &wait.barrier);
    cr_assert(rig_until(door_wait_is_done, &wait, DOOR_WAIT_MS));
    struct catalog_entry *entry = catalog_find(&door_catalogs[0], CATALOG_JOB, name);
    return entry == NULL ? NULL : entry->record->job;
}

static void expect_topics(bool are_there)
{
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        cr_assert_eq(door_has_topic(topics[i]), are_there, "%s", topics[i]);
    }
}

Test(run_drop, a_dropped_job_is_gone_with_its_topics)
{
    door_expect(0, START, "");
    expect_topics(true);
    door_set_wish(1, "x", JOB_FAILED);

    door_expect(0, DROP, "");

    cr_expect_null(door_job("x"));
    expect_topics(false);
    door_expect(0, DROP, "UNKNOWN_JOB");
}

Test(run_drop, a_job_that_runs_or_still_stops_keeps_everything)
{
    door_expect(0, START, "");

    door_expect(1, DROP, "JOB_RUNS");
    door_set_wish(0, "x", JOB_STOP);
    door_expect(1, DROP, "JOB_RUNS");

    cr_assert_not_null(door_job("x"));
    cr_expect_eq(door_job("x")->wish, JOB_STOP);
    expect_topics(true);
}

/* What both were told fits what is there. */
static void expect_truth(struct door_ask *start, struct door_ask *drop, int counts[2])
{
    const char *started = door_code(start);
    const char *dropped = door_code(drop);
    const Millrace__Processor__Job *job = door_job("x");
    if (started[0] == '\0') {
        cr_assert_not_null(job, "it was started, and is not there (drop: '%s')", dropped);
        cr_assert_eq(job->wish, JOB_RUN, "it was started, its wish is %d", (int)job->wish);
        expect_topics(true);
        counts[0] += 1;
    } else {
        cr_assert_str_eq(started, "JOB_DROPPING");
        cr_assert_str_eq(dropped, "");
        cr_assert_null(job);
        counts[1] += 1;
    }
    cr_assert(dropped[0] == '\0' || strcmp(dropped, "JOB_RUNS") == 0, "the drop: %s", dropped);
}

/* Once more for the next round: a job that has stopped. */
static void stop_again(void)
{
    if (door_job("x") == NULL) {
        door_expect(0, START, "");
    }
    door_set_wish(0, "x", JOB_STOPPED);
}

Test(run_drop, who_is_told_that_a_job_was_started_has_it_however_a_drop_comes_between)
{
    struct door_ask start;
    struct door_ask drop;
    int counts[2] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        stop_again();
        bool is_drop_first = round % 2 == 0;
        door_start_text(is_drop_first ? &drop : &start, 0, is_drop_first ? DROP : START);
        rig_run_ms(round / 2 * ROUND_MS);
        door_start_text(is_drop_first ? &start : &drop, 1, is_drop_first ? START : DROP);
        expect_truth(&start, &drop, counts);
        door_free(&start);
        door_free(&drop);
    }
    cr_expect_gt(counts[0], 0);
    cr_expect_gt(counts[1], 0);
}

static bool is_either_done(void *context)
{
    struct door_ask *asks = context;
    return asks[0].is_done || asks[1].is_done;
}

Test(run_drop, of_two_drops_at_once_the_slower_one_takes_nothing_from_the_next_job)
{
    static struct door_ask drops[2];
    for (int round = 0; round < ROUNDS; round++) {
        stop_again();
        door_start_text(&drops[0], 0, DROP);
        rig_run_ms(round * ROUND_MS / 2);
        door_start_text(&drops[1], 1, DROP);
        cr_assert(rig_until(is_either_done, drops, DOOR_WAIT_MS));
        uint32_t winner = drops[0].is_done ? 0 : 1;
        cr_assert_str_eq(door_code(&drops[winner]), "");

        door_expect(winner, START, "");

        const char *other = door_code(&drops[1 - winner]);
        cr_assert(other[0] == '\0' || strcmp(other, "JOB_RUNS") == 0 ||
                      strcmp(other, "UNKNOWN_JOB") == 0,
                  "the other drop: %s", other);
        cr_assert_not_null(door_job("x"));
        cr_assert_eq(door_job("x")->wish, JOB_RUN);
        expect_topics(true);
        door_free(&drops[0]);
        door_free(&drops[1]);
    }
}

Test(run_drop, a_drop_that_ended_half_way_is_told_and_can_be_finished)
{
    door_expect(0, START, "");
    door_set_wish(0, "x", JOB_DROP);

    door_expect(1, START, "JOB_DROPPING");
    door_expect(1, "EXPLAIN INSERT INTO b SELECT key, 1 FROM a", "");
    door_expect(1, "CALL stop_job('x')", ""); /* Nothing runs: a script with both goes on. */
    Millrace__Control__Request request;
    millrace__control__request__init(&request);
    Millrace__Control__ListJobs list;
    millrace__control__list_jobs__init(&list);
    request.kind_case = MILLRACE__CONTROL__REQUEST__KIND_LIST_JOBS;
    request.list_jobs = &list;
    struct door_ask ask;
    door_start(&ask, 1, &request);
    cr_assert_str_eq(door_code(&ask), "");
    cr_assert_eq(ask.answer->n_jobs, 1);
    cr_expect_str_eq(ask.answer->jobs[0]->state, "stopped");
    cr_assert_not_null(ask.answer->jobs[0]->fault);
    cr_expect_str_eq(ask.answer->jobs[0]->fault->code, "JOB_DROPPING");
    door_free(&ask);
    door_expect(1, "DROP TABLE b", "");

    door_expect(1, DROP, "");

    cr_expect_null(door_job("x"));
    expect_topics(false);
}

Test(run_drop, what_was_refused_has_made_no_topics)
{
    door_expect(0, START, "");
    door_set_wish(0, "x", JOB_STOPPED);
    door_expect(0, DROP, "");
    door_expect(0, "SET job.name = 'x'; INSERT INTO b SELECT key, 1 FROM a", "");
    cr_expect(door_has_topic(topics[2]));
    cr_expect_not(door_has_topic(topics[0]));

    door_expect(1, START, "JOB_EXISTS");
    door_set_wish(0, "x", JOB_STOPPED);
    door_expect(1, START, "JOB_EXISTS");

    cr_expect_not(door_has_topic(topics[0]));
}

Test(run_drop, a_topic_that_is_no_fit_is_told_before_the_job_is)
{
    struct door_look made = {
        .wish = {.name = "__millrace-x-progress",
                 .partition_count = 7,
                 .deadline_ns = loop_now_ns(rig_loop) + DOOR_WAIT_MS * CLOCK_NS_PER_MS,
                 .on_done = door_look_on_done}};
    topic_maker_run(&door_admins[0], &made.wish);
    cr_assert(rig_until(door_look_is_done, &made, DOOR_WAIT_MS));
    cr_assert_eq(made.status, STATUS_OK);

    door_expect(0, START, "JOB_TOPIC_EXISTS");

    cr_expect_null(door_job("x"));
}

/* No task ever tells that it has stopped: the stop waits, until it has nothing to wait for. */
Test(run_drop, a_stop_waits_for_no_later_start)
{
    door_expect(0, START, "");
    struct door_ask ask;
    door_start_text(&ask, 1, "CALL stop_job('x')");
    rig_run_ms(3000);
    cr_assert_not(ask.is_done);
    cr_assert_eq(door_job("x")->wish, JOB_STOP);
    struct door_edit edits[2];
    door_edit_start(&edits[0], 1, "x", JOB_STOPPED);
    door_edit_start(&edits[1], 1, "x", JOB_RUN);
    edits[1].is_start = true;

    cr_expect_str_eq(door_code(&ask), "");

    cr_assert(rig_until(door_edit_is_done, &edits[1], DOOR_WAIT_MS));
    cr_expect_eq(door_job("x")->wish, JOB_RUN);
    door_free(&ask);
}
