/* For tests of the door: two of them as two processors have, with a catalog each, against real
 * brokers in a simulated world. No processor runs a task here: what tasks would do to a job is
 * written into the catalog by the test. Statements are parsed in place and asked over a connection.
 */
#pragma once

#include "processor/control/control.h"
#include "processor/job/job_wish.h"
#include "processor/parser/sql_script.h"
#include "processor/task/job_topics.h"
#include "proto/frame/listener.h"
#include "proto/internal/control.pb-c.h"
#include "tests/unit/client/cluster_rig.h"

#include <string.h>

#define DOORS 2
#define DOOR_PORT 7101
#define DOOR_WAIT_MS 60000

/* One question and its answer. */
struct door_ask {
    struct processor_ask ask;
    uint8_t *question;                 /* Owned. */
    Millrace__Control__Answer *answer; /* Owned. */
    bool is_done;
};

static struct admin_core door_admins[DOORS];
static struct catalog door_catalogs[DOORS];
static struct processor_core door_peers[DOORS];
static struct control door_controls[DOORS];
static struct listener *door_listeners[DOORS];
static struct address door_addresses[DOORS];
static struct budget door_budget;
static struct processor_core door_caller;
static struct arena door_arena;
static int door_closed_count;

static inline void door_on_closed(void *context)
{
    (void)context;
    door_closed_count += 1;
}

static inline void door_on_changed(void *context)
{
    (void)context;
}

static inline bool door_are_ready(void *context)
{
    (void)context;
    return door_catalogs[0].is_ready && door_catalogs[1].is_ready;
}

static inline bool door_are_closed(void *context)
{
    return door_closed_count >= *(int *)context;
}

static inline void door_open(uint32_t index)
{
    struct admin_core_options admin = {.loop = rig_loop,
                                       .bootstrap = rig_bootstrap,
                                       .bootstrap_count = 3,
                                       .client_id = "door",
                                       .request_timeout_ms = 5000};
    admin_core_init(&door_admins[index], &admin);
    struct processor_core_options peers = {.loop = rig_loop,
                                           .bootstrap = rig_bootstrap,
                                           .bootstrap_count = 3,
                                           .client_id = "door",
                                           .request_timeout_ms = 5000};
    processor_core_init(&door_peers[index], &peers);
    struct catalog_options catalog = {.loop = rig_loop,
                                      .bootstrap = rig_bootstrap,
                                      .bootstrap_count = 3,
                                      .client_id = "door",
                                      .admin = &door_admins[index],
                                      .on_changed = door_on_changed,
                                      .on_closed = door_on_closed};
    catalog_init(&door_catalogs[index], &catalog);
    struct control_options control = {.loop = rig_loop,
                                      .catalog = &door_catalogs[index],
                                      .admin = &door_admins[index],
                                      .peers = &door_peers[index],
                                      .name = "door"};
    control_init(&door_controls[index], &control);
    struct connection_options shard = {.loop = rig_loop,
                                       .budget = &door_budget,
                                       .frame_bytes_max = (size_t)1 << 20,
                                       .on_frame = control_on_frame,
                                       .context = &door_controls[index]};
    struct listener_options listener = {
        .loop = rig_loop,
        .address = {.host = "0.0.0.0", .port = (uint16_t)(DOOR_PORT + index)},
        .shards = &shard,
        .shard_count = 1,
        .connection_count_max = 8};
    cr_assert_eq(listener_open(&listener, &door_listeners[index]), STATUS_OK);
    door_addresses[index] =
        (struct address){.host = "localhost", .port = (uint16_t)(DOOR_PORT + index)};
}

static inline void door_begin(uint64_t seed)
{
    rig_begin(3, seed);
    door_closed_count = 0;
    arena_init(&door_arena, (size_t)16 << 20);
    budget_init(&door_budget, (size_t)16 << 20);
    struct processor_core_options caller = {.loop = rig_loop,
                                            .bootstrap = rig_bootstrap,
                                            .bootstrap_count = 3,
                                            .client_id = "caller",
                                            .request_timeout_ms = 5000};
    processor_core_init(&door_caller, &caller);
    for (uint32_t i = 0; i < DOORS; i++) {
        door_open(i);
    }
    cr_assert(rig_until(door_are_ready, NULL, DOOR_WAIT_MS));
}

