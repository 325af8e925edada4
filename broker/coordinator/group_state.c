#include "broker/coordinator/group_state.h"

#include "broker/coordinator/group_book.h"
#include "broker/coordinator/group_codec.h"
#include "broker/coordinator/group_rebalance.h"
#include "proto/kafka/consumer_protocol.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define SUBSCRIPTION_ARENA_BYTES_MAX ((size_t)8 << 20)
static const struct wire_text no_text = {NULL, -1};

struct group *group_state_new(struct group_book *book, struct wire_text id)
{
    struct group *self = calloc(1, sizeof *self);
    check(self != NULL);
    self->book = book;
    self->protocol_type = no_text;
    self->protocol = no_text;
    self->leader = no_text;
    self->stored = (struct wire_bytes){NULL, -1};
    self->phase_since_ms = -1;
    list_init(&self->in_order);
    list_init(&self->in_pending);
    group_offsets_init(&self->offsets);
    timer_init(&self->deadline, &ledger_loop(book->ledger)->timers, group_rebalance_on_deadline);
    text_table_add(&book->groups, &self->entry, text_table_copy(id));
    return self;
}

void group_state_free(struct group *self)
{
    if (!self->is_gone) {
        list_for_each_removable(link, &self->in_order)
        {
            group_state_remove(self, container_of(link, struct group_member, link));
        }
        text_table_for_each(entry, &self->candidates)
        {
            group_state_remove_candidate(self, container_of(entry, struct group_candidate, entry));
        }
        timer_done(&self->deadline);
        list_remove(&self->in_pending);
        text_table_remove(&self->book->groups, &self->entry);
        self->is_gone = true;
    }
    if (self->is_ticking) {
        return;
    }
    text_table_done(&self->members);
    text_table_done(&self->instances);
    text_table_done(&self->candidates);
    group_offsets_done(&self->offsets);
    text_table_drop(&self->entry.name);
    text_table_drop(&self->protocol_type);
    text_table_drop(&self->protocol);
    text_table_drop(&self->leader);
    text_table_drop_bytes(&self->stored);
    free(self);
}

const char *group_state_name(const struct group *self)
{
    switch (self->phase) {
    case GROUP_EMPTY:
        return "Empty";
    case GROUP_PREPARING:
        return "PreparingRebalance";
    case GROUP_COMPLETING:
        return "CompletingRebalance";
    case GROUP_STABLE:
        return "Stable";
    }
    check_unreachable("a phase of a group");
}

void group_state_enter(struct group *self, enum group_phase phase)
{
    self->phase = phase;
    self->phase_since_ms = clock_wall_ms(ledger_loop(self->book->ledger)->clock);
}

/* ---- members ---- */

struct group_member *group_state_member(const struct group *self, struct wire_text id)
{
    struct text_entry *entry = text_table_find(&self->members, id);
    return entry == NULL ? NULL : container_of(entry, struct group_member, entry);
}

struct group_member *group_state_instance(const struct group *self, struct wire_text instance)
{
    struct text_entry *entry = text_table_find(&self->instances, instance);
    return entry == NULL ? NULL : container_of(entry, struct group_member, instance);
}

uint32_t group_state_member_count(const struct group *self)
{
    return self->members.entry_count;
}

struct group_member *group_state_add(struct group *self, struct wire_text id,
                                     struct wire_text instance)
{
    struct group_member *member = calloc(1, sizeof *member);
    check(member != NULL);
    member->group = self;
    member->instance.name = no_text;
    member->client_id = no_text;
    member->client_host = no_text;
    member->assignment = (struct wire_bytes){NULL, 0};
    text_table_add(&self->members, &member->entry, text_table_copy(id));
    if (instance.byte_count >= 0) {
        member->is_static = true;
        text_table_add(&self->instances, &member->instance, text_table_copy(instance));
    }
    list_append(&self->in_order, &member->link);
    timer_init(&member->session, &ledger_loop(self->book->ledger)->timers,
               group_rebalance_on_session);
    if (self->leader.byte_count < 0) {
        self->leader = text_table_copy(id);
    }
    return member;
}

static void drop_protocols(struct group_member *member)
{
    for (uint32_t i = 0; i < member->protocol_count; i++) {
        text_table_drop(&member->protocols[i].name);
        text_table_drop_bytes(&member->protocols[i].metadata);
    }
    free(member->protocols);
    member->protocols = NULL;
    member->protocol_count = 0;
}

