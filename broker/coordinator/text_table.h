/* A hash table of things that have a name: entries are embedded, the table owns only its buckets.
 *
 * Groups by id, members by id, static members by instance, topics by name.
 * Owner: whoever embeds it. Loop: the owner's. Limits: the owner's; it grows with its entries. */
#pragma once

#include "proto/sys/list.h"
#include "proto/wire/reader.h"

struct text_entry {
    struct list link;
    uint64_t hash;
    struct wire_text name; /* Lives as long as the entry is in the table. */
};

struct text_table {
    struct list *buckets; /* Owned. */
    uint32_t bucket_count;
    uint32_t entry_count;
};

void text_table_init(struct text_table *self);
/* The entries are gone or will not be looked for again. Accepts a zeroed table. */
void text_table_done(struct text_table *self);
/* NULL: no such entry. */
struct text_entry *text_table_find(const struct text_table *self, struct wire_text name);
/* No entry of that name may be there. */
void text_table_add(struct text_table *self, struct text_entry *entry, struct wire_text name);
void text_table_remove(struct text_table *self, struct text_entry *entry);

/* `entry` may be removed (and freed) inside the body. */
#define text_table_for_each(entry, table)                                                          \
    for (uint32_t entry##_bucket_ = 0; entry##_bucket_ < (table)->bucket_count; entry##_bucket_++) \
        for (struct list *entry##_link_ = (table)->buckets[entry##_bucket_].next,                  \
                         *entry##_next_ = entry##_link_->next;                                     \
             entry##_link_ != &(table)->buckets[entry##_bucket_];                                  \
             entry##_link_ = entry##_next_, entry##_next_ = entry##_link_->next)                   \
            for (struct text_entry *entry = container_of(entry##_link_, struct text_entry, link);  \
                 entry != NULL; entry = NULL)

/* Copies on the heap, for free() through text_table_drop(); null stays null. Running out of memory
 * ends the node: what is applied cannot be refused. */
struct wire_text text_table_copy(struct wire_text text);
struct wire_bytes text_table_copy_bytes(struct wire_bytes bytes);
void text_table_drop(struct wire_text *text);
void text_table_drop_bytes(struct wire_bytes *bytes);
bool text_table_same_bytes(struct wire_bytes one, struct wire_bytes other);
