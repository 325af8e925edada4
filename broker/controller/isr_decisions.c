#include "broker/controller/isr_decisions.h"

#include "broker/controller/leader_election.h"
#include "proto/sys/check.h"

#include <string.h>

static bool is_replica(const struct image_partition *partition, int32_t broker_id)
{
    for (uint8_t i = 0; i < partition->replica_count; i++) {
        if (partition->replicas[i] == broker_id) {
            return true;
        }
    }
    return false;
}

static bool is_in_sync(const struct image_partition *partition, int32_t broker_id)
{
    for (uint8_t i = 0; i < partition->isr_count; i++) {
        if (partition->isr[i] == broker_id) {
            return true;
        }
    }
    return false;
}

/* Epochs first: who is behind must learn the new state before anything else is looked at. */
static enum decision_reason check_epochs(const struct isr_decisions_request *request,
                                         const struct isr_decisions_item *item,
                                         const struct image_partition *old)
{
    if (item->leader_epoch > old->leader_epoch || item->partition_epoch > old->partition_epoch) {
        return DECISION_NEW_LEADER_EPOCH;
    }
    if (item->leader_epoch < old->leader_epoch) {
        return DECISION_OLD_LEADER_EPOCH;
    }
    if (request->broker_id != old->leader) {
        return DECISION_NOT_THE_LEADER;
    }
    return item->partition_epoch < old->partition_epoch ? DECISION_OLD_PARTITION_EPOCH
                                                        : DECISION_NONE;
}

/* A leader whose log is damaged leaves the lead to those who have what it had (D3): to others of
 * the ISR, or of the ELR. */
static bool may_take_over(const struct leader_election_view *view,
                          const struct isr_decisions_item *item, const struct image_partition *old)
{
    for (uint32_t i = 0; i < item->isr_count; i++) {
        int32_t broker_id = item->isr[i].broker_id;
        bool is_eligible = is_in_sync(old, broker_id);
        for (uint8_t k = 0; k < old->elr_count; k++) {
            is_eligible = is_eligible || old->elr[k] == broker_id;
        }
        if (!is_eligible || !leader_election_may_lead(view, broker_id)) {
            return false;
        }
    }
    return !old->is_recovering;
}

static enum decision_reason check_members(const struct leader_election_view *view,
                                          const struct isr_decisions_item *item,
                                          const struct image_partition *old)
{
    bool has_leader = false;
    for (uint32_t i = 0; i < item->isr_count; i++) {
        const struct isr_decisions_member *member = &item->isr[i];
        for (uint32_t k = 0; k < i; k++) {
            if (item->isr[k].broker_id == member->broker_id) {
                return DECISION_REQUEST;
            }
        }
        if (!is_replica(old, member->broker_id)) {
            return DECISION_REQUEST;
        }
        has_leader = has_leader || member->broker_id == old->leader;
    }
    /* A leader that repairs its log does so alone, and is never told to begin. */
    if (item->is_recovering && (!has_leader || item->isr_count > 1 || !old->is_recovering)) {
        return DECISION_REQUEST;
    }
    if (!has_leader && !may_take_over(view, item, old)) {
        return DECISION_REQUEST;
    }
    for (uint32_t i = 0; i < item->isr_count; i++) {
        const struct isr_decisions_member *member = &item->isr[i];
        const struct image_broker *broker = image_broker_by_id(view->image, member->broker_id);
        bool is_joining = !is_in_sync(old, member->broker_id);
        if (broker == NULL || (is_joining && !leader_election_may_lead(view, member->broker_id)) ||
            (member->broker_epoch != -1 && member->broker_epoch != broker->epoch)) {
            return DECISION_INELIGIBLE_REPLICA;
        }
    }
    return DECISION_NONE;
}