static inline void door_wait_closed(int count)
{
    cr_assert(rig_until(door_are_closed, &count, DOOR_WAIT_MS));
    door_closed_count = 0;
}

static inline void door_end(void)
{
    processor_core_close(&door_caller, door_on_closed, NULL);
    for (uint32_t i = 0; i < DOORS; i++) {
        listener_close(door_listeners[i], door_on_closed, NULL);
    }
    door_wait_closed(1 + DOORS);
    for (uint32_t i = 0; i < DOORS; i++) {
        control_close(&door_controls[i], door_on_closed, NULL);
        processor_core_close(&door_peers[i], door_on_closed, NULL);
        catalog_close(&door_catalogs[i]);
    }
    door_wait_closed(3 * DOORS);
    for (uint32_t i = 0; i < DOORS; i++) {
        admin_core_close(&door_admins[i], door_on_closed, NULL);
    }
    door_wait_closed(DOORS);
    arena_done(&door_arena);
    rig_end();
}

/* ---- asking ---- */

static inline void door_ask_on_done(struct processor_ask *ask, enum status status)
{
    struct door_ask *self = container_of(ask, struct door_ask, ask);
    cr_assert_eq(status, STATUS_OK, "the door said %s", status_text(status));
    self->answer =
        millrace__control__answer__unpack(NULL, (size_t)ask->answer.byte_count, ask->answer.bytes);
    cr_assert_not_null(self->answer);
    self->is_done = true;
}

static inline void door_start(struct door_ask *self, uint32_t door,
                              Millrace__Control__Request *request)
{
    *self = (struct door_ask){0};
    request->version = 1;
    request->deadline_ms = DOOR_WAIT_MS;
    size_t byte_count = millrace__control__request__get_packed_size(request);
    self->question = malloc(byte_count + 1);
    cr_assert_not_null(self->question);
    (void)millrace__control__request__pack(request, self->question);
    self->ask = (struct processor_ask){.question = {self->question, (int32_t)byte_count},
                                       .target = &door_addresses[door],
                                       .deadline_ns = loop_now_ns(rig_loop) +
                                                      2 * DOOR_WAIT_MS * CLOCK_NS_PER_MS,
                                       .on_done = door_ask_on_done};
    processor_core_run(&door_caller, &self->ask);
}

static inline void door_start_text(struct door_ask *self, uint32_t door, const char *text)
{
    Millrace__Plan__Script *script = NULL;
    arena_reset(&door_arena);
    cr_assert_eq(sql_script_parse(text, strlen(text), &door_arena, &script), STATUS_OK);
    cr_assert_null(script->fault, "%s", text);
    Millrace__Control__Run run;
    millrace__control__run__init(&run);
    run.script = script;
    Millrace__Control__Request request;
    millrace__control__request__init(&request);
    request.kind_case = MILLRACE__CONTROL__REQUEST__KIND_RUN;
    request.run = &run;
    door_start(self, door, &request);
}

static inline bool door_is_done(void *context)
{
    return ((struct door_ask *)context)->is_done;
}

/* The code of its fault; empty: it was done. */
static inline const char *door_code(struct door_ask *self)
{
    cr_assert(rig_until(door_is_done, self, 2 * DOOR_WAIT_MS));
    return self->answer->fault == NULL ? "" : self->answer->fault->code;
}

static inline void door_free(struct door_ask *self)
{
    millrace__control__answer__free_unpacked(self->answer, NULL);
    processor_core_ask_done(&self->ask);
    free(self->question);
    *self = (struct door_ask){0};
}

static inline void door_expect(uint32_t door, const char *text, const char *code)
{
    struct door_ask ask;
    door_start_text(&ask, door, text);
    const char *said = door_code(&ask);
    cr_assert_str_eq(said, code, "%s: %s, not %s", text, said, code);
    door_free(&ask);
}
