#include "processor/control/run_job.h"

#include "processor/control/run_drop.h"
#include "processor/control/serve_jobs.h"
#include "processor/plan/explain.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <string.h>

#define QUERY_ID_BYTES 16U

/* ---- what the check asks for ---- */

static const Millrace__Plan__Table *find_table(void *context, const char *name)
{
    struct run_script *self = context;
    struct catalog_entry *entry = catalog_find(run_script_catalog(self), CATALOG_TABLE, name);
    return entry == NULL ? NULL : entry->record->table;
}

static const char *table_name_at(void *context, size_t index)
{
    struct run_script *self = context;
    struct catalog_entry *entry = NULL;
    while ((entry = catalog_next(run_script_catalog(self), CATALOG_TABLE, entry)) != NULL) {
        if (index == 0) {
            return entry->name;
        }
        index -= 1;
    }
    return NULL;
}

static const struct run_topic *topic_of(const struct run_script *self, const char *name)
{
    for (uint32_t i = 0; i < self->topic_count; i++) {
        if (strcmp(self->topics[i].name, name) == 0) {
            return &self->topics[i];
        }
    }
    return NULL;
}

static uint32_t partition_count_of(void *context, const Millrace__Plan__Table *table)
{
    const struct run_topic *topic = topic_of(context, table->topic);
    return topic == NULL ? 0 : topic->partition_count;
}

/* ---- the catalog's word ---- */

/* The same job again, but for what only its first start knew, and which topic bears the name? */
static bool is_same_plan(struct run_script *self, const Millrace__Plan__JobPlan *old)
{
    Millrace__Plan__JobPlan mine = *self->plan;
    Millrace__Plan__Table source = *mine.source;
    source.topic_id = old->source->topic_id;
    mine.source = &source;
    mine.query_id = old->query_id;
    size_t byte_count = millrace__plan__job_plan__get_packed_size(&mine);
    if (byte_count != millrace__plan__job_plan__get_packed_size(old)) {
        return false;
    }
    uint8_t *left = arena_take(&self->call->arena, byte_count);
    uint8_t *right = arena_take(&self->call->arena, byte_count);
    if (left == NULL || right == NULL) {
        return false;
    }
    (void)millrace__plan__job_plan__pack(&mine, left);
    (void)millrace__plan__job_plan__pack(old, right);
    return memcmp(left, right, byte_count) == 0;
}

static enum status refuse_name(struct run_script *self, bool is_alive)
{
    self->fault = control_call_fault(
        self->call,
        (struct control_fault){"JOB_EXISTS", self->insert->position,
                               is_alive ? "it runs" : "it has stopped, and its statement differs",
                               is_alive ? "choose a name: SET job.name = '…'; or stop that one"
                                        : "choose a name: SET job.name = '…'; or drop that one: "
                                          "CALL drop_job('…')"},
        "there is a job '%.200s' already", self->plan->name);
    return STATUS_EXISTS;
}

static bool is_same_topic(const Millrace__Plan__Table *table, const Millrace__Plan__Table *old)
{
    return table->topic_id.len == 0 || table->topic_id.len != old->topic_id.len ||
           memcmp(table->topic_id.data, old->topic_id.data, old->topic_id.len) == 0;
}

/* The job would go on behind as many records as it has read of the former topic. */
static enum status refuse_topic(struct run_script *self)
{
    self->fault = control_call_fault(
        self->call,
        (struct control_fault){"TOPIC_REPLACED", self->insert->position,
                               "where the job has stopped is an offset of the former topic",
                               "drop the job: CALL drop_job('…'); the statement then begins anew"},
        "the topic '%.200s' was deleted and created again since the job '%.200s' was started",
        self->plan->source->topic, self->plan->name);
    return STATUS_EXISTS;
}

