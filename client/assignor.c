#include "client/assignor.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
    [ASSIGNOR_RANGE] = "range", [ASSIGNOR_ROUND_ROBIN] = "roundrobin"};

struct wire_text assignor_name(enum assignor_kind kind)
{
    check((unsigned)kind < sizeof names / sizeof *names);
    return wire_text_of(names[kind]);
}

bool assignor_of_name(struct wire_text name, enum assignor_kind *out_kind)
{
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (wire_text_equals(name, names[i])) {
            *out_kind = (enum assignor_kind)i;
            return true;
        }
    }
    return false;
}

static int compare_texts(struct wire_text one, struct wire_text other)
{
    int32_t shorter = one.byte_count < other.byte_count ? one.byte_count : other.byte_count;
    int order = shorter > 0 ? memcmp(one.bytes, other.bytes, (size_t)shorter) : 0;
    return order != 0 ? order
                      : (one.byte_count > other.byte_count) - (one.byte_count < other.byte_count);
}

/* Those with an instance id come first. */
static int compare_members(const void *left, const void *right)
{
    const struct assignor_member *one = left;
    const struct assignor_member *other = right;
    bool has_one = one->instance_id.byte_count >= 0;
    bool has_other = other->instance_id.byte_count >= 0;
    if (has_one != has_other) {
        return has_one ? -1 : 1;
    }
    int order = has_one ? compare_texts(one->instance_id, other->instance_id) : 0;
    return order != 0 ? order : compare_texts(one->member_id, other->member_id);
}

static int compare_topics(const void *left, const void *right)
{
    const struct assignor_topic *one = left;
    const struct assignor_topic *other = right;
    return compare_texts(one->name, other->name);
}

static bool reads(const struct assignor_member *member, struct wire_text topic)
{
    for (uint32_t i = 0; i < member->topic_count; i++) {
        if (compare_texts(member->topics[i], topic) == 0) {
            return true;
        }
    }
    return false;
}

static void run_range(const struct assignor_member *members, uint32_t member_count,
                      const struct assignor_topic *topic, uint32_t *owners)
{
    uint32_t reader_count = 0;
    for (uint32_t i = 0; i < member_count; i++) {
        reader_count += reads(&members[i], topic->name);
    }
    uint32_t count = (uint32_t)topic->partition_count;
    uint32_t next = 0;
    uint32_t place = 0; /* Among the readers. */
    for (uint32_t i = 0; i < member_count && reader_count > 0; i++) {
        if (!reads(&members[i], topic->name)) {
            continue;
        }
        uint32_t share = count / reader_count + (place < count % reader_count);
        for (uint32_t j = 0; j < share; j++) {
            owners[next++] = i;
        }
        place += 1;
    }
    check(reader_count == 0 || next == count);
}

/* The first reader of the topic at or behind `from`, around the circle. */
static uint32_t next_reader(const struct assignor_member *members, uint32_t member_count,
                            struct wire_text topic, uint32_t from)
{
    for (uint32_t i = 0; i < member_count; i++) {
        uint32_t candidate = (from + i) % member_count;
        if (reads(&members[candidate], topic)) {
            return candidate;
        }
    }
    return ASSIGNOR_NOBODY;
}

void assignor_run(enum assignor_kind kind, struct assignor_member *members, uint32_t member_count,
                  struct assignor_topic *topics, uint32_t topic_count, uint32_t *owners)
{
    if (member_count > 1) {
        qsort(members, member_count, sizeof *members, compare_members);
    }
    if (topic_count > 1) {
        qsort(topics, topic_count, sizeof *topics, compare_topics);
    }
    uint32_t turn = 0;
    for (uint32_t i = 0; i < topic_count; i++) {
        check(topics[i].partition_count >= 0);
        for (int32_t j = 0; j < topics[i].partition_count; j++) {
            owners[j] = ASSIGNOR_NOBODY;
            if (kind == ASSIGNOR_ROUND_ROBIN) {
                owners[j] = next_reader(members, member_count, topics[i].name, turn);
                turn = owners[j] == ASSIGNOR_NOBODY ? turn : owners[j] + 1;
            }
        }
        if (kind == ASSIGNOR_RANGE) {
            run_range(members, member_count, &topics[i], owners);
        }
        owners += topics[i].partition_count;
    }
}
