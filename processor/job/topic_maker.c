#include "processor/job/topic_maker.h"

#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#define ABSENT_MS 2000

static void look(struct topic_wish *wish);

/* ---- creating ---- */

static void create_on_done(struct admin_op *op, enum status status)
{
    struct topic_wish *wish = container_of(op, struct topic_wish, op);
    bool is_there =
        op->error_code == ERROR_CODE_NONE || op->error_code == ERROR_CODE_TOPIC_ALREADY_EXISTS;
    if (status != STATUS_OK || !is_there) {
        wish->on_done(wish, status != STATUS_OK ? status : STATUS_INVALID);
        return;
    }
    wish->is_there = true;
    look(wish);
}

static void create(struct topic_wish *wish)
{
    for (uint32_t i = 0; i < wish->setting_count; i++) {
        wish->texts[i].name = wire_text_of(wish->settings[i].name);
        wish->texts[i].value = wire_text_of(wish->settings[i].value);
    }
    wish->wanted = (struct topic_calls_wanted){.partition_count = wish->partition_count,
                                               .settings = wish->texts,
                                               .setting_count = wish->setting_count};
    wish->op = topic_calls_create(wire_text_of(wish->name), &wish->wanted);
    wish->op.deadline_ns = wish->deadline_ns;
    wish->op.on_done = create_on_done;
    admin_core_run(wish->core, &wish->op);
}

/* ---- looking ---- */

static enum status look_take(struct admin_op *op)
{
    struct topic_wish *wish = container_of(op, struct topic_wish, op);
    struct kafka_metadata_response answer;
    TRY(topic_calls_read(op, &answer));
    if (answer.error_code != ERROR_CODE_NONE) {
        return STATUS_OK;
    }
    const struct kafka_metadata_response_metadata_response_topic *topic = &answer.topics[0];
    wish->is_missing = op->error_code == ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    if (wish->is_missing && !wish->must_exist && !wish->is_there) {
        op->error_code = ERROR_CODE_NONE; /* Retriable by its number, but the answer here. */
        return STATUS_OK;
    }
    if (op->error_code == ERROR_CODE_NONE && !topic_calls_has_leaders(topic)) {
        op->error_code = ERROR_CODE_LEADER_NOT_AVAILABLE;
    }
    wish->found_partition_count = topic->partitions_count;
    wish->topic_id = topic->topic_id;
    return STATUS_OK;
}

static void look_on_done(struct admin_op *op, enum status status)
{
    struct topic_wish *wish = container_of(op, struct topic_wish, op);
    if (status == STATUS_OK && wish->is_missing) {
        if (wish->must_exist || wish->is_there) {
            wish->on_done(wish, STATUS_NOT_FOUND);
        } else {
            create(wish);
        }
        return;
    }
    wish->on_done(wish, status == STATUS_OK && op->error_code != ERROR_CODE_NONE ? STATUS_INVALID
                                                                                 : status);
}

static void look(struct topic_wish *wish)
{
    int64_t deadline_ns = wish->deadline_ns;
    if (wish->must_exist) {
        /* One that has just begun may lag behind; what is not there after this is not there. */
        int64_t soon_ns = loop_now_ns(wish->core->loop) + ABSENT_MS * CLOCK_NS_PER_MS;
        deadline_ns = soon_ns < deadline_ns ? soon_ns : deadline_ns;
    }
    wish->is_missing = false;
    wish->op = topic_calls_look(wire_text_of(wish->name), look_take);
    wish->op.node = wish->is_never_deleted ? CLUSTER_ANY : CLUSTER_CONTROLLER;
    wish->op.deadline_ns = deadline_ns;
    wish->op.on_done = look_on_done;
    admin_core_run(wish->core, &wish->op);
}

void topic_maker_run(struct admin_core *core, struct topic_wish *wish)
{
    check(wish->name[0] != '\0');
    wish->core = core;
    wish->is_there = false;
    if (wish->must_exist || wish->is_never_deleted) {
        look(wish);
    } else {
        create(wish);
    }
}

/* ---- deleting ---- */

static void delete_on_done(struct admin_op *op, enum status status)
{
    struct topic_wish *wish = container_of(op, struct topic_wish, op);
    status = status == STATUS_NOT_FOUND ? STATUS_OK : status;
    wish->on_done(wish, status == STATUS_OK && op->error_code != ERROR_CODE_NONE ? STATUS_INVALID
                                                                                 : status);
}

void topic_maker_delete(struct admin_core *core, struct topic_wish *wish)
{
    wish->core = core;
    wish->op = topic_calls_delete(wire_text_of(wish->name));
    wish->op.deadline_ns = wish->deadline_ns;
    wish->op.on_done = delete_on_done;
    admin_core_run(core, &wish->op);
}
