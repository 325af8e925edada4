/* A job of two stages on brokers and processors that die: at every named point of an epoch, at any
 * other time, all at once; its tasks move while their former owner still runs them.
 *
 * Goal: what a committed reader sees of the sink and of the late rows is the offline computation:
 * each window and key once, nothing missing; no last stable offset is stuck; lag tools
 * see in the end that all was read; a stop is committed.
 * Method: an idempotent feeder, tasks on two nodes, owners that change with and without a word to
 * the former one; in the calm everything is read and compared, then all tasks are stopped. */
#include "tests/sim/sim_workload.h"

#include "client/producer_core.h"
#include "processor/task/task.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/offset_fetch.h"
#include "proto/sys/check.h"
#include "tests/rig/kafka_talk.h"
#include "tests/sim/job_plan.h"
#include "tests/sim/job_sums.h"
#include "tests/sim/sim_fault.h"

#include <stdlib.h>
#include <string.h>

#define WORKERS 2U
#define CALM_NS (180 * SIM_S)
#define OUT_PARTITIONS 2
#define READ_TOPICS 3
#define ROWS_PER_PARTITION 400
#define CLOSING_ROWS 5

struct play;

/* In the worker's own memory. */
struct worker_state {
    struct task *tasks[JOB_PLAN_TASKS];
};

struct worker {
    struct play *play;
    struct sim_node *node;
    uint32_t index;
};

/* A task on a worker, for the callbacks. */
struct seat {
    struct worker *worker;
    uint32_t number;
};

struct play {
    struct sim_world *world;
    struct prng *prng;
    struct broker_world brokers;
    uint32_t broker_count;
    struct sim_fault fault;
    struct worker workers[WORKERS];
    struct seat seats[WORKERS][JOB_PLAN_TASKS];
    uint32_t owners[JOB_PLAN_TASKS];
    bool is_stopping;
    bool has_stopped[JOB_PLAN_TASKS];
    bool is_calm;
    /* The next death at a named point. */
    enum task_point doom;
    uint32_t doom_left;
    uint32_t point_counts[TASK_POINT_COUNT];
    uint32_t death_counts[TASK_POINT_COUNT];
    uint32_t fenced_count;
    uint32_t restart_count;
    struct job_sums sums;
    /* The feeder. */
    struct sim_node *feeder;
    struct producer_core *producer; /* The feeder's memory. */
    int64_t pace_ns;
    int32_t fed_count; /* Rows of each partition. */
    int32_t goal;
    int64_t delivered_count;
    int64_t at_s[JOB_PLAN_PARTITIONS];
    /* The reader of results. */
    struct sim_node *reader;
    struct source *sources[READ_TOPICS];
    bool is_read[READ_TOPICS];
    uint32_t open_sources;
};

static void bootstrap_of(const struct play *play, struct address out[3])
{
    for (uint32_t i = 0; i < play->broker_count; i++) {
        out[i] = (struct address){.port = BROKER_WORLD_PORT};
        (void)snprintf(out[i].host, sizeof out[i].host, "node-%u", i + 1);
    }
}

/* ---- workers ---- */

static void open_task(struct worker *worker, uint32_t number);

static void on_state(void *context, enum task_state state, const char *why)
{
    struct seat *seat = context;
    struct play *play = seat->worker->play;
    play->restart_count += state == TASK_RESTARTING;
    sim_world_note(play->world, "task %u on worker %u is %s %s", seat->number, seat->worker->index,
                   task_state_name(state), why == NULL ? "" : why);
}

static void on_progress(void *context, const Millrace__Processor__Progress *progress)
{
    struct seat *seat = context;
    sim_world_note(seat->worker->play->world, "task %u on worker %u: epoch %llu, %llu rows",
                   seat->number, seat->worker->index, (unsigned long long)progress->epoch,
                   (unsigned long long)progress->totals->input_rows);
}

static void on_failed(void *context, const Millrace__Plan__Fault *fault)
{
    struct seat *seat = context;
    sim_world_fail(seat->worker->play->world, "task %u failed: %s %s; %s", seat->number,
                   fault->code, fault->what, fault->why);
}

