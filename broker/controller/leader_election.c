#include "broker/controller/leader_election.h"

#include "broker/metadata/topic_config.h"
#include "proto/sys/check.h"

#include <string.h>

void leader_election_view_init(struct leader_election_view *self, const struct image *image)
{
    *self = (struct leader_election_view){.image = image,
                                          .fenced_id = -1,
                                          .unfenced_id = -1,
                                          .leaving_id = -1,
                                          .wiped_id = -1,
                                          .unclean_id = -1};
}

bool leader_election_is_live(const struct leader_election_view *self, int32_t broker_id)
{
    const struct image_broker *broker = image_broker_by_id(self->image, broker_id);
    if (broker == NULL || broker_id == self->fenced_id) {
        return false;
    }
    return !broker->is_fenced || broker_id == self->unfenced_id;
}

bool leader_election_may_lead(const struct leader_election_view *self, int32_t broker_id)
{
    if (!leader_election_is_live(self, broker_id) || broker_id == self->leaving_id) {
        return false;
    }
    const struct image_broker *broker = image_broker_by_id(self->image, broker_id);
    return !broker->is_shutting_down || broker_id == self->unfenced_id;
}

struct leader_election_rules leader_election_rules_of(const struct image *image,
                                                      const struct image_topic *topic)
{
    return (struct leader_election_rules){
        .insync_min = topic_config_insync_min(image, topic),
        .is_unclean_allowed = topic_config_allows_unclean(image, topic),
        .is_memory_durable = topic_config_is_memory_durable(image, topic),
    };
}

static bool is_member(const int32_t *nodes, uint8_t count, int32_t node)
{
    for (uint8_t i = 0; i < count; i++) {
        if (nodes[i] == node) {
            return true;
        }
    }
    return false;
}

static void add_member(int32_t *nodes, uint8_t *count, int32_t node)
{
    check(*count < IMAGE_REPLICAS_MAX);
    if (!is_member(nodes, *count, node)) {
        nodes[*count] = node;
        *count += 1;
    }
}

static void remove_member(int32_t *nodes, uint8_t *count, int32_t node)
{
    uint8_t kept = 0;
    for (uint8_t i = 0; i < *count; i++) {
        if (nodes[i] != node) {
            nodes[kept++] = nodes[i];
        }
    }
    for (uint8_t i = kept; i < *count; i++) {
        nodes[i] = 0; /* Equal states are equal bytes. */
    }
    *count = kept;
}

static void clear_members(int32_t *nodes, uint8_t *count)
{
    memset(nodes, 0, *count * sizeof *nodes);
    *count = 0;
}

/* Its log may lack what it had when it was in sync. */
static bool has_lost_data(const struct leader_election_view *view,
                          const struct leader_election_rules *rules, int32_t broker_id)
{
    return broker_id == view->wiped_id ||
           (rules->is_memory_durable && broker_id == view->unclean_id);
}

/* Rule 1. */
static void shrink_isr(const struct leader_election_view *view,
                       const struct leader_election_rules *rules, struct image_partition *next)
{
    for (uint8_t i = next->isr_count; i > 0; i--) {
        int32_t member = next->isr[i - 1];
        if (!leader_election_is_live(view, member) || has_lost_data(view, rules, member)) {
            remove_member(next->isr, &next->isr_count, member);
        }
    }
    bool has_staying = false;
    for (uint8_t i = 0; i < next->isr_count; i++) {
        has_staying = has_staying || leader_election_may_lead(view, next->isr[i]);
    }
    for (uint8_t i = next->isr_count; has_staying && i > 0; i--) {
        if (!leader_election_may_lead(view, next->isr[i - 1])) {
            remove_member(next->isr, &next->isr_count, next->isr[i - 1]);
        }
    }
}

/* Rule 3; `old` is the state before the ISR changed. */
static void keep_elr(const struct leader_election_view *view,
                     const struct leader_election_rules *rules, const struct image_partition *old,
                     struct image_partition *next)
{
    struct image_partition before = *next;
    clear_members(next->elr, &next->elr_count);
    if (next->isr_count >= rules->insync_min) {
        return;
    }
    for (uint8_t i = 0; i < next->replica_count; i++) { /* In order of assignment. */
        int32_t replica = next->replicas[i];
        bool was_eligible = is_member(old->isr, old->isr_count, replica) ||
                            is_member(before.elr, before.elr_count, replica);
        if (was_eligible && !is_member(next->isr, next->isr_count, replica) &&
            !has_lost_data(view, rules, replica)) {
            add_member(next->elr, &next->elr_count, replica);
        }
    }
}