/* May the job begin, or go on? Else with a fault. */
static enum status check_former(struct run_script *self, const struct catalog_entry *entry)
{
    if (entry == NULL) {
        return STATUS_OK;
    }
    const Millrace__Processor__Job *old = entry->record->job;
    if (job_wish_is_drop(old)) {
        self->fault = control_call_dropping(self->call, self->plan->name, self->insert->position);
        return STATUS_EXISTS;
    }
    bool is_alive = job_wish_is_alive(old);
    if (is_alive || !is_same_plan(self, old->plan)) {
        return refuse_name(self, is_alive);
    }
    return is_same_topic(self->plan->source, old->plan->source) ? STATUS_OK : refuse_topic(self);
}

static enum status insert_decide(struct catalog_write *write)
{
    struct run_script *self = container_of(write, struct run_script, write);
    self->is_outdated = self->removed_jobs != run_script_catalog(self)->removed_job_count;
    if (self->is_outdated) {
        return STATUS_OK;
    }
    int64_t now_ms = clock_wall_ms(self->call->control->options.loop->clock);
    Millrace__Processor__Job job;
    millrace__processor__job__init(&job);
    job.plan = self->plan;
    job.created_ms = now_ms;
    job.run = 1;
    struct catalog_entry *entry =
        catalog_find(run_script_catalog(self), CATALOG_JOB, self->plan->name);
    if (entry != NULL) {
        Millrace__Processor__Job *old = entry->record->job;
        TRY(check_former(self, entry));
        job.plan = old->plan;
        job.created_ms = old->created_ms;
        job.run = old->run + 1;
    }
    job.wish = MILLRACE__PROCESSOR__JOB_WISH__JOB_RUN;
    job.changed_ms = now_ms;
    Millrace__Processor__CatalogRecord record;
    millrace__processor__catalog_record__init(&record);
    record.version = 1;
    record.kind_case = MILLRACE__PROCESSOR__CATALOG_RECORD__KIND_JOB;
    record.job = &job;
    return catalog_write_put(write, CATALOG_JOB, self->plan->name, &record);
}

static void make_internal(struct run_script *self);

static void insert_on_done(struct catalog_write *write, enum status status)
{
    struct run_script *self = container_of(write, struct run_script, write);
    if (status == STATUS_OK && self->is_outdated) {
        make_internal(self);
    } else if (status == STATUS_OK) {
        plan_settings_next_job(&self->settings);
        run_script_done(self, "job", self->plan->name, NULL);
    } else if (self->fault != NULL) {
        run_script_fail(self, self->fault);
    } else {
        run_script_trouble(self, status, 0, "cannot keep the job in the catalog");
    }
}

/* ---- the job's own topics ---- */

static void make_next_internal(struct run_script *self);

/* Left behind by a start that never came to its end. */
static Millrace__Plan__Fault *refuse_internal(struct run_script *self,
                                              const struct topic_wish *wish)
{
    return control_call_fault(
        self->call,
        (struct control_fault){"JOB_TOPIC_EXISTS", self->insert->position,
                               "it has another number of partitions than this job needs",
                               "delete it: millrace topic delete; or choose another name: "
                               "SET job.name = '…'"},
        "the job's topic '%s' is there already", wish->name);
}

static void internal_on_done(struct topic_wish *wish, enum status status)
{
    struct run_script *self = container_of(wish, struct run_script, wish);
    if (status != STATUS_OK) {
        run_script_trouble(
            self, status, wish->op.error_code,
            control_call_print(self->call, "cannot create the job's topic '%s'", wish->name));
        return;
    }
    struct job_topic topic;
    job_topics_get(self->plan, self->internal_index, &topic);
    if ((uint32_t)wish->found_partition_count != topic.partition_count) {
        run_script_fail(self, refuse_internal(self, wish));
        return;
    }
    self->internal_index += 1;
    make_next_internal(self);
}