static void on_fenced(void *context)
{
    struct seat *seat = context;
    struct worker_state *state = seat->worker->node->state;
    seat->worker->play->fenced_count += 1;
    sim_world_note(seat->worker->play->world, "task %u on worker %u is fenced", seat->number,
                   seat->worker->index);
    task_close(state->tasks[seat->number]);
}

static void on_stopped(void *context)
{
    struct seat *seat = context;
    struct worker_state *state = seat->worker->node->state;
    seat->worker->play->has_stopped[seat->number] = true;
    task_close(state->tasks[seat->number]);
}

static void open_again(void *context, uint64_t number)
{
    open_task(context, (uint32_t)number);
}

static void on_closed(void *context)
{
    struct seat *seat = context;
    struct play *play = seat->worker->play;
    struct worker_state *state = seat->worker->node->state;
    state->tasks[seat->number] = NULL;
    if (play->owners[seat->number] == seat->worker->index && !play->has_stopped[seat->number]) {
        sim_world_after_in(play->world, seat->worker->node, 300 * SIM_MS, SIM_EVENT_WORKLOAD,
                           open_again, seat->worker, seat->number);
    }
}

static void on_point(void *context, enum task_point point)
{
    struct seat *seat = context;
    struct play *play = seat->worker->play;
    play->point_counts[point] += 1;
    if (play->doom != point || play->doom_left == 0) {
        return;
    }
    play->doom_left -= 1;
    if (play->doom_left == 0) {
        play->death_counts[point] += 1;
        sim_world_note(play->world, "worker %u dies at %s of task %u", seat->worker->index,
                       task_point_name(point), seat->number);
        sim_node_exit(seat->worker->node);
    }
}

static void open_task(struct worker *worker, uint32_t number)
{
    struct play *play = worker->play;
    struct worker_state *state = worker->node->state;
    if (state->tasks[number] != NULL || play->owners[number] != worker->index) {
        return;
    }
    struct address bootstrap[3];
    bootstrap_of(play, bootstrap);
    bool is_first = number < JOB_PLAN_FIRST_TASKS;
    struct task_options options = {.loop = sim_node_loop(worker->node, 0),
                                   .bootstrap = bootstrap,
                                   .bootstrap_count = play->broker_count,
                                   .client_id = "worker",
                                   .plan = job_plan(),
                                   .stage = is_first ? 0 : 1,
                                   .task = is_first ? number : number - JOB_PLAN_FIRST_TASKS,
                                   .run = 1,
                                   .epoch_bytes_max = 2000,
                                   .transaction_timeout_ms = 10000,
                                   .request_timeout_ms = 3000,
                                   .trim_interval_ms = 700,
                                   .changelog_rows_min = 60,
                                   .on_state = on_state,
                                   .on_progress = on_progress,
                                   .on_failed = on_failed,
                                   .on_fenced = on_fenced,
                                   .on_stopped = on_stopped,
                                   .on_closed = on_closed,
                                   .on_point = on_point,
                                   .context = &play->seats[worker->index][number]};
    enum status status = task_open(&options, &state->tasks[number]);
    check(status == STATUS_OK);
    if (play->is_stopping) {
        task_stop(state->tasks[number]);
    }
}

static void worker_boot(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    struct worker *worker = node->options.context;
    check(loops != NULL);
    check(loop_count == 1);
    struct worker_state *state = calloc(1, sizeof *state);
    check(state != NULL);
    node->state = state;
    for (uint32_t i = 0; i < JOB_PLAN_TASKS; i++) {
        open_task(worker, i);
    }
}

static void worker_start_again(void *context, uint64_t value)
{
    struct worker *worker = context;
    (void)value;
    if (!worker->node->is_up) {
        (void)sim_node_start(worker->node);
    }
}

