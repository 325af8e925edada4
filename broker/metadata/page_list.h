/* An immutable sorted list of counted nodes that shares what did not change with its predecessor.
 *
 * Two levels: a directory of pages of up to PAGE_LIST_PAGE_ITEMS nodes. An edit copies the
 * directory and the pages it falls into, so that one new topic among 100,000 costs 1,600 counted
 * references and one page, not 100,000.
 *
 * Owner: shared, counted (atomic). Loop: any. Limits: none of its own. */
#pragma once

#include "broker/metadata/shared_node.h"

#include <stdint.h>

#define PAGE_LIST_PAGE_ITEMS 64U

struct page_list;

typedef int page_list_compare(const void *key, const void *item);

/* What stands at the place of `key` afterwards. */
struct page_list_edit {
    const void *key;          /* As `compare` takes it; borrowed for the call. */
    struct shared_node *item; /* Borrowed (a reference is taken); NULL: nothing. */
};

struct page_list *page_list_new(void);
struct page_list *page_list_ref(struct page_list *self);
void page_list_unref(struct page_list *self); /* Accepts NULL. */

/* The next list, with one reference for the caller. `edits` strictly ascend by key. */
struct page_list *page_list_edited(struct page_list *self, const struct page_list_edit *edits,
                                   uint32_t edit_count, page_list_compare *compare);

uint32_t page_list_count(const struct page_list *self);
struct shared_node *page_list_at(const struct page_list *self, uint32_t index);
/* NULL when there is none. */
struct shared_node *page_list_find(const struct page_list *self, const void *key,
                                   page_list_compare *compare);

/* Calls `visit` for every item that is not the same node in both, in order: `before` NULL where it
 * is new, `after` NULL where it is gone. Shared pages cost one comparison. */
void page_list_differences(const struct page_list *before, const struct page_list *after,
                           page_list_compare *compare_items,
                           void (*visit)(void *context, struct shared_node *before,
                                         struct shared_node *after),
                           void *context);