static bool is_same_isr(const struct isr_decisions_item *item, const struct image_partition *old)
{
    if (item->isr_count != old->isr_count || item->is_recovering != old->is_recovering) {
        return false;
    }
    for (uint32_t i = 0; i < item->isr_count; i++) {
        if (!is_in_sync(old, item->isr[i].broker_id)) {
            return false;
        }
    }
    return true;
}

static void alter_one(struct decision *decision, const struct leader_election_view *view,
                      const struct isr_decisions_request *request, struct isr_decisions_item *item,
                      bool is_repeated)
{
    const struct image_topic *topic = image_topic_by_id(decision->image, &item->topic_id);
    const struct image_partition *old =
        topic == NULL ? NULL : image_topic_partition(topic, item->index);
    if (old == NULL || is_repeated || item->isr_count == 0 ||
        item->isr_count > IMAGE_REPLICAS_MAX) {
        item->reason = topic == NULL ? DECISION_UNKNOWN_TOPIC_ID
                       : old == NULL ? DECISION_UNKNOWN_PARTITION
                                     : DECISION_REQUEST;
        return;
    }
    item->reason = check_epochs(request, item, old);
    if (item->reason == DECISION_NONE) {
        item->reason = check_members(view, item, old);
    }
    if (item->reason != DECISION_NONE) {
        return;
    }
    if (is_same_isr(item, old)) {
        item->partition = *old; /* The leader asks again for what it did not see done. */
        return;
    }
    struct leader_election_rules rules = leader_election_rules_of(decision->image, topic);
    struct image_partition next = *old;
    memset(next.isr, 0, sizeof next.isr);
    next.isr_count = 0;
    for (uint32_t i = 0; i < item->isr_count; i++) {
        next.isr[next.isr_count++] = item->isr[i].broker_id;
    }
    next.is_recovering = item->is_recovering;
    leader_election_settle(view, &rules, old, &next);
    cluster_writer_change_partition(decision->writer, &topic->id, item->index, &next);
    item->partition = next;
    item->reason = next.leader == old->leader ? DECISION_NONE : DECISION_LEADER_MOVED;
}

/* Topic id and index of each item as one key. */
static const bool *find_repeated(struct decision *decision,
                                 const struct isr_decisions_request *request)
{
    struct key {
        struct wire_uuid topic_id;
        int32_t index;
    };
    struct wire_text *texts = arena_take_array(decision->arena, request->item_count, sizeof *texts);
    struct key *keys = arena_take_array(decision->arena, request->item_count, sizeof *keys);
    if (texts == NULL || keys == NULL || request->item_count > DECISION_PARTITIONS_MAX) {
        return NULL;
    }
    for (uint32_t i = 0; i < request->item_count; i++) {
        keys[i].topic_id = request->items[i].topic_id;
        keys[i].index = request->items[i].index;
        texts[i] =
            (struct wire_text){.bytes = (const char *)&keys[i], .byte_count = sizeof keys[i]};
    }
    return decision_find_repeated(decision->arena, texts, request->item_count);
}

void isr_decisions_alter(struct decision *decision, struct isr_decisions_request *request)
{
    const struct image_broker *broker = image_broker_by_id(decision->image, request->broker_id);
    struct leader_election_view view;
    leader_election_view_init(&view, decision->image);
    request->error = (struct decision_error){.reason = DECISION_NONE};
    if (broker == NULL) {
        decision_refuse(&request->error, DECISION_UNKNOWN_BROKER, "broker %d is not registered",
                        request->broker_id);
        return;
    }
    if (broker->epoch != request->broker_epoch) {
        decision_refuse(&request->error, DECISION_STALE_BROKER,
                        "broker %d has registered again since", request->broker_id);
        return;
    }
    const bool *is_repeated = find_repeated(decision, request);
    if (is_repeated == NULL) {
        decision_refuse(&request->error, DECISION_LIMIT, "the request is too large; split it");
        return;
    }
    for (uint32_t i = 0; i < request->item_count; i++) {
        alter_one(decision, &view, request, &request->items[i], is_repeated[i]);
    }
}