static void worker_on_death(struct sim_node *node, enum sim_node_death death)
{
    struct worker *worker = node->options.context;
    (void)death;
    int64_t pause_ns = sim_world_between(worker->play->prng, 50 * SIM_MS, 1500 * SIM_MS);
    sim_world_after(worker->play->world, pause_ns, SIM_EVENT_WORKLOAD, worker_start_again, worker,
                    0);
}

/* ---- owners ---- */

static void close_former(void *context, uint64_t number)
{
    struct worker *worker = context;
    struct worker_state *state = worker->node->state;
    if (worker->play->owners[number] != worker->index && state->tasks[number] != NULL) {
        task_close(state->tasks[number]);
    }
}

/* The new owner opens it; the former one hears of it at some time, and runs on meanwhile. */
static void move_task(struct play *play)
{
    uint32_t number = (uint32_t)prng_below(play->prng, JOB_PLAN_TASKS);
    struct worker *former = &play->workers[play->owners[number]];
    struct worker *next = &play->workers[1 - former->index];
    play->owners[number] = next->index;
    sim_world_note(play->world, "task %u moves to worker %u", number, next->index);
    if (next->node->is_up) {
        sim_world_after_in(play->world, next->node, 0, SIM_EVENT_WORKLOAD, open_again, next,
                           number);
    }
    if (former->node->is_up) {
        sim_world_after_in(play->world, former->node, sim_world_between(play->prng, 0, 4 * SIM_S),
                           SIM_EVENT_WORKLOAD, close_former, former, number);
    }
}

static void resume(void *context, uint64_t value)
{
    struct worker *worker = context;
    (void)value;
    if (worker->node->is_up) {
        sim_node_resume(worker->node);
    }
}

static void trouble(void *context, uint64_t value)
{
    struct play *play = context;
    (void)value;
    if (play->is_calm) {
        return;
    }
    struct worker *victim = &play->workers[prng_below(play->prng, WORKERS)];
    uint64_t kind = prng_below(play->prng, 10);
    if (kind < 5) {
        play->doom = (enum task_point)prng_below(play->prng, TASK_POINT_COUNT);
        play->doom_left = 1 + (uint32_t)prng_below(play->prng, 6);
    } else if (kind < 8) {
        move_task(play);
    } else if (kind < 9) {
        sim_node_kill(victim->node);
    } else if (victim->node->is_up && !victim->node->is_paused) {
        sim_node_pause(victim->node);
        sim_world_after(play->world, sim_world_between(play->prng, SIM_S / 2, 15 * SIM_S),
                        SIM_EVENT_WORKLOAD, resume, victim, 0);
    }
    sim_world_after(play->world, sim_world_between(play->prng, SIM_S / 10, SIM_S),
                    SIM_EVENT_WORKLOAD, trouble, play, 0);
}

/* ---- the feeder ---- */

static struct play *feeder_play(void *context)
{
    struct sim_node *node = context;
    return node->options.context;
}

static void feeder_on_delivery(void *context, const struct producer_delivery *delivery)
{
    struct play *play = feeder_play(context);
    if (delivery->status != STATUS_OK) {
        sim_world_fail(play->world, "the feeder: %s %d", status_text(delivery->status),
                       delivery->error_code);
    }
    play->delivered_count += 1;
}

static void feeder_on_closed(void *context)
{
    (void)context;
}

static void send_row(struct play *play, int32_t partition, const char *json, int32_t byte_count)
{
    struct producer_record record = {.topic = wire_text_of(JOB_PLAN_SOURCE),
                                     .partition = partition,
                                     .record = {.timestamp_ms = clock_wall_ms(&play->feeder->clock),
                                                .key = {.byte_count = -1},
                                                .value = {(const uint8_t *)json, byte_count}}};
    check(producer_core_send(play->producer, &record) == STATUS_OK);
}