static void make_next_internal(struct run_script *self)
{
    if (run_script_is_over(self)) {
        return;
    }
    if (self->internal_index < job_topics_count(self->plan)) {
        struct job_topic topic;
        job_topics_get(self->plan, self->internal_index, &topic);
        self->wish =
            (struct topic_wish){.partition_count = (int32_t)topic.partition_count,
                                .settings = {{"cleanup.policy", "delete"},
                                             {"retention.ms", "-1"},
                                             {"retention.bytes", "-1"},
                                             {"max.message.bytes", JOB_TOPICS_MESSAGE_BYTES}},
                                .setting_count = 4,
                                .deadline_ns = self->call->deadline_ns,
                                .on_done = internal_on_done};
        (void)snprintf(self->wish.name, sizeof self->wish.name, "%s", topic.name);
        topic_maker_run(self->call->control->options.admin, &self->wish);
        return;
    }
    self->write = (struct catalog_write){
        .deadline_ns = self->call->deadline_ns, .decide = insert_decide, .on_done = insert_on_done};
    catalog_change(run_script_catalog(self), &self->write);
}

/* A job that is dropped meanwhile may have taken with it what was found here: then once more. */
static void make_internal(struct run_script *self)
{
    self->removed_jobs = run_script_catalog(self)->removed_job_count;
    self->internal_index = 0;
    make_next_internal(self);
}

/* ---- the plan ---- */

static void give_query_id(struct run_script *self)
{
    struct prng *prng = &self->call->control->options.loop->prng;
    uint8_t *id = arena_take(&self->call->arena, QUERY_ID_BYTES);
    if (id == NULL) {
        return;
    }
    for (size_t i = 0; i < QUERY_ID_BYTES; i += sizeof(uint64_t)) {
        uint64_t random = prng_next(prng);
        memcpy(id + i, &random, sizeof random);
    }
    self->plan->query_id = (ProtobufCBinaryData){QUERY_ID_BYTES, id};
}

/* The table's topic may have been deleted and created again since it was declared. */
static void note_topic_id(struct run_script *self)
{
    const struct run_topic *topic = topic_of(self, self->plan->source->topic);
    Millrace__Plan__Table *source = arena_take(&self->call->arena, sizeof *source);
    uint8_t *id = arena_take(&self->call->arena, sizeof topic->id.bytes);
    if (topic == NULL || source == NULL || id == NULL) {
        return;
    }
    memcpy(id, topic->id.bytes, sizeof topic->id.bytes);
    *source = *self->plan->source; /* That one is the catalog's. */
    source->topic_id = (ProtobufCBinaryData){sizeof topic->id.bytes, id};
    self->plan->source = source;
}

static void plan_insert(struct run_script *self)
{
    struct plan_tables tables = {.find = find_table,
                                 .name_at = table_name_at,
                                 .partition_count = partition_count_of,
                                 .context = self};
    struct plan_check_options options = {.tables = &tables, .settings = &self->settings};
    if (self->text != NULL && self->statement->position <= self->text_bytes) {
        size_t left = self->text_bytes - self->statement->position;
        options.text = self->text + self->statement->position;
        options.text_bytes =
            self->statement->byte_count < left ? self->statement->byte_count : left;
    }
    struct plan_fault fault;
    plan_fault_init(&fault, &self->call->arena);
    enum status status = plan_check_insert(self->insert, &options, &fault, &self->plan);
    if (status != STATUS_OK) {
        run_script_fail(self, run_script_fault_of(self, status, &fault));
        return;
    }
    give_query_id(self);
    note_topic_id(self);
    if (self->statement->kind_case == MILLRACE__PLAN__STATEMENT__KIND_EXPLAIN) {
        const char *text = NULL;
        status = explain_plan(self->plan, &self->call->arena, &text);
        if (status != STATUS_OK) {
            run_script_trouble(self, status, 0, "cannot explain the plan");
        } else {
            run_script_done(self, "explain", self->plan->name, text);
        }
        return;
    }
    if (job_topics_check(self->plan) != STATUS_OK) {
        run_script_trouble(self, STATUS_INVALID, 0, "the plan cannot be run");
        return;
    }
    /* Before any topic bears the name of a job that is refused. */
    struct catalog_entry *former =
        catalog_find(run_script_catalog(self), CATALOG_JOB, self->plan->name);
    if (check_former(self, former) != STATUS_OK) {
        run_script_fail(self, self->fault);
        return;
    }
    make_internal(self);
}

