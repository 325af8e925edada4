/* Goal: every question gets exactly one answer, whatever the child does: it works, dies, hangs,
 * says nonsense, or is not there.
 * Method: the real program, and small shell scripts in its place, on a real loop. */
#include "processor/parser/parser_process.h"

#include "tests/unit/proto/sys/host/host_rig.h"

#include <string.h>
#include <sys/stat.h>

#define ASKS_MAX 100

static struct host_rig rig;
static struct parser_process *process;

struct question {
    struct parser_process_ask ask;
    enum status status;
    size_t statement_count;
    char fault[64];
    int answer_count;
    int place; /* In the order of answers. */
};

static struct question questions[ASKS_MAX];
static int answered_count;
static int awaited_count;
static bool is_closed;

static void set_up(void)
{
    host_rig_init(&rig);
}

TestSuite(parser_process, .init = set_up, .timeout = 60);

static void note_closed(void *context)
{
    cr_expect_eq(context, &rig);
    is_closed = true;
    host_rig_finish(&rig);
}

/* Ends each test: nothing of the child may be left for the loop. */
static void tear_down(void)
{
    parser_process_close(process, note_closed, &rig);
    host_rig_run(&rig);
    cr_expect(is_closed);
    host_rig_done(&rig);
}

static void note_answer(struct parser_process_ask *ask, enum status status,
                        const Millrace__Plan__Script *script)
{
    struct question *question = container_of(ask, struct question, ask);
    question->status = status;
    question->answer_count++;
    question->place = answered_count++;
    cr_expect_eq(script != NULL, status == STATUS_OK);
    if (script != NULL) {
        question->statement_count = script->n_statements;
        (void)snprintf(question->fault, sizeof question->fault, "%s",
                       script->fault == NULL ? "" : script->fault->code);
    }
    if (answered_count == awaited_count) {
        host_rig_finish(&rig);
    }
}

static void open_program(const char *program, int64_t deadline_ms)
{
    const struct parser_process_options options = {
        .loop = &rig.loop, .program = program, .deadline_ms = deadline_ms};
    cr_assert_eq(parser_process_open(&options, &process), STATUS_OK);
}

/* A shell script in the place of the program. */
static void open_script(const char *script, int64_t deadline_ms)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/parser", rig.directory);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_gt(fprintf(file, "#!/bin/sh\ncd '%s'\n%s\n", rig.directory, script), 0);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(chmod(path, 0700), 0);
    open_program(path, deadline_ms);
}

static void ask(int number, const char *text)
{
    questions[number].ask.on_done = note_answer;
    parser_process_ask(process, &questions[number].ask, text, strlen(text));
    cr_expect_eq(questions[number].answer_count, 0, "answered from inside");
}

static void wait_for(int count)
{
    awaited_count = count;
    host_rig_run(&rig);
    cr_assert_eq(answered_count, count);
}

Test(parser_process, texts_become_scripts_of_one_child)
{
    open_program(MILLRACE_PARSER, 0);
    ask(0, "DROP TABLE a; DROP TABLE b");
    ask(1, "DROP TABLE a; SELCT");
    ask(2, "");
    wait_for(3);

    cr_expect_eq(questions[0].status, STATUS_OK);
    cr_expect_eq(questions[0].statement_count, 2);
    cr_expect_str_eq(questions[0].fault, "");
    cr_expect_eq(questions[1].statement_count, 1);
    cr_expect_str_eq(questions[1].fault, "SYNTAX");
    cr_expect_eq(questions[2].statement_count, 0);
    tear_down();
}

Test(parser_process, questions_are_answered_in_order_and_bounded)
{
    open_program(MILLRACE_PARSER, 0);
    for (int i = 0; i < ASKS_MAX; i++) {
        ask(i, "DROP TABLE a");
    }
    wait_for(ASKS_MAX);

    int full_count = 0;
    for (int i = 0; i < ASKS_MAX; i++) {
        cr_expect_eq(questions[i].answer_count, 1);
        full_count += questions[i].status == STATUS_FULL ? 1 : 0;
        bool is_before = i > 0 && questions[i].status == STATUS_OK;
        cr_expect(!is_before || questions[i].place > questions[i - 1].place);
    }
    cr_expect_eq(full_count, ASKS_MAX - (int)PARSER_PROCESS_ASKS_MAX);
    tear_down();
}

