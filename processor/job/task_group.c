#include "processor/job/task_group.h"

#include "processor/job/job_wish.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_MAGIC 0x7a5c6109U
#define GROUP_FORMAT 1U
#define REQUEST_MS 5000
#define REBALANCE_MS 3000
/* Often, because a rebalance is heard of by its answer, and because one whose connection was reset
 * has half a second to speak again (the coordinator's SUSPECT_MS). */
#define HEARTBEAT_MS 200
#define BARRIER_MS 2000
#define LEAVE_MS 500

struct task_group_peer {
    char id[GROUP_MEMBER_ID_BYTES_MAX];
    Millrace__Processor__Member *member; /* Owned. */
};

/* ---- which tasks there are ---- */

static bool is_dealt(const Millrace__Processor__Job *job)
{
    return job_wish_is_alive(job) && job_topics_check(job->plan) == STATUS_OK;
}

static uint32_t count_tasks(struct task_group *self)
{
    uint32_t count = 0;
    struct catalog_entry *entry = NULL;
    while ((entry = catalog_next(self->options.catalog, CATALOG_JOB, entry)) != NULL) {
        if (is_dealt(entry->record->job)) {
            count += job_topics_task_count(entry->record->job->plan);
        }
    }
    return count;
}

static void fill_job(const Millrace__Processor__Job *job, Millrace__Processor__TaskId *ids,
                     uint32_t *count)
{
    for (size_t s = 0; s < job->plan->n_stages; s++) {
        for (uint32_t t = 0; t < job->plan->stages[s]->task_count; t++) {
            Millrace__Processor__TaskId *id = &ids[*count];
            millrace__processor__task_id__init(id);
            id->job = job->plan->name;
            id->query_id = job->plan->query_id;
            id->stage = (uint32_t)s;
            id->task = t;
            id->run = job->run;
            *count += 1;
        }
    }
}

/* In the order of the catalog. */
static uint32_t fill_tasks(struct task_group *self, Millrace__Processor__TaskId *ids)
{
    uint32_t count = 0;
    struct catalog_entry *entry = NULL;
    while ((entry = catalog_next(self->options.catalog, CATALOG_JOB, entry)) != NULL) {
        if (is_dealt(entry->record->job)) {
            fill_job(entry->record->job, ids, &count);
        }
    }
    return count;
}

