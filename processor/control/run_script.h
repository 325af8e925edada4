/* One run of a Script: where it stands, and how its statements go on.
 *
 * Each kind of statement is served in a file of its own, which ends by run_script_done() or
 * run_script_fail(). Before it begins, the catalog has been read to its end.
 *
 * Owner: the call. Loop: the control's. */
#pragma once

#include "client/group_delete.h"
#include "processor/control/control_call.h"
#include "processor/job/job_wish.h"
#include "processor/plan/plan_check.h"

#define RUN_SCRIPT_RESULTS_MAX 1024U
#define RUN_SCRIPT_TOPICS_MAX 3U

struct run_script {
    struct control_call *call;
    Millrace__Plan__Script *script; /* Owned, or the request's. */
    bool is_script_owned;
    const char *text; /* NULL: none was given. */
    size_t text_bytes;
    size_t index;
    const Millrace__Plan__Statement *statement;
    struct plan_settings settings;
    struct parser_process_ask parse;
    struct catalog_barrier barrier;
    struct topic_wish wish;
    struct catalog_write write;
    Millrace__Plan__Fault *fault; /* Of a decision. */
    Millrace__Control__StatementResult **results;
    size_t result_count;
    /* What the statement under way works on. */
    Millrace__Plan__Table *table;
    Millrace__Plan__JobPlan *plan;
    const Millrace__Plan__Insert *insert;
    const char *job_name;
    const char *done_kind;
    struct run_topic {
        char name[TOPIC_MAKER_NAME_BYTES_MAX];
        uint32_t partition_count;
        struct wire_uuid id;
    } topics[RUN_SCRIPT_TOPICS_MAX];
    uint32_t topic_count;
    uint32_t topic_index;
    uint32_t internal_index; /* Of the job's own topics. */
    uint64_t removed_jobs;   /* By the catalog, when the first of them was looked for. */
    bool is_outdated;        /* They were made while a job was dropped. */
    struct job_wish_run dropped;
    char group[JOB_TOPICS_NAME_BYTES_MAX];
    struct group_delete group_delete;
};

/* The question: a text of statements, or a Script that somebody else made. */
void run_script_serve(struct control_call *call);
/* The statement is done; `text` may be NULL. */
void run_script_done(struct run_script *self, const char *kind, const char *name, const char *text);
/* The run ends here. */
void run_script_fail(struct run_script *self, Millrace__Plan__Fault *fault);
void run_script_trouble(struct run_script *self, enum status status, int16_t error_code,
                        const char *what);
/* A copy of the fault of a check, in the call's arena; or "no memory". */
Millrace__Plan__Fault *run_script_fault_of(struct run_script *self, enum status status,
                                           const struct plan_fault *fault);
struct catalog *run_script_catalog(struct run_script *self);
/* True: the door closes, and the run has ended with that. Before anything new is begun. */
bool run_script_is_over(struct run_script *self);