Test(parser_process, a_text_too_long_is_told_so)
{
    static char text[PARSER_PROCESS_TEXT_BYTES_MAX + 1000];
    memset(text, ' ', sizeof text - 1);
    open_program(MILLRACE_PARSER, 0);
    ask(0, text);
    text[PARSER_PROCESS_TEXT_BYTES_MAX] = '\0';
    ask(1, text);
    wait_for(2);

    cr_expect_str_eq(questions[0].fault, "TOO_LONG");
    cr_expect_eq(questions[1].status, STATUS_OK);
    cr_expect_str_eq(questions[1].fault, "");
    tear_down();
}

Test(parser_process, a_child_that_dies_fails_its_question_and_the_next_has_another)
{
    open_script("if [ -e seen ]; then exec '" MILLRACE_PARSER "'; fi\n"
                "touch seen; head -c 5 >/dev/null; kill -9 $$",
                0);
    ask(0, "DROP TABLE a");
    ask(1, "DROP TABLE a");
    wait_for(2);

    cr_expect_eq(questions[0].status, STATUS_UNKNOWN);
    cr_expect_eq(questions[1].status, STATUS_OK);
    cr_expect_eq(questions[1].statement_count, 1);
    tear_down();
}

Test(parser_process, a_child_that_ends_at_once_fails_each_question)
{
    open_script("exit 3", 0);
    for (int i = 0; i < 5; i++) {
        ask(i, "DROP TABLE a");
    }
    wait_for(5);

    for (int i = 0; i < 5; i++) {
        cr_expect_eq(questions[i].status, STATUS_UNKNOWN);
    }
    tear_down();
}

Test(parser_process, a_child_that_hangs_is_replaced_at_the_deadline)
{
    open_script("if [ -e seen ]; then exec '" MILLRACE_PARSER "'; fi\n"
                "touch seen; exec sleep 600",
                200);
    ask(0, "DROP TABLE a");
    wait_for(1);
    cr_expect_eq(questions[0].status, STATUS_TIMEOUT);

    ask(1, "DROP TABLE a");
    wait_for(2);

    cr_expect_eq(questions[1].answer_count, 1);
    tear_down();
}

Test(parser_process, nonsense_is_not_believed)
{
    open_script("printf '\\377\\377\\377\\377'; exec cat >/dev/null", 0);
    ask(0, "DROP TABLE a");
    wait_for(1);
    cr_expect_eq(questions[0].status, STATUS_UNKNOWN);
    tear_down();
}

Test(parser_process, bytes_that_are_no_script_are_not_believed)
{
    open_script("head -c 4 >/dev/null; printf '\\000\\000\\000\\003\\377\\377\\377'; "
                "exec cat >/dev/null",
                0);
    ask(0, "DROP TABLE a");
    wait_for(1);
    cr_expect_eq(questions[0].status, STATUS_UNKNOWN);
    tear_down();
}

Test(parser_process, a_program_that_is_not_there_is_told)
{
    open_program("/nowhere/millrace-parser", 0);
    ask(0, "DROP TABLE a");
    ask(1, "DROP TABLE a");
    wait_for(2);

    cr_expect_eq(questions[0].status, STATUS_NOT_FOUND);
    cr_expect_eq(questions[1].status, STATUS_NOT_FOUND);
    cr_expect_not_null(strstr(parser_process_reason(questions[0].status).why, "cannot be started"));
    tear_down();
}

Test(parser_process, every_way_to_fail_has_a_fix_of_its_own_and_none_says_no_such_thing)
{
    static const enum status ways[] = {STATUS_NOT_FOUND, STATUS_UNKNOWN,  STATUS_TIMEOUT,
                                       STATUS_FULL,      STATUS_CANCELED, STATUS_NO_MEMORY};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct parser_process_reason reason = parser_process_reason(ways[i]);
        cr_expect(strlen(reason.fix) > 0);
        cr_expect_null(strstr(reason.why, "no such thing"));
    }
}

Test(parser_process, closing_cancels_what_waits)
{
    open_script("exec sleep 600", 0);
    ask(0, "DROP TABLE a");
    ask(1, "DROP TABLE a");
    awaited_count = -1;
    tear_down();

    cr_expect_eq(answered_count, 2);
    cr_expect_eq(questions[0].status, STATUS_CANCELED);
    cr_expect_eq(questions[1].status, STATUS_CANCELED);
}