static void elect_leader(struct group *self)
{
    text_table_drop(&self->leader);
    if (!list_is_empty(&self->in_order)) {
        const struct group_member *first =
            container_of(self->in_order.next, struct group_member, link);
        self->leader = text_table_copy(first->entry.name);
    }
}

void group_state_remove(struct group *self, struct group_member *member)
{
    check(member->joining == NULL);
    check(member->syncing == NULL);
    bool was_leader = group_state_is_leader(member);
    timer_done(&member->session);
    list_remove(&member->link);
    text_table_remove(&self->members, &member->entry);
    if (member->is_static) {
        text_table_remove(&self->instances, &member->instance);
    }
    drop_protocols(member);
    text_table_drop(&member->entry.name);
    text_table_drop(&member->instance.name);
    text_table_drop(&member->client_id);
    text_table_drop(&member->client_host);
    if (member->assignment.bytes != NULL) {
        text_table_drop_bytes(&member->assignment);
    }
    free(member);
    if (was_leader) {
        elect_leader(self);
    }
}

void group_state_rename(struct group_member *member, struct wire_text id)
{
    struct group *group = member->group;
    bool is_leader = group_state_is_leader(member);
    text_table_remove(&group->members, &member->entry);
    text_table_drop(&member->entry.name);
    text_table_add(&group->members, &member->entry, text_table_copy(id));
    if (is_leader) {
        text_table_drop(&group->leader);
        group->leader = text_table_copy(id);
    }
}

void group_state_set_protocols(struct group_member *member, const struct group_protocol *protocols,
                               uint32_t count)
{
    struct group_protocol *made = calloc(count == 0 ? 1 : count, sizeof *made);
    check(made != NULL);
    for (uint32_t i = 0; i < count; i++) {
        made[i].name = text_table_copy(protocols[i].name);
        made[i].metadata = text_table_copy_bytes(protocols[i].metadata);
    }
    drop_protocols(member);
    member->protocols = made;
    member->protocol_count = count;
}

bool group_state_has_protocols(const struct group_member *member,
                               const struct group_protocol *protocols, uint32_t count)
{
    if (member->protocol_count != count) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!wire_text_same(member->protocols[i].name, protocols[i].name) ||
            !text_table_same_bytes(member->protocols[i].metadata, protocols[i].metadata)) {
            return false;
        }
    }
    return true;
}

bool group_state_is_leader(const struct group_member *member)
{
    return wire_text_same(member->group->leader, member->entry.name);
}

static const struct group_protocol *find_protocol(const struct group_member *member,
                                                  struct wire_text name)
{
    for (uint32_t i = 0; i < member->protocol_count; i++) {
        if (wire_text_same(member->protocols[i].name, name)) {
            return &member->protocols[i];
        }
    }
    return NULL;
}

struct wire_bytes group_state_metadata(const struct group_member *member)
{
    const struct group_protocol *protocol = find_protocol(member, member->group->protocol);
    return protocol == NULL ? (struct wire_bytes){NULL, 0} : protocol->metadata;
}

/* ---- candidates ---- */

struct group_candidate *group_state_candidate(const struct group *self, struct wire_text id)
{
    struct text_entry *entry = text_table_find(&self->candidates, id);
    return entry == NULL ? NULL : container_of(entry, struct group_candidate, entry);
}

void group_state_add_candidate(struct group *self, struct wire_text id, int32_t session_ms)
{
    struct group_candidate *candidate = calloc(1, sizeof *candidate);
    check(candidate != NULL);
    candidate->group = self;
    text_table_add(&self->candidates, &candidate->entry, text_table_copy(id));
    timer_init(&candidate->session, &ledger_loop(self->book->ledger)->timers,
               group_rebalance_on_candidate);
    timer_start_after(&candidate->session, session_ms * CLOCK_NS_PER_MS);
}

void group_state_remove_candidate(struct group *self, struct group_candidate *candidate)
{
    timer_done(&candidate->session);
    text_table_remove(&self->candidates, &candidate->entry);
    text_table_drop(&candidate->entry.name);
    free(candidate);
}

/* ---- protocols ---- */

static bool all_know(const struct group *self, struct wire_text name)
{
    list_for_each(link, &self->in_order)
    {
        if (find_protocol(container_of(link, struct group_member, link), name) == NULL) {
            return false;
        }
    }
    return true;
}

bool group_state_accepts(const struct group *self, struct wire_text protocol_type,
                         const struct group_protocol *protocols, uint32_t count)
{
    if (group_state_member_count(self) == 0) {
        return true;
    }
    if (!wire_text_same(self->protocol_type, protocol_type)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (all_know(self, protocols[i].name)) {
            return true;
        }
    }
    return false;
}

