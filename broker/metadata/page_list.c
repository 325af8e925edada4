#include "broker/metadata/page_list.h"

#include "proto/sys/check.h"

#include <stdbool.h>
#include <stdlib.h>

struct page {
    struct shared_node shared;
    uint32_t item_count; /* 1 to PAGE_LIST_PAGE_ITEMS. */
    struct shared_node *items[PAGE_LIST_PAGE_ITEMS];
};

struct page_list {
    struct shared_node shared;
    uint32_t item_count;
    uint32_t page_count;
    uint32_t page_capacity; /* Of the two arrays; only grows while the list is built. */
    struct page **pages;
    uint32_t *starts; /* Index of the first item of each page. */
};

static void free_page(struct shared_node *shared)
{
    struct page *page = (struct page *)(void *)shared;
    for (uint32_t i = 0; i < page->item_count; i++) {
        shared_node_unref(page->items[i]);
    }
    free(page);
}

static void free_list(struct shared_node *shared)
{
    struct page_list *self = (struct page_list *)(void *)shared;
    for (uint32_t i = 0; i < self->page_count; i++) {
        shared_node_unref(&self->pages[i]->shared);
    }
    free(self->pages);
    free(self->starts);
    free(self);
}

struct page_list *page_list_new(void)
{
    struct page_list *self = shared_node_memory(1, sizeof *self);
    shared_node_init(&self->shared, free_list);
    return self;
}

struct page_list *page_list_ref(struct page_list *self)
{
    shared_node_ref(&self->shared);
    return self;
}

void page_list_unref(struct page_list *self)
{
    shared_node_unref(self == NULL ? NULL : &self->shared);
}

/* Takes the caller's reference on `page`. */
static void append_page(struct page_list *self, struct page *page)
{
    check(page->item_count > 0);
    if (self->page_count == self->page_capacity) {
        self->page_capacity = self->page_capacity == 0 ? 8 : self->page_capacity * 2;
        self->pages = shared_node_grow(self->pages, self->page_capacity, sizeof(struct page *));
        self->starts = shared_node_grow(self->starts, self->page_capacity, sizeof(uint32_t));
    }
    self->pages[self->page_count] = page;
    self->starts[self->page_count] = self->item_count;
    self->page_count += 1;
    self->item_count += page->item_count;
}

/* Cut into pages of even length, so that the next insertion finds room. */
static void append_items(struct page_list *self, struct shared_node *const *items, uint32_t count)
{
    uint32_t page_count = (count + PAGE_LIST_PAGE_ITEMS - 1) / PAGE_LIST_PAGE_ITEMS;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < page_count; i++) {
        uint32_t room = (count - taken) / (page_count - i);
        struct page *page = shared_node_memory(1, sizeof *page);
        shared_node_init(&page->shared, free_page);
        page->item_count = room;
        for (uint32_t k = 0; k < room; k++) {
            page->items[k] = shared_node_ref(items[taken + k]);
        }
        append_page(self, page);
        taken += room;
    }
    check(taken == count);
}

/* The items of `page` (NULL: none) with the edits in their places; returns how many. */
static uint32_t merge_page(const struct page *page, const struct page_list_edit *edits,
                           uint32_t edit_count, page_list_compare *compare,
                           struct shared_node **out_items)
{
    uint32_t old = 0;
    uint32_t old_count = page == NULL ? 0 : page->item_count;
    uint32_t count = 0;
    for (uint32_t i = 0; i < edit_count; i++) {
        while (old < old_count && compare(edits[i].key, page->items[old]) > 0) {
            out_items[count++] = page->items[old++];
        }
        if (old < old_count && compare(edits[i].key, page->items[old]) == 0) {
            old += 1;
        }
        if (edits[i].item != NULL) {
            out_items[count++] = edits[i].item;
        }
    }
    while (old < old_count) {
        out_items[count++] = page->items[old++];
    }
    return count;
}

struct page_list *page_list_edited(struct page_list *self, const struct page_list_edit *edits,
                                   uint32_t edit_count, page_list_compare *compare)
{
    if (edit_count == 0) {
        return page_list_ref(self);
    }
    struct page_list *next = page_list_new();
    struct shared_node **items =
        shared_node_memory((size_t)edit_count + PAGE_LIST_PAGE_ITEMS, sizeof *items);
    uint32_t edit = 0;
    for (uint32_t i = 0; i < self->page_count; i++) {
        uint32_t first = edit;
        bool is_last = i + 1 == self->page_count;
        while (edit < edit_count &&
               (is_last || compare(edits[edit].key, self->pages[i + 1]->items[0]) < 0)) {
            edit += 1;
        }
        if (edit == first) {
            shared_node_ref(&self->pages[i]->shared);
            append_page(next, self->pages[i]);
        } else {
            uint32_t count =
                merge_page(self->pages[i], edits + first, edit - first, compare, items);
            append_items(next, items, count);
        }
    }
    if (self->page_count == 0) {
        append_items(next, items, merge_page(NULL, edits, edit_count, compare, items));
    }
    free(items);
    return next;
}

uint32_t page_list_count(const struct page_list *self)
{
    return self->item_count;
}

struct shared_node *page_list_at(const struct page_list *self, uint32_t index)
{
    check(index < self->item_count);
    /* Invariant: pages below `low` start at or before `index`, pages from `high` on after it. */
    uint32_t low = 1;
    uint32_t high = self->page_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (self->starts[middle] <= index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return self->pages[low - 1]->items[index - self->starts[low - 1]];
}

struct shared_node *page_list_find(const struct page_list *self, const void *key,
                                   page_list_compare *compare)
{
    uint32_t low = 0;
    uint32_t high = self->item_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct shared_node *item = page_list_at(self, middle);
        int order = compare(key, item);
        if (order == 0) {
            return item;
        }
        if (order > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

struct cursor {
    const struct page_list *list;
    uint32_t page;
    uint32_t item;
};

static struct shared_node *cursor_item(const struct cursor *self)
{
    return self->page == self->list->page_count ? NULL
                                                : self->list->pages[self->page]->items[self->item];
}

static void cursor_advance(struct cursor *self)
{
    self->item += 1;
    if (self->item == self->list->pages[self->page]->item_count) {
        self->page += 1;
        self->item = 0;
    }
}

static bool cursors_skip_shared_page(struct cursor *left, struct cursor *right)
{
    if (left->item != 0 || right->item != 0 || left->page == left->list->page_count ||
        right->page == right->list->page_count ||
        left->list->pages[left->page] != right->list->pages[right->page]) {
        return false;
    }
    left->page += 1;
    right->page += 1;
    return true;
}

void page_list_differences(const struct page_list *before, const struct page_list *after,
                           page_list_compare *compare_items,
                           void (*visit)(void *context, struct shared_node *before,
                                         struct shared_node *after),
                           void *context)
{
    if (before == after) {
        return;
    }
    struct cursor left = {.list = before};
    struct cursor right = {.list = after};
    for (;;) {
        if (cursors_skip_shared_page(&left, &right)) {
            continue;
        }
        struct shared_node *old = cursor_item(&left);
        struct shared_node *new = cursor_item(&right);
        if (old == NULL && new == NULL) {
            return;
        }
        int order = old == NULL ? 1 : new == NULL ? -1 : compare_items(old, new);
        if (order == 0 && old != new) {
            visit(context, old, new);
        } else if (order < 0) {
            visit(context, old, NULL);
        } else if (order > 0) {
            visit(context, NULL, new);
        }
        if (order <= 0) {
            cursor_advance(&left);
        }
        if (order >= 0) {
            cursor_advance(&right);
        }
    }
}
