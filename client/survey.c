#include "client/survey.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

static void forget(struct survey *self)
{
    for (uint32_t i = 0; i < self->part_count; i++) {
        millrace__control__answer__free_unpacked(self->parts[i].answer, NULL);
    }
    free(self->parts);
    self->parts = NULL;
    self->part_count = 0;
}

static void ask_on_done(struct processor_ask *ask, enum status status)
{
    struct survey_part *part = container_of(ask, struct survey_part, ask);
    struct survey *self = part->survey;
    if (status == STATUS_OK) {
        part->answer = millrace__control__answer__unpack(NULL, (size_t)ask->answer.byte_count,
                                                         ask->answer.bytes);
    }
    processor_core_ask_done(ask);
    check(self->open_count > 0);
    self->open_count -= 1;
    if (self->open_count == 0) {
        self->on_done(self);
    }
}

static size_t make_question(struct survey *self, int64_t answer_ms)
{
    Millrace__Control__Request request;
    millrace__control__request__init(&request);
    Millrace__Control__TaskStatus status;
    millrace__control__task_status__init(&status);
    request.version = 1;
    request.deadline_ms = answer_ms;
    request.kind_case = MILLRACE__CONTROL__REQUEST__KIND_TASK_STATUS;
    request.task_status = &status;
    check(millrace__control__request__get_packed_size(&request) <= sizeof self->question);
    return millrace__control__request__pack(&request, self->question);
}

static void look_on_done(struct processor_look *look, enum status status)
{
    struct survey *self = container_of(look, struct survey, look);
    uint32_t count = 0;
    while (status == STATUS_OK && processor_core_address(self->peers, count) != NULL) {
        count += 1;
    }
    self->parts = count == 0 ? NULL : calloc(count, sizeof *self->parts);
    self->look_status = count > 0 && self->parts == NULL ? STATUS_NO_MEMORY : status;
    if (self->parts == NULL) {
        self->on_done(self);
        return;
    }
    int64_t answer_ms = self->answer_ms > 0 ? self->answer_ms : SURVEY_MS;
    size_t byte_count = make_question(self, answer_ms);
    self->part_count = count;
    self->open_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct survey_part *part = &self->parts[i];
        part->survey = self;
        part->address = *processor_core_address(self->peers, i);
        part->ask = (struct processor_ask){.question = {self->question, (int32_t)byte_count},
                                           .target = &part->address,
                                           .deadline_ns = loop_now_ns(self->loop) +
                                                          answer_ms * CLOCK_NS_PER_MS,
                                           .is_repeatable = true,
                                           .on_done = ask_on_done};
        processor_core_run(self->peers, &part->ask);
    }
}

void survey_start(struct survey *self)
{
    forget(self);
    int64_t look_ns = self->look_ms * CLOCK_NS_PER_MS;
    self->look =
        (struct processor_look){.deadline_ns = look_ns > 0 ? loop_now_ns(self->loop) + look_ns : 0,
                                .on_done = look_on_done};
    processor_core_look(self->peers, &self->look);
}

void survey_done(struct survey *self)
{
    forget(self);
}

static bool is_task(const Millrace__Control__TaskState *state,
                    const Millrace__Processor__TaskId *id)
{
    return state->stage == id->stage && state->task == id->task && state->run == id->run &&
           state->query_id.len == id->query_id.len &&
           memcmp(state->query_id.data, id->query_id.data, id->query_id.len) == 0;
}

const Millrace__Control__TaskState *survey_find(const struct survey *self,
                                                const Millrace__Processor__TaskId *id)
{
    const Millrace__Control__TaskState *found = NULL;
    for (uint32_t p = 0; p < self->part_count; p++) {
        const Millrace__Control__Answer *answer = self->parts[p].answer;
        for (size_t t = 0; answer != NULL && t < answer->n_tasks; t++) {
            const Millrace__Control__TaskState *state = answer->tasks[t];
            if (is_task(state, id) && (found == NULL || strcmp(found->state, "starting") == 0)) {
                found = state;
            }
        }
    }
    return found;
}
