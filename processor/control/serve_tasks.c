#include "processor/control/serve_tasks.h"

void serve_tasks(struct control_call *call)
{
    struct control *control = call->control;
    Millrace__Control__Answer answer;
    millrace__control__answer__init(&answer);
    size_t room = 0;
    list_for_each(link, &control->options.tasks->tasks)
    {
        room += 1;
    }
    answer.tasks = arena_take_array(&call->arena, room, sizeof *answer.tasks);
    Millrace__Control__TaskState *states = arena_take_array(&call->arena, room, sizeof *states);
    if (answer.tasks == NULL || states == NULL) {
        control_call_fail(call,
                          control_call_trouble(call, STATUS_NO_MEMORY, 0, "cannot list the tasks"));
        return;
    }
    list_for_each(link, &control->options.tasks->tasks)
    {
        struct local_task *task = container_of(link, struct local_task, in_set);
        Millrace__Control__TaskState *state = &states[answer.n_tasks];
        millrace__control__task_state__init(state);
        state->job = task->id->job;
        state->stage = task->id->stage;
        state->task = task->id->task;
        state->run = task->id->run;
        state->query_id = task->id->query_id;
        state->processor = control_call_print(call, "%s", control->options.name);
        state->state = control_call_print(call, "%s", local_tasks_state(task));
        state->reason = task->reason;
        state->progress = task->progress;
        state->epoch = task->progress == NULL ? 0 : task->progress->epoch;
        answer.tasks[answer.n_tasks] = state;
        answer.n_tasks += 1;
    }
    control_call_answer(call, &answer);
}

void serve_tasks_tables(struct control_call *call)
{
    struct catalog *catalog = call->control->options.catalog;
    Millrace__Control__Answer answer;
    millrace__control__answer__init(&answer);
    answer.tables = arena_take_array(&call->arena, catalog->entry_count, sizeof *answer.tables);
    struct catalog_entry *entry = NULL;
    while (answer.tables != NULL && (entry = catalog_next(catalog, CATALOG_TABLE, entry)) != NULL) {
        answer.tables[answer.n_tables] = entry->record->table;
        answer.n_tables += 1;
    }
    control_call_answer(call, &answer);
}
