#include "broker/coordinator/text_table.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define BUCKETS_AT_FIRST 8U

static uint64_t hash_of(struct wire_text name)
{
    return XXH3_64bits(name.bytes, (size_t)name.byte_count);
}

static struct list *bucket_of(const struct text_table *self, uint64_t hash)
{
    return &self->buckets[hash & (self->bucket_count - 1)];
}

static struct list *make_buckets(uint32_t count)
{
    struct list *buckets = calloc(count, sizeof *buckets);
    check(buckets != NULL); /* What is applied cannot be refused. */
    for (uint32_t i = 0; i < count; i++) {
        list_init(&buckets[i]);
    }
    return buckets;
}

void text_table_init(struct text_table *self)
{
    *self = (struct text_table){0};
}

void text_table_done(struct text_table *self)
{
    free(self->buckets);
    *self = (struct text_table){0};
}

struct text_entry *text_table_find(const struct text_table *self, struct wire_text name)
{
    if (self->entry_count == 0 || name.byte_count < 0) {
        return NULL;
    }
    uint64_t hash = hash_of(name);
    const struct list *bucket = bucket_of(self, hash);
    for (struct list *link = bucket->next; link != bucket; link = link->next) {
        struct text_entry *entry = container_of(link, struct text_entry, link);
        if (entry->hash == hash && wire_text_same(entry->name, name)) {
            return entry;
        }
    }
    return NULL;
}

static void grow(struct text_table *self)
{
    struct text_table wider = {.bucket_count = self->bucket_count * 2};
    wider.buckets = make_buckets(wider.bucket_count);
    for (uint32_t i = 0; i < self->bucket_count; i++) {
        struct list *link;
        while ((link = list_take_first(&self->buckets[i])) != NULL) {
            struct text_entry *entry = container_of(link, struct text_entry, link);
            list_append(bucket_of(&wider, entry->hash), link);
        }
    }
    free(self->buckets);
    self->buckets = wider.buckets;
    self->bucket_count = wider.bucket_count;
}

void text_table_add(struct text_table *self, struct text_entry *entry, struct wire_text name)
{
    check(name.byte_count >= 0);
    if (self->buckets == NULL) {
        self->buckets = make_buckets(BUCKETS_AT_FIRST);
        self->bucket_count = BUCKETS_AT_FIRST;
    } else if (self->entry_count >= self->bucket_count && self->bucket_count < (1U << 30)) {
        grow(self);
    }
    entry->name = name;
    entry->hash = hash_of(name);
    list_append(bucket_of(self, entry->hash), &entry->link);
    self->entry_count += 1;
}

void text_table_remove(struct text_table *self, struct text_entry *entry)
{
    check(self->entry_count > 0);
    list_remove(&entry->link);
    self->entry_count -= 1;
}

static void *copy(const void *bytes, int32_t byte_count)
{
    void *made = malloc(byte_count == 0 ? 1 : (size_t)byte_count);
    check(made != NULL);
    if (byte_count > 0) {
        memcpy(made, bytes, (size_t)byte_count);
    }
    return made;
}

struct wire_text text_table_copy(struct wire_text text)
{
    if (text.byte_count < 0) {
        return (struct wire_text){NULL, -1};
    }
    return (struct wire_text){copy(text.bytes, text.byte_count), text.byte_count};
}

struct wire_bytes text_table_copy_bytes(struct wire_bytes bytes)
{
    if (bytes.byte_count < 0) {
        return (struct wire_bytes){NULL, -1};
    }
    return (struct wire_bytes){copy(bytes.bytes, bytes.byte_count), bytes.byte_count};
}

/* The views are const for their readers; these copies are ours. */
static void drop(const void *bytes)
{
    union {
        const void *shared;
        void *own;
    } place = {.shared = bytes};
    free(place.own);
}

void text_table_drop(struct wire_text *text)
{
    drop(text->bytes);
    *text = (struct wire_text){NULL, -1};
}

void text_table_drop_bytes(struct wire_bytes *bytes)
{
    drop(bytes->bytes);
    *bytes = (struct wire_bytes){NULL, -1};
}

bool text_table_same_bytes(struct wire_bytes one, struct wire_bytes other)
{
    return one.byte_count == other.byte_count &&
           (one.byte_count <= 0 || memcmp(one.bytes, other.bytes, (size_t)one.byte_count) == 0);
}
