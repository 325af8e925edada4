#include "client/millrace/sql_answer.h"

#include "client/millrace/admin_wait.h"
#include "client/millrace/processor_wait.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define RESULT_BYTES_MAX ((size_t)64 << 20)

/* An answer for the application: its arena goes with it. */
struct sql_memory {
    struct millrace_sql_answer answer;
    struct arena arena;
};

/* Empty gives null. */
static struct millrace_bytes keep(struct arena *arena, const char *text)
{
    return admin_wait_keep(arena, text == NULL || text[0] == '\0' ? (struct wire_text){NULL, -1}
                                                                  : wire_text_of(text));
}

static struct sql_memory *keep_results(const Millrace__Control__Answer *from)
{
    struct sql_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL) {
        return NULL;
    }
    arena_init(&memory->arena, RESULT_BYTES_MAX);
    void **rows =
        admin_wait_rows(&memory->arena, from->n_results, sizeof(struct millrace_sql_result));
    for (size_t i = 0; rows != NULL && i < from->n_results; i++) {
        struct millrace_sql_result *row = rows[i];
        row->kind = keep(&memory->arena, from->results[i]->kind);
        row->name = keep(&memory->arena, from->results[i]->name);
        row->text = keep(&memory->arena, from->results[i]->text);
    }
    memory->answer.results = (const struct millrace_sql_result *const *)rows;
    memory->answer.result_count = rows == NULL ? 0 : from->n_results;
    memory->answer.fault_position = from->fault == NULL ? -1 : (int64_t)from->fault->position;
    return memory;
}

int sql_answer_ask(struct millrace_client *client, const struct sql_question *question,
                   struct millrace_sql_answer **out_answer, struct millrace_error *error)
{
    Millrace__Control__Request request;
    millrace__control__request__init(&request);
    request.kind_case = MILLRACE__CONTROL__REQUEST__KIND_RUN;
    request.run = question->run;
    struct processor_wait wait = {&request, question->until_ns, question->what, false};
    Millrace__Control__Answer *answer = NULL;
    int code = processor_wait_ask(client, &wait, &answer, error);
    *out_answer = NULL;
    if (answer != NULL) {
        struct sql_memory *memory = keep_results(answer);
        millrace__control__answer__free_unpacked(answer, NULL);
        *out_answer = memory == NULL ? NULL : &memory->answer;
    }
    return code;
}

void sql_answer_free(struct millrace_sql_answer *answer)
{
    if (answer != NULL) {
        struct sql_memory *memory = container_of(answer, struct sql_memory, answer);
        arena_done(&memory->arena);
        free(memory);
    }
}