/* A protocol that everybody knows, and how many prefer it to all others of that kind. */
struct ballot {
    struct wire_text name;
    uint32_t vote_count;
};

static void vote(const struct group_member *member, struct ballot *ballots, uint32_t count)
{
    for (uint32_t i = 0; i < member->protocol_count; i++) {
        for (uint32_t k = 0; k < count; k++) {
            if (wire_text_same(member->protocols[i].name, ballots[k].name)) {
                ballots[k].vote_count += 1;
                return;
            }
        }
    }
}

struct wire_text group_state_choose_protocol(const struct group *self)
{
    const struct group_member *first = container_of(self->in_order.next, struct group_member, link);
    struct ballot *ballots = calloc(first->protocol_count, sizeof *ballots);
    check(ballots != NULL);
    uint32_t count = 0;
    for (uint32_t i = 0; i < first->protocol_count; i++) {
        if (all_know(self, first->protocols[i].name)) {
            ballots[count].name = first->protocols[i].name;
            count += 1;
        }
    }
    check(count > 0); /* Who had none in common was not let in. */
    list_for_each(link, &self->in_order)
    {
        vote(container_of(link, struct group_member, link), ballots, count);
    }
    uint32_t best = 0;
    for (uint32_t k = 1; k < count; k++) {
        best = ballots[k].vote_count > ballots[best].vote_count ? k : best;
    }
    struct wire_text name = ballots[best].name;
    free(ballots);
    return name;
}

static bool member_subscribes(const struct group_member *member, struct wire_text topic)
{
    struct wire_bytes metadata = group_state_metadata(member);
    struct wire_reader reader;
    wire_reader_init(&reader, metadata.bytes, (size_t)metadata.byte_count);
    int16_t version = wire_read_int16(&reader);
    if (version > KAFKA_CONSUMER_PROTOCOL_SUBSCRIPTION_VERSION_MAX) {
        version = KAFKA_CONSUMER_PROTOCOL_SUBSCRIPTION_VERSION_MAX; /* Later ones only add. */
    }
    struct arena arena;
    arena_init(&arena, SUBSCRIPTION_ARENA_BYTES_MAX);
    struct kafka_consumer_protocol_subscription read;
    bool subscribes = true;
    if (wire_reader_status(&reader) == STATUS_OK && version >= 0 &&
        kafka_consumer_protocol_subscription_decode(&reader, version, &arena, &read) == STATUS_OK) {
        subscribes = false;
        for (int32_t i = 0; i < read.topics_count && !subscribes; i++) {
            subscribes = wire_text_same(read.topics[i], topic);
        }
    }
    arena_done(&arena);
    return subscribes;
}

bool group_state_subscribes(const struct group *self, struct wire_text topic)
{
    list_for_each(link, &self->in_order)
    {
        if (member_subscribes(container_of(link, struct group_member, link), topic)) {
            return true;
        }
    }
    return false;
}

/* ---- the record ---- */

static struct wire_text or_empty(struct wire_text text)
{
    return text.byte_count < 0 ? wire_text_of("") : text;
}

void group_state_store(const struct group *self, struct ledger_op *op)
{
    uint32_t count = group_state_member_count(self);
    struct group_codec_record record;
    group_codec_init(&record);
    struct kafka_group_metadata_value value;
    kafka_group_metadata_value_defaults(&value);
    value.protocol_type = or_empty(self->protocol_type);
    value.generation = self->generation;
    value.protocol = count == 0 ? no_text : self->protocol;
    value.leader = count == 0 ? no_text : self->leader;
    value.current_state_timestamp = clock_wall_ms(ledger_loop(self->book->ledger)->clock);
    value.members = calloc(count == 0 ? 1 : count, sizeof *value.members);
    check(value.members != NULL);
    list_for_each(link, &self->in_order)
    {
        const struct group_member *member = container_of(link, struct group_member, link);
        value.members[value.members_count] = (struct kafka_group_metadata_value_member_metadata){
            .member_id = member->entry.name,
            .group_instance_id = member->instance.name,
            .client_id = or_empty(member->client_id),
            .client_host = or_empty(member->client_host),
            .rebalance_timeout = member->rebalance_ms,
            .session_timeout = member->session_ms,
            .subscription = group_state_metadata(member),
            .assignment = member->assignment};
        value.members_count += 1;
    }
    group_codec_group(&record, self->entry.name, &value);
    ledger_op_add(op, record.key, record.value);
    free(value.members);
    group_codec_done(&record);
}