/* Who led last is remembered for as long as nobody leads. */
static void keep_last_known(const struct leader_election_view *view,
                            const struct image_partition *old, struct image_partition *next)
{
    if (next->leader != -1 || old->leader != -1) {
        clear_members(next->last_known_elr, &next->last_known_elr_count);
    }
    if (next->leader == -1 && old->leader != -1) {
        add_member(next->last_known_elr, &next->last_known_elr_count, old->leader);
    }
    remove_member(next->last_known_elr, &next->last_known_elr_count, view->wiped_id);
}

static int32_t first_that_may_lead(const struct leader_election_view *view,
                                   const struct image_partition *partition, const int32_t *among,
                                   uint8_t among_count)
{
    for (uint8_t i = 0; i < partition->replica_count; i++) {
        int32_t replica = partition->replicas[i];
        if (is_member(among, among_count, replica) && leader_election_may_lead(view, replica)) {
            return replica;
        }
    }
    return -1;
}

static int32_t choose_from_isr(const struct leader_election_view *view,
                               const struct leader_election_rules *rules,
                               const struct image_partition *next)
{
    bool has_leader = is_member(next->isr, next->isr_count, next->leader);
    int32_t first = next->replicas[0];
    if (rules->prefers_first && is_member(next->isr, next->isr_count, first) &&
        leader_election_may_lead(view, first)) {
        return first;
    }
    if (has_leader && leader_election_may_lead(view, next->leader)) {
        return next->leader;
    }
    int32_t chosen = first_that_may_lead(view, next, next->isr, next->isr_count);
    if (chosen != -1 || next->isr_count == 0) {
        return chosen;
    }
    /* Only brokers that shut down are in sync: they serve to the end. */
    return has_leader ? next->leader : next->isr[0];
}

static void lead_alone(struct image_partition *next, int32_t leader)
{
    next->leader = leader;
    clear_members(next->isr, &next->isr_count);
    add_member(next->isr, &next->isr_count, leader);
    remove_member(next->elr, &next->elr_count, leader);
}

/* What others of the ELR have is not what an unclean leader goes on from. */
static void lead_uncleanly(struct image_partition *next, int32_t leader)
{
    lead_alone(next, leader);
    clear_members(next->elr, &next->elr_count);
    next->is_recovering = true;
}

/* Rule 2. */
static void choose_leader(const struct leader_election_view *view,
                          const struct leader_election_rules *rules, struct image_partition *next)
{
    next->leader = choose_from_isr(view, rules, next);
    if (next->leader != -1) {
        return;
    }
    int32_t eligible = first_that_may_lead(view, next, next->elr, next->elr_count);
    if (eligible != -1) {
        lead_alone(next, eligible);
        return;
    }
    if (next->elr_count == 0) {
        int32_t last =
            first_that_may_lead(view, next, next->last_known_elr, next->last_known_elr_count);
        if (last != -1) {
            lead_uncleanly(next, last);
            return;
        }
    }
    if (rules->is_unclean_allowed) {
        int32_t any = first_that_may_lead(view, next, next->replicas, next->replica_count);
        if (any != -1) {
            lead_uncleanly(next, any);
        }
    }
}

static bool is_same_state(const struct image_partition *left, const struct image_partition *right)
{
    return left->leader == right->leader && left->is_recovering == right->is_recovering &&
           left->isr_count == right->isr_count && left->elr_count == right->elr_count &&
           left->last_known_elr_count == right->last_known_elr_count &&
           memcmp(left->isr, right->isr, left->isr_count * sizeof left->isr[0]) == 0 &&
           memcmp(left->elr, right->elr, left->elr_count * sizeof left->elr[0]) == 0 &&
           memcmp(left->last_known_elr, right->last_known_elr,
                  left->last_known_elr_count * sizeof left->last_known_elr[0]) == 0;
}

void leader_election_settle(const struct leader_election_view *view,
                            const struct leader_election_rules *rules,
                            const struct image_partition *old, struct image_partition *next)
{
    shrink_isr(view, rules, next);
    keep_elr(view, rules, old, next);
    choose_leader(view, rules, next);
    keep_last_known(view, old, next);
    bool is_elected_uncleanly = next->is_recovering && !old->is_recovering;
    if (next->leader != old->leader || is_elected_uncleanly) {
        next->leader_epoch = old->leader_epoch + 1;
    }
    next->partition_epoch = old->partition_epoch + 1;
}

bool leader_election_step(const struct leader_election_view *view,
                          const struct leader_election_rules *rules,
                          const struct image_partition *partition, struct image_partition *out_next)
{
    struct image_partition next = *partition;
    leader_election_settle(view, rules, partition, &next);
    if (is_same_state(partition, &next)) {
        return false;
    }
    *out_next = next;
    return true;
}