/* FNV-1a over what makes a task; two sets of equal hash would only delay a round. */
static uint64_t hash_tasks(const Millrace__Processor__TaskId *ids, uint32_t count)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < count; i++) {
        for (size_t b = 0; b < ids[i].query_id.len; b++) {
            hash = (hash ^ ids[i].query_id.data[b]) * UINT64_C(0x100000001b3);
        }
        hash = (hash ^ ids[i].run) * UINT64_C(0x100000001b3);
        hash = (hash ^ (ids[i].stage << 16U) ^ ids[i].task) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* ---- leading a round ---- */

static void forget_peers(struct task_group *self)
{
    for (uint32_t i = 0; i < self->peer_count; i++) {
        millrace__processor__member__free_unpacked(self->peers[i].member, NULL);
    }
    free(self->peers);
    self->peers = NULL;
    self->peer_count = 0;
}

struct deal {
    Millrace__Processor__TaskId *ids;
    struct task_deal_task *tasks;
    const Millrace__Processor__Member **members;
    Millrace__Processor__TaskId **part;
    struct group_member_share *shares;
    uint32_t task_count;
};

static void deal_free(struct deal *deal, uint32_t share_count)
{
    for (uint32_t i = 0; deal->shares != NULL && i < share_count; i++) {
        free((void *)(uintptr_t)deal->shares[i].assignment.bytes);
    }
    free(deal->ids);
    free(deal->tasks);
    free(deal->members);
    free(deal->part);
    free(deal->shares);
}

/* Packs what member `index` gets. */
static enum status pack_share(struct task_group *self, struct deal *deal, uint32_t index)
{
    Millrace__Processor__Assignment assignment;
    millrace__processor__assignment__init(&assignment);
    assignment.version = GROUP_FORMAT;
    assignment.tasks = deal->part;
    assignment.catalog_offset = self->options.catalog->position;
    for (uint32_t i = 0; i < deal->task_count; i++) {
        if (deal->tasks[i].member == index) {
            deal->part[assignment.n_tasks] = &deal->ids[i];
            assignment.n_tasks += 1;
        }
    }
    size_t byte_count = millrace__processor__assignment__get_packed_size(&assignment);
    uint8_t *bytes = malloc(byte_count + 1);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    (void)millrace__processor__assignment__pack(&assignment, bytes);
    deal->shares[index].member_id = wire_text_of(self->peers[index].id);
    deal->shares[index].assignment = (struct wire_bytes){bytes, (int32_t)byte_count};
    return STATUS_OK;
}

static enum status deal_out(struct task_group *self, struct deal *deal)
{
    uint32_t room = count_tasks(self);
    deal->ids = calloc(room + 1, sizeof *deal->ids);
    deal->tasks = calloc(room + 1, sizeof *deal->tasks);
    deal->part = calloc(room + 1, sizeof *deal->part);
    deal->members = calloc(self->peer_count + 1, sizeof *deal->members);
    deal->shares = calloc(self->peer_count + 1, sizeof *deal->shares);
    if (deal->ids == NULL || deal->tasks == NULL || deal->part == NULL || deal->members == NULL ||
        deal->shares == NULL) {
        return STATUS_NO_MEMORY;
    }
    deal->task_count = fill_tasks(self, deal->ids);
    for (uint32_t i = 0; i < deal->task_count; i++) {
        deal->tasks[i].id = &deal->ids[i];
    }
    for (uint32_t i = 0; i < self->peer_count; i++) {
        deal->members[i] = self->peers[i].member;
    }
    TRY(task_deal(deal->tasks, deal->task_count, deal->members, self->peer_count));
    for (uint32_t i = 0; i < self->peer_count; i++) {
        TRY(pack_share(self, deal, i));
    }
    self->dealt_hash = hash_tasks(deal->ids, deal->task_count);
    return group_member_assign(&self->member, deal->shares, self->peer_count);
}

static void deal_now(struct task_group *self)
{
    struct deal deal = {0};
    enum status status = deal_out(self, &deal);
    if (status != STATUS_OK) {
        trace_line(self->options.loop->trace, TRACE_WARN, "group", "not-dealt", "why=\"%s\"",
                   status_text(status));
        group_member_rejoin(&self->member);
    } else {
        trace_line(self->options.loop->trace, TRACE_INFO, "group", "dealt", "tasks=%u members=%u",
                   deal.task_count, self->peer_count);
    }
    deal_free(&deal, self->peer_count);
    forget_peers(self);
}

static void close_if_alone(struct task_group *self);

static void barrier_on_done(struct catalog_barrier *barrier, enum status status)
{
    struct task_group *self = container_of(barrier, struct task_group, barrier);
    check(self->magic == GROUP_MAGIC);
    (void)status; /* Without news: what is known; a change calls for another round. */
    self->is_waiting = false;
    if (self->is_closing) {
        close_if_alone(self);
    } else {
        deal_now(self);
    }
}

static void member_on_lead(void *context, const struct group_member_round *round)
{
    struct task_group *self = context;
    forget_peers(self);
    self->peers = calloc(round->peer_count + 1, sizeof *self->peers);
    for (uint32_t i = 0; self->peers != NULL && i < round->peer_count; i++) {
        const struct group_member_peer *from = &round->peers[i];
        Millrace__Processor__Member *member = millrace__processor__member__unpack(
            NULL, from->metadata.byte_count > 0 ? (size_t)from->metadata.byte_count : 0,
            from->metadata.bytes);
        if (member == NULL || from->member_id.byte_count >= (int32_t)GROUP_MEMBER_ID_BYTES_MAX) {
            continue; /* Not one of ours: it gets nothing. */
        }
        struct task_group_peer *peer = &self->peers[self->peer_count];
        memcpy(peer->id, from->member_id.bytes, (size_t)from->member_id.byte_count);
        peer->member = member;
        self->peer_count += 1;
    }
    if (!self->is_waiting) {
        self->is_waiting = true;
        self->barrier = (struct catalog_barrier){.deadline_ns = loop_now_ns(self->options.loop) +
                                                                BARRIER_MS * CLOCK_NS_PER_MS,
                                                 .on_done = barrier_on_done};
        catalog_wait(self->options.catalog, &self->barrier);
    }
}

/* ---- being a member ---- */

static uint32_t member_on_describe(void *context, struct group_member_protocol *protocols)
{
    struct task_group *self = context;
    Millrace__Processor__Member member;
    millrace__processor__member__init(&member);
    Millrace__Processor__TaskId *ids[LOCAL_TASKS_MAX];
    char host[ADDRESS_HOST_BYTES_MAX];
    (void)snprintf(host, sizeof host, "%s", self->options.host);
    member.version = GROUP_FORMAT;
    member.host = host;
    member.port = self->options.port;
    member.incarnation_id = (ProtobufCBinaryData){16, self->options.incarnation_id};
    member.tasks = ids;
    list_for_each(link, &self->options.tasks->tasks)
    {
        struct local_task *task = container_of(link, struct local_task, in_set);
        if (task->is_wanted && member.n_tasks < LOCAL_TASKS_MAX) {
            ids[member.n_tasks] = task->id;
            member.n_tasks += 1;
        }
    }
    size_t byte_count = millrace__processor__member__get_packed_size(&member);
    free(self->description);
    self->description = malloc(byte_count + 1);
    protocols[0].name = wire_text_of(PROCESSOR_CORE_PROTOCOL);
    protocols[0].metadata = (struct wire_bytes){self->description, 0};
    if (self->description != NULL) {
        (void)millrace__processor__member__pack(&member, self->description);
        protocols[0].metadata.byte_count = (int32_t)byte_count;
    }
    return 1;
}

static void member_on_assigned(void *context, struct wire_text protocol, struct wire_bytes bytes)
{
    struct task_group *self = context;
    (void)protocol;
    Millrace__Processor__Assignment *assignment = millrace__processor__assignment__unpack(
        NULL, bytes.byte_count > 0 ? (size_t)bytes.byte_count : 0, bytes.bytes);
    if (assignment == NULL || assignment->version > GROUP_FORMAT) {
        trace_line(self->options.loop->trace, TRACE_ERROR, "group", "assignment-not-understood",
                   "bytes=%d", bytes.byte_count);
    } else {
        local_tasks_assign(self->options.tasks, assignment->tasks, assignment->n_tasks);
        if (!self->has_joined) {
            self->has_joined = true;
            self->options.on_joined(self->options.context);
        }
    }
    if (assignment != NULL) {
        millrace__processor__assignment__free_unpacked(assignment, NULL);
    }
    task_group_review(self); /* What has changed while the round went on. */
}

static void member_on_rebalance(void *context)
{
    struct task_group *self = context;
    group_member_rejoin(&self->member); /* Tasks need no rest before they move: fencing does it. */
}

static void member_on_lost(void *context)
{
    struct task_group *self = context;
    trace_line(self->options.loop->trace, TRACE_WARN, "group", "place-lost", "generation=%d",
               self->member.generation);
}

static void member_on_failed(void *context, enum status status, int16_t error_code)
{
    struct task_group *self = context;
    self->options.on_failed(self->options.context, status, error_code);
}

static void close_if_alone(struct task_group *self)
{
    if (self->has_closed_member && !self->is_waiting) {
        forget_peers(self);
        free(self->description);
        self->magic = 0;
        self->options.on_closed(self->options.context);
    }
}

static void member_on_closed(void *context)
{
    struct task_group *self = context;
    self->has_closed_member = true;
    close_if_alone(self);
}

void task_group_review(struct task_group *self)
{
    check(self->magic == GROUP_MAGIC);
    if (!self->is_joining) {
        self->is_joining = true;
        group_member_rejoin(&self->member);
        return;
    }
    if (!self->member.is_leader || self->member.state != GROUP_MEMBER_STABLE) {
        return; /* The next round sees it. */
    }
    uint32_t room = count_tasks(self);
    Millrace__Processor__TaskId *ids = calloc(room + 1, sizeof *ids);
    if (ids != NULL && hash_tasks(ids, fill_tasks(self, ids)) != self->dealt_hash) {
        group_member_rejoin(&self->member);
    }
    free(ids);
}

void task_group_init(struct task_group *self, const struct task_group_options *options)
{
    *self = (struct task_group){.magic = GROUP_MAGIC, .options = *options};
    struct group_member_options member = {.loop = options->loop,
                                          .bootstrap = options->bootstrap,
                                          .bootstrap_count = options->bootstrap_count,
                                          .client_id = options->client_id,
                                          .group = PROCESSOR_CORE_GROUP,
                                          .protocol_type = PROCESSOR_CORE_PROTOCOL,
                                          .request_timeout_ms = REQUEST_MS,
                                          .session_timeout_ms = TASK_GROUP_SESSION_MS,
                                          .rebalance_timeout_ms = REBALANCE_MS,
                                          .heartbeat_ms = HEARTBEAT_MS,
                                          .on_describe = member_on_describe,
                                          .on_lead = member_on_lead,
                                          .on_assigned = member_on_assigned,
                                          .on_rebalance = member_on_rebalance,
                                          .on_lost = member_on_lost,
                                          .on_failed = member_on_failed,
                                          .on_closed = member_on_closed,
                                          .context = self};
    group_member_init(&self->member, &member);
}

void task_group_close(struct task_group *self)
{
    check(self->magic == GROUP_MAGIC);
    check(!self->is_closing);
    self->is_closing = true;
    group_member_close(&self->member, true, LEAVE_MS);
}
