#include "processor/control/run_table.h"

#include "processor/job/job_wish.h"
#include "processor/task/job_topics.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <string.h>

static void make_next_topic(struct run_script *self);

/* ---- create ---- */

static Millrace__Plan__Fault *exists(struct run_script *self)
{
    return control_call_fault(
        self->call,
        (struct control_fault){"TABLE_EXISTS", self->statement->position,
                               "a table of this name was declared before",
                               "use it, choose another name, or say CREATE TABLE IF NOT EXISTS"},
        "there is a table '%.200s' already", self->table->name);
}

static enum status create_decide(struct catalog_write *write)
{
    struct run_script *self = container_of(write, struct run_script, write);
    if (catalog_find(run_script_catalog(self), CATALOG_TABLE, self->table->name) != NULL) {
        if (self->statement->create_table->if_not_exists) {
            return STATUS_OK;
        }
        self->fault = exists(self);
        return STATUS_EXISTS;
    }
    Millrace__Processor__CatalogRecord record;
    millrace__processor__catalog_record__init(&record);
    record.version = 1;
    record.kind_case = MILLRACE__PROCESSOR__CATALOG_RECORD__KIND_TABLE;
    record.table = self->table;
    return catalog_write_put(write, CATALOG_TABLE, self->table->name, &record);
}

static void create_on_done(struct catalog_write *write, enum status status)
{
    struct run_script *self = container_of(write, struct run_script, write);
    if (status == STATUS_OK) {
        run_script_done(self, "table", self->table->name, NULL);
    } else if (self->fault != NULL) {
        run_script_fail(self, self->fault);
    } else {
        run_script_trouble(self, status, 0, "cannot keep the table in the catalog");
    }
}

static void topic_on_done(struct topic_wish *wish, enum status status)
{
    struct run_script *self = container_of(wish, struct run_script, wish);
    if (status != STATUS_OK) {
        char *what = control_call_print(self->call, "cannot create the topic '%s'%s%s", wish->name,
                                        wish->op.message[0] == '\0' ? "" : ": ", wish->op.message);
        run_script_trouble(self, status, wish->op.error_code, what);
        return;
    }
    struct run_topic *topic = &self->topics[self->topic_index];
    topic->partition_count = (uint32_t)wish->found_partition_count;
    topic->id = wish->topic_id;
    self->topic_index += 1;
    make_next_topic(self);
}

static void make_next_topic(struct run_script *self)
{
    if (run_script_is_over(self)) {
        return;
    }
    if (self->topic_index < self->topic_count) {
        bool is_late = self->topic_index > 0;
        self->wish = (struct topic_wish){
            .partition_count = is_late ? (int32_t)self->topics[0].partition_count : 0,
            /* Records of results bear the time of their window, which may be long ago or to come:
             * neither makes them old or wrong. A late record is its source's and three headers. */
            .settings = {{"retention.ms", "-1"},
                         {"message.timestamp.after.max.ms", "9223372036854775807"},
                         {"max.message.bytes",
                          is_late ? JOB_TOPICS_MESSAGE_BYTES : JOB_TOPICS_TABLE_MESSAGE_BYTES}},
            .setting_count = 3,
            .deadline_ns = self->call->deadline_ns,
            .on_done = topic_on_done};
        (void)snprintf(self->wish.name, sizeof self->wish.name, "%s",
                       self->topics[self->topic_index].name);
        topic_maker_run(self->call->control->options.admin, &self->wish);
        return;
    }
    uint8_t *id = arena_take(&self->call->arena, sizeof self->topics[0].id);
    if (id != NULL) {
        memcpy(id, &self->topics[0].id, sizeof self->topics[0].id);
        self->table->topic_id = (ProtobufCBinaryData){sizeof self->topics[0].id, id};
    }
    self->write = (struct catalog_write){
        .deadline_ns = self->call->deadline_ns, .decide = create_decide, .on_done = create_on_done};
    catalog_change(run_script_catalog(self), &self->write);
}

void run_table_create(struct run_script *self)
{
    struct plan_fault fault;
    plan_fault_init(&fault, &self->call->arena);
    enum status status = plan_check_table(self->statement->create_table, &fault, &self->table);
    if (status != STATUS_OK) {
        run_script_fail(self, run_script_fault_of(self, status, &fault));
        return;
    }
    if (catalog_find(run_script_catalog(self), CATALOG_TABLE, self->table->name) != NULL) {
        if (self->statement->create_table->if_not_exists) {
            run_script_done(self, "table", self->table->name, "it was there already");
        } else {
            run_script_fail(self, exists(self));
        }
        return;
    }
    (void)snprintf(self->topics[0].name, sizeof self->topics[0].name, "%s", self->table->topic);
    (void)snprintf(self->topics[1].name, sizeof self->topics[1].name, "%s",
                   self->table->late_topic);
    self->topic_count = self->table->late_topic[0] == '\0' ? 1 : 2;
    self->topic_index = 0;
    make_next_topic(self);
}

/* ---- drop ---- */

/* The job that needs the table; NULL: none. */
static const char *user_of(struct run_script *self, const char *table)
{
    struct catalog_entry *entry = NULL;
    while ((entry = catalog_next(run_script_catalog(self), CATALOG_JOB, entry)) != NULL) {
        const Millrace__Processor__Job *job = entry->record->job;
        if (job_wish_is_alive(job) && (strcmp(job->plan->source->name, table) == 0 ||
                                       strcmp(job->plan->sink->name, table) == 0)) {
            return entry->name;
        }
    }
    return NULL;
}

static enum status drop_decide(struct catalog_write *write)
{
    struct run_script *self = container_of(write, struct run_script, write);
    const Millrace__Plan__DropTable *drop = self->statement->drop_table;
    if (catalog_find(run_script_catalog(self), CATALOG_TABLE, drop->name) == NULL) {
        if (drop->if_exists) {
            return STATUS_OK;
        }
        self->fault = control_call_fault(
            self->call,
            (struct control_fault){"UNKNOWN_TABLE", drop->position, "no table has this name",
                                   "say DROP TABLE IF EXISTS where that is fine"},
            "there is no table '%.200s'", drop->name);
        return STATUS_NOT_FOUND;
    }
    const char *user = user_of(self, drop->name);
    if (user != NULL) {
        self->fault = control_call_fault(
            self->call,
            (struct control_fault){"TABLE_IN_USE", drop->position, "a job reads or writes it",
                                   "stop the job first: millrace job stop"},
            "the table '%.200s' is used by the job '%.200s'", drop->name, user);
        return STATUS_BUSY;
    }
    return catalog_write_put(write, CATALOG_TABLE, drop->name, NULL);
}

static void drop_on_done(struct catalog_write *write, enum status status)
{
    struct run_script *self = container_of(write, struct run_script, write);
    if (status == STATUS_OK) {
        run_script_done(self, "dropped", self->statement->drop_table->name,
                        "its topic is still there");
    } else if (self->fault != NULL) {
        run_script_fail(self, self->fault);
    } else {
        run_script_trouble(self, status, 0, "cannot drop the table");
    }
}

void run_table_drop(struct run_script *self)
{
    self->write = (struct catalog_write){
        .deadline_ns = self->call->deadline_ns, .decide = drop_decide, .on_done = drop_on_done};
    catalog_change(run_script_catalog(self), &self->write);
}