/* A cheap look before rules are read: can leader_election_step() change anything here? */
static bool needs_step(const struct leader_election_view *view,
                       const struct image_partition *partition, bool prefers_first)
{
    if (partition->leader == -1 || !leader_election_may_lead(view, partition->leader)) {
        return true;
    }
    for (uint8_t i = 0; i < partition->isr_count; i++) {
        if (!leader_election_may_lead(view, partition->isr[i]) ||
            partition->isr[i] == view->wiped_id || partition->isr[i] == view->unclean_id) {
            return true;
        }
    }
    for (uint8_t i = 0; i < partition->elr_count; i++) {
        if (partition->elr[i] == view->wiped_id || partition->elr[i] == view->unclean_id) {
            return true;
        }
    }
    return prefers_first && partition->leader != partition->replicas[0];
}

static uint32_t decide_steps(struct decision *decision, const struct leader_election_view *view,
                             bool prefers_first, uint32_t change_count_max)
{
    uint32_t change_count = 0;
    for (uint32_t i = 0; i < image_topic_count(view->image); i++) {
        const struct image_topic *topic = image_topic_at(view->image, i);
        struct leader_election_rules rules;
        bool has_rules = false;
        for (uint32_t k = 0; k < topic->partition_count; k++) {
            struct image_partition next;
            if (!needs_step(view, &topic->partitions[k], prefers_first)) {
                continue;
            }
            if (!has_rules) {
                rules = leader_election_rules_of(view->image, topic);
                rules.prefers_first = prefers_first;
                has_rules = true;
            }
            if (!leader_election_step(view, &rules, &topic->partitions[k], &next)) {
                continue;
            }
            if (change_count == change_count_max) {
                return change_count + 1;
            }
            cluster_writer_change_partition(decision->writer, &topic->id, (int32_t)k, &next);
            change_count += 1;
        }
    }
    return change_count;
}

bool leader_election_decide(struct decision *decision, const struct leader_election_view *view)
{
    return decide_steps(decision, view, false, LEADER_ELECTION_CHANGES_MAX) <=
           LEADER_ELECTION_CHANGES_MAX;
}

bool leader_election_decide_repairs(struct decision *decision)
{
    struct leader_election_view view;
    leader_election_view_init(&view, decision->image);
    return leader_election_decide(decision, &view);
}

uint32_t leader_election_decide_preferred(struct decision *decision, uint32_t change_count_max)
{
    struct leader_election_view view;
    leader_election_view_init(&view, decision->image);
    uint32_t count = decide_steps(decision, &view, true, change_count_max);
    return count > change_count_max ? change_count_max : count;
}

static void decide_asked_one(struct decision *decision, const struct leader_election_view *view,
                             struct leader_election_request *item)
{
    const struct image_topic *topic = image_topic_by_name(decision->image, item->name);
    const struct image_partition *old =
        topic == NULL ? NULL : image_topic_partition(topic, item->index);
    struct image_partition next;
    if (old == NULL) {
        decision_refuse(&item->error, DECISION_UNKNOWN_PARTITION, "there is no %.*s-%d",
                        decision_text_length(item->name), item->name.bytes, item->index);
        return;
    }
    struct leader_election_rules rules = leader_election_rules_of(decision->image, topic);
    rules.prefers_first = !item->is_unclean;
    rules.is_unclean_allowed = rules.is_unclean_allowed || item->is_unclean;
    bool is_wanted = item->is_unclean ? old->leader == -1 : old->leader != old->replicas[0];
    if (!is_wanted) {
        decision_refuse(&item->error, DECISION_NO_ELECTION_NEEDED, "broker %d leads already",
                        old->leader);
        return;
    }
    bool is_changed = leader_election_step(view, &rules, old, &next);
    if (!is_changed || (!item->is_unclean && next.leader != old->replicas[0])) {
        decision_refuse(
            &item->error,
            item->is_unclean ? DECISION_NO_ELIGIBLE_LEADER : DECISION_NO_PREFERRED_LEADER,
            "broker %d cannot lead now; wait until it is up and in sync", old->replicas[0]);
        return;
    }
    cluster_writer_change_partition(decision->writer, &topic->id, item->index, &next);
}

void leader_election_decide_asked(struct decision *decision,
                                  struct leader_election_requests *request)
{
    struct leader_election_view view;
    leader_election_view_init(&view, decision->image);
    for (uint32_t i = 0; i < request->item_count; i++) {
        struct leader_election_request *item = &request->items[i];
        item->error = (struct decision_error){.reason = DECISION_NONE};
        bool is_repeated = false;
        for (uint32_t k = 0; k < i && !is_repeated; k++) {
            const struct leader_election_request *other = &request->items[k];
            is_repeated =
                other->index == item->index && other->name.byte_count == item->name.byte_count &&
                memcmp(other->name.bytes, item->name.bytes, (size_t)item->name.byte_count) == 0;
        }
        if (is_repeated) {
            decision_refuse(&item->error, DECISION_REQUEST,
                            "the request names this partition twice; name it once");
            continue;
        }
        decide_asked_one(decision, &view, item);
    }
}