static void look_next(struct run_script *self);

static void look_on_done(struct topic_wish *wish, enum status status)
{
    struct run_script *self = container_of(wish, struct run_script, wish);
    struct run_topic *topic = &self->topics[self->topic_index];
    if (status == STATUS_NOT_FOUND) {
        run_script_fail(
            self, control_call_fault(self->call,
                                     (struct control_fault){"UNKNOWN_TOPIC", self->insert->position,
                                                            "somebody has deleted it",
                                                            "create it again, or drop the table"},
                                     "the topic '%s' of a table is gone", wish->name));
        return;
    }
    if (status != STATUS_OK) {
        run_script_trouble(
            self, status, wish->op.error_code,
            control_call_print(self->call, "cannot look at the topic '%s'", wish->name));
        return;
    }
    topic->partition_count = (uint32_t)wish->found_partition_count;
    topic->id = wish->topic_id;
    self->topic_index += 1;
    look_next(self);
}

static void look_next(struct run_script *self)
{
    if (run_script_is_over(self)) {
        return;
    }
    if (self->topic_index == self->topic_count) {
        plan_insert(self);
        return;
    }
    self->wish = (struct topic_wish){
        .must_exist = true, .deadline_ns = self->call->deadline_ns, .on_done = look_on_done};
    (void)snprintf(self->wish.name, sizeof self->wish.name, "%s",
                   self->topics[self->topic_index].name);
    topic_maker_run(self->call->control->options.admin, &self->wish);
}

static void add_topic(struct run_script *self, const char *table_name)
{
    const Millrace__Plan__Table *table = table_name == NULL ? NULL : find_table(self, table_name);
    if (table != NULL && topic_of(self, table->topic) == NULL) {
        (void)snprintf(self->topics[self->topic_count].name,
                       sizeof self->topics[self->topic_count].name, "%s", table->topic);
        self->topic_count += 1;
    }
}

void run_job_insert(struct run_script *self, const Millrace__Plan__Insert *insert)
{
    self->insert = insert;
    self->topic_count = 0;
    self->topic_index = 0;
    bool has_from = insert->select != NULL && insert->select->from != NULL;
    add_topic(self, has_from ? insert->select->from->table : NULL);
    add_topic(self, insert->table);
    look_next(self);
}

/* ---- calls ---- */

static void stop_on_done(struct control_call *call, Millrace__Plan__Fault *fault)
{
    struct run_script *self = call->state;
    if (fault != NULL) {
        fault->position = self->statement->position;
        run_script_fail(self, fault);
    } else {
        run_script_done(self, "stopped", self->job_name, NULL);
    }
}

void run_job_call(struct run_script *self)
{
    const Millrace__Plan__FunctionCall *call = self->statement->call;
    bool has_name = call->n_arguments == 1 &&
                    call->arguments[0]->kind_case == MILLRACE__PLAN__EXPR__KIND_LITERAL &&
                    call->arguments[0]->literal->value_case == MILLRACE__PLAN__LITERAL__VALUE_TEXT;
    bool is_stop = strcmp(call->name, "stop_job") == 0;
    if (!has_name || (!is_stop && strcmp(call->name, "drop_job") != 0)) {
        run_script_fail(
            self, control_call_fault(self->call,
                                     (struct control_fault){
                                         "UNKNOWN_FUNCTION", self->statement->position,
                                         "stop_job and drop_job take the name of a job as a text",
                                         "CALL stop_job('NAME'), CALL drop_job('NAME')"},
                                     "CALL %.100s is not known with these arguments", call->name));
        return;
    }
    self->job_name = call->arguments[0]->literal->text;
    if (is_stop) {
        serve_jobs_stop(self->call, self->job_name, stop_on_done);
    } else {
        run_drop_job(self);
    }
}