static void feed_row(struct play *play, int32_t partition)
{
    char json[JOB_SUMS_ROW_BYTES];
    play->at_s[partition] += sim_world_between(play->prng, 0, 5);
    int64_t at_s = play->at_s[partition];
    if (prng_below(play->prng, 20) == 0) { /* Behind its partition's watermark, now and then. */
        int64_t back_s = sim_world_between(play->prng, 0, 60);
        at_s = at_s > back_s ? at_s - back_s : 0;
    }
    int key = (int)prng_below(play->prng, JOB_SUMS_KEYS);
    int64_t value = sim_world_between(play->prng, -50, 100);
    send_row(play, partition, json, job_sums_send(&play->sums, at_s, key, value, json));
}

static void feed(void *context, uint64_t value)
{
    struct play *play = context;
    (void)value;
    if (play->fed_count == play->goal) {
        return;
    }
    for (int32_t p = 0; p < JOB_PLAN_PARTITIONS; p++) {
        if (play->fed_count < ROWS_PER_PARTITION) {
            feed_row(play, p);
        } else { /* Far behind all windows, so that these close. */
            char json[JOB_SUMS_ROW_BYTES];
            int64_t at_s = 20 * 3600 + 60 * (play->fed_count - ROWS_PER_PARTITION);
            send_row(play, p, json, job_sums_send(&play->sums, at_s, -1, 1, json));
        }
    }
    play->fed_count += 1;
    sim_world_after_in(play->world, play->feeder, sim_world_between(play->prng, 0, play->pace_ns),
                       SIM_EVENT_WORKLOAD, feed, play, 0);
}

static void feeder_boot(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    struct play *play = node->options.context;
    check(loop_count == 1);
    struct address bootstrap[3];
    bootstrap_of(play, bootstrap);
    play->producer = calloc(1, sizeof *play->producer);
    check(play->producer != NULL);
    struct producer_core_options options = {.loop = &loops[0],
                                            .bootstrap = bootstrap,
                                            .bootstrap_count = play->broker_count,
                                            .client_id = "feeder",
                                            .batch_bytes_max = 600,
                                            .record_bytes_max = 10000,
                                            .buffer_bytes_max = 64 << 20,
                                            .request_timeout_ms = 3000,
                                            .delivery_timeout_ms = 3600 * 1000,
                                            .on_delivery = feeder_on_delivery,
                                            .on_closed = feeder_on_closed,
                                            .context = node};
    producer_core_init(play->producer, &options);
}

/* ---- the reader ---- */

static const char *const read_topics[READ_TOPICS] = {JOB_PLAN_SINK, JOB_PLAN_LATE, JOB_PLAN_SOURCE};
static const uint32_t read_partitions[READ_TOPICS] = {OUT_PARTITIONS, 1, JOB_PLAN_PARTITIONS};
static void (*const takers[READ_TOPICS])(struct job_sums *self, const struct source_rows *rows) = {
    job_sums_take_output, job_sums_take_late, job_sums_take_input};

static void reader_on_news(void *context)
{
    struct sim_node *node = context;
    struct play *play = node->options.context;
    for (int i = 0; i < READ_TOPICS; i++) {
        struct source *source = play->sources[i];
        if (source == NULL) {
            continue;
        }
        source_seal(source, SIZE_MAX);
        struct source_rows rows;
        while (source_take(source, &rows) == STATUS_OK) {
            takers[i](&play->sums, &rows);
            source_release(source);
        }
        play->is_read[i] = source_is_done(source);
    }
}

static void reader_on_fault(void *context, const struct source_fault *fault)
{
    struct sim_node *node = context;
    struct play *play = node->options.context;
    sim_world_fail(play->world, "partition %d of the results cannot be read: %s %d",
                   fault->partition, status_text(fault->status), fault->error_code);
}

static void reader_on_closed(void *context)
{
    struct sim_node *node = context;
    struct play *play = node->options.context;
    play->open_sources -= 1;
}

static void reader_boot(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    struct play *play = node->options.context;
    check(loop_count == 1);
    struct address bootstrap[3];
    bootstrap_of(play, bootstrap);
    struct source_start starts[JOB_PLAN_PARTITIONS] = {
        {.partition = 0}, {.partition = 1}, {.partition = 2}};
    for (int i = 0; i < READ_TOPICS; i++) {
        struct source_options options = {.loop = &loops[0],
                                         .bootstrap = bootstrap,
                                         .bootstrap_count = play->broker_count,
                                         .client_id = "reader",
                                         .topic = read_topics[i],
                                         .starts = starts,
                                         .start_count = read_partitions[i],
                                         .is_bounded = true,
                                         .buffer_bytes_max = 4 << 20,
                                         .fetch_wait_ms = 100,
                                         .request_timeout_ms = 3000,
                                         .on_news = reader_on_news,
                                         .on_fault = reader_on_fault,
                                         .on_closed = reader_on_closed,
                                         .context = node};
        enum status status = source_open(&options, &play->sources[i]);
        check(status == STATUS_OK);
        play->open_sources += 1;
    }
}

static bool has_read(void *context)
{
    const struct play *play = context;
    return play->is_read[0] && play->is_read[1] && play->is_read[2];
}

/* All that is committed now; false: it does not end, because something holds a stable end. */
static bool read_results(struct play *play)
{
    job_sums_forget_output(&play->sums);
    for (int i = 0; i < READ_TOPICS; i++) {
        play->is_read[i] = false;
        play->sources[i] = NULL;
    }
    check(sim_node_start(play->reader));
    bool is_well = sim_world_run_until(play->world, has_read, play, CALM_NS);
    sim_node_kill(play->reader);
    if (!is_well) {
        sim_world_fail(play->world, "the results cannot be read to their end");
    }
    return is_well;
}

/* ---- what lag tools see ---- */

static bool fetch_offsets(struct play *play, uint32_t broker,
                          struct kafka_offset_fetch_response *answer, struct wire_client *client)
{
    char group[JOB_TOPICS_NAME_BYTES_MAX];
    job_topics_group(job_plan(), group);
    int32_t partitions[JOB_PLAN_PARTITIONS] = {0, 1, 2};
    struct kafka_offset_fetch_request_offset_fetch_request_topic topic = {
        .name = wire_text_of(JOB_PLAN_SOURCE),
        .partition_indexes = partitions,
        .partition_indexes_count = JOB_PLAN_PARTITIONS};
    struct kafka_offset_fetch_request request;
    kafka_offset_fetch_request_defaults(&request);
    request.group_id = wire_text_of(group);
    request.topics = &topic;
    request.topics_count = 1;
    wire_client_open(client, &play->brokers, broker);
    return wire_client_call(client, API_KEY_OFFSET_FETCH, 7, &request, answer) &&
           answer->error_code == ERROR_CODE_NONE;
}

/* Of one broker: does it tell that the job has read all? */
static bool tells_end(struct play *play, uint32_t broker)
{
    struct wire_client client;
    struct kafka_offset_fetch_response answer;
    bool is_end = fetch_offsets(play, broker, &answer, &client);
    for (int p = 0; is_end && p < JOB_PLAN_PARTITIONS; p++) {
        is_end = answer.topics[0].partitions[p].committed_offset == play->goal;
    }
    wire_client_close(&client);
    return is_end;
}

/* Soon, whatever former owners said too late. */
static bool wait_for_group(struct play *play)
{
    int64_t deadline_ns = play->world->now_ns + CALM_NS;
    while (play->world->now_ns < deadline_ns) {
        for (uint32_t i = 0; i < play->broker_count; i++) {
            if (tells_end(play, i)) {
                return true;
            }
        }
        if (!sim_world_run_for(play->world, SIM_S)) {
            return false;
        }
    }
    sim_world_fail(play->world, "the job's group does not come to the end of the input");
    return false;
}

/* ---- the calm ---- */

static bool is_fed(void *context)
{
    const struct play *play = context;
    return play->fed_count == play->goal &&
           play->delivered_count == (int64_t)play->goal * JOB_PLAN_PARTITIONS;
}

static bool has_stopped(void *context)
{
    const struct play *play = context;
    for (uint32_t i = 0; i < JOB_PLAN_TASKS; i++) {
        if (!play->has_stopped[i]) {
            return false;
        }
    }
    return true;
}

static void stop_tasks(void *context)
{
    struct worker *worker = context;
    struct worker_state *state = worker->node->state;
    for (uint32_t i = 0; i < JOB_PLAN_TASKS; i++) {
        if (worker->play->owners[i] == worker->index && state->tasks[i] != NULL) {
            task_stop(state->tasks[i]);
        }
    }
}

static void calm_down(struct play *play)
{
    play->is_calm = true;
    play->doom_left = 0;
    if (play->fault.world != NULL) {
        sim_fault_stop(&play->fault);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        if (play->workers[i].node->is_paused) {
            sim_node_resume(play->workers[i].node);
        }
    }
    if (!sim_world_run_until(play->world, is_fed, play, CALM_NS)) {
        sim_world_fail(play->world, "the input is not in the logs: %d of %d rows sent",
                       play->fed_count, play->goal);
        return;
    }
    int64_t deadline_ns = play->world->now_ns + CALM_NS;
    do {
        if (!sim_world_run_for(play->world, 2 * SIM_S) || !read_results(play)) {
            return;
        }
    } while (!job_sums_is_whole(&play->sums) && play->world->now_ns < deadline_ns);
    job_sums_compare(&play->sums);
    if (!wait_for_group(play)) {
        return;
    }
    play->is_stopping = true;
    for (uint32_t i = 0; i < WORKERS; i++) {
        if (play->workers[i].node->is_up) {
            (void)sim_node_run(play->workers[i].node, stop_tasks, &play->workers[i]);
        }
    }
    if (!sim_world_run_until(play->world, has_stopped, play, CALM_NS)) {
        sim_world_fail(play->world, "a task does not stop");
        return;
    }
    if (read_results(play)) {
        job_sums_compare(&play->sums);
    }
}

/* ---- the play ---- */

static void create_topics(struct play *play)
{
    /* The time of a result is its window's end, which may be long ago. */
    static const struct kafka_talk_config keep[] = {{"retention.ms", "-1"}, {NULL, NULL}};
    struct wire_client client;
    wire_client_open(&client, &play->brokers, 0);
    int16_t factor = (int16_t)play->broker_count;
    check(kafka_talk_create(&client, JOB_PLAN_SOURCE, JOB_PLAN_PARTITIONS, factor, NULL) == 0);
    check(kafka_talk_create(&client, JOB_PLAN_SINK, OUT_PARTITIONS, factor, keep) == 0);
    check(kafka_talk_create(&client, JOB_PLAN_LATE, 1, factor, NULL) == 0);
    for (uint32_t i = 0; i < job_topics_count(job_plan()); i++) {
        struct job_topic topic;
        job_topics_get(job_plan(), i, &topic);
        check(kafka_talk_create(&client, topic.name, (int32_t)topic.partition_count, factor,
                                keep) == 0);
    }
    wire_client_close(&client);
}

static void add_nodes(struct play *play)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *worker = &play->workers[i];
        *worker = (struct worker){.play = play, .index = i};
        for (uint32_t j = 0; j < JOB_PLAN_TASKS; j++) {
            play->seats[i][j] = (struct seat){.worker = worker, .number = j};
        }
        worker->node =
            sim_node_add(play->world, &(struct sim_node_options){.loop_count = 1,
                                                                 .boot = worker_boot,
                                                                 .on_death = worker_on_death,
                                                                 .context = worker});
    }
    play->feeder = sim_node_add(
        play->world,
        &(struct sim_node_options){.loop_count = 1, .boot = feeder_boot, .context = play});
    play->reader = sim_node_add(
        play->world,
        &(struct sim_node_options){.loop_count = 1, .boot = reader_boot, .context = play});
}

static void start_nemesis(struct play *play)
{
    struct sim_fault_profile profile =
        *sim_fault_profile(play->broker_count == 1 ? "crash" : "mixed");
    profile.interval_ns_max = sim_world_between(play->prng, 2 * SIM_S, 8 * SIM_S);
    profile.repair_ns_max = sim_world_between(play->prng, SIM_S / 2, 3 * SIM_S);
    /* Brokers refuse times that are far ahead of their own clock. */
    profile.weights[SIM_FAULT_WALL_JUMP] = 0;
    struct sim_node *targets[3];
    for (uint32_t i = 0; i < play->broker_count; i++) {
        targets[i] = play->brokers.brokers[i].node;
    }
    sim_fault_start(&play->fault, play->world, &profile, targets, play->broker_count);
}

static const char *const settings[] = {"broker.session.timeout.ms=1500",
                                       "broker.heartbeat.interval.ms=200",
                                       "replica.lag.time.max.ms=2000",
                                       "journal.bytes=1048576",
                                       "controller.quorum.election.timeout.ms=500",
                                       "memory.limit.bytes=67108864",
                                       "internal.topic.partitions=2",
                                       NULL};

static void tell(struct play *play)
{
    sim_world_note(play->world,
                   "%lld rows, %lld windows, %lld late, %u fenced, %u restarts of attempts",
                   (long long)play->sums.sent_count, (long long)play->sums.window_count,
                   (long long)play->sums.late_count, play->fenced_count, play->restart_count);
    for (unsigned i = 0; i < TASK_POINT_COUNT; i++) {
        sim_world_note(play->world, "point %s: passed %u times, deaths %u",
                       task_point_name((enum task_point)i), play->point_counts[i],
                       play->death_counts[i]);
    }
}

static void run(struct sim_world *world, const struct sim_workload_options *options,
                uint32_t broker_count, bool is_troubled)
{
    struct play *play = calloc(1, sizeof *play);
    check(play != NULL);
    play->world = world;
    play->sums.world = world;
    play->prng = sim_world_prng(world, SIM_STREAM_WORKLOAD);
    play->broker_count = broker_count;
    play->goal = ROWS_PER_PARTITION + CLOSING_ROWS;
    play->pace_ns = sim_world_between(play->prng, 20 * SIM_MS, 120 * SIM_MS);
    struct broker_world_options brokers = {
        .broker_count = broker_count,
        .shard_count = options->loop_count == 0 ? 1 + (uint32_t)prng_below(play->prng, 2)
                                                : options->loop_count,
        .settings = settings};
    broker_world_init(&play->brokers, &brokers, world);
    broker_world_start_all(&play->brokers);
    create_topics(play);
    add_nodes(play);
    for (uint32_t i = 0; i < JOB_PLAN_TASKS; i++) {
        play->owners[i] = (uint32_t)prng_below(play->prng, WORKERS);
    }
    check(sim_node_start(play->feeder));
    sim_world_after_in(world, play->feeder, SIM_S, SIM_EVENT_WORKLOAD, feed, play, 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        check(sim_node_start(play->workers[i].node));
    }
    if (is_troubled) {
        start_nemesis(play);
        trouble(play, 0);
        sim_world_run_for(world, sim_world_between(play->prng, 20 * SIM_S, 40 * SIM_S));
    }
    calm_down(play);
    tell(play);
    play->is_calm = true;
    for (uint32_t i = 0; i < world->node_count; i++) {
        world->nodes[i]->options.on_death = NULL;
        sim_node_lose_power(world->nodes[i]);
    }
    free(play);
}

static void run_quiet(struct sim_world *world, const struct sim_workload_options *options)
{
    run(world, options, 1, false);
}

static void run_one(struct sim_world *world, const struct sim_workload_options *options)
{
    run(world, options, 1, true);
}

static void run_three(struct sim_world *world, const struct sim_workload_options *options)
{
    run(world, options, 3, true);
}

const struct sim_workload workload_job[] = {
    {"job-quiet", "one broker, a job of two stages, no trouble", false, run_quiet},
    {"job", "one broker that dies, a job whose tasks die and move", false, run_one},
    {"job-cluster", "three brokers, a job whose tasks die and move", false, run_three},
    {0},
};
