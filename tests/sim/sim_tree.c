#include "tests/sim/sim_tree.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* --- Tables of names --- */

static uint64_t name_hash(uint64_t directory, const char *text)
{
    return XXH3_64bits_withSeed(text, strlen(text), directory);
}

static struct sim_name *name_find(const struct sim_names *self, uint64_t directory,
                                  const char *text)
{
    uint64_t hash = name_hash(directory, text);
    for (size_t i = 0; i < self->count; i++) {
        struct sim_name *name = &self->names[i];
        if (name->hash == hash && name->directory == directory && strcmp(name->text, text) == 0) {
            return name;
        }
    }
    return NULL;
}

static void name_add(struct sim_names *self, uint64_t directory, const char *text,
                     struct sim_inode *inode)
{
    if (self->count == self->room) {
        self->room = self->room == 0 ? 64 : self->room * 2;
        self->names = realloc(self->names, self->room * sizeof *self->names);
        check(self->names != NULL);
    }
    char *copy = strdup(text);
    check(copy != NULL);
    self->names[self->count] = (struct sim_name){
        .hash = name_hash(directory, text), .directory = directory, .text = copy, .inode = inode};
    self->count += 1;
    inode->name_counts[self->kind] += 1;
}

static void name_remove(struct sim_names *self, struct sim_name *name)
{
    name->inode->name_counts[self->kind] -= 1;
    free(name->text);
    self->count -= 1;
    *name = self->names[self->count];
}

static void names_clear(struct sim_names *self)
{
    while (self->count > 0) {
        name_remove(self, &self->names[self->count - 1]);
    }
}

static bool has_entries(const struct sim_names *self, uint64_t directory)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->names[i].directory == directory) {
            return true;
        }
    }
    return false;
}

/* --- Inodes --- */

static struct sim_inode *inode_new(struct sim_tree *self, bool is_directory)
{
    struct sim_inode *inode = calloc(1, sizeof *inode);
    check(inode != NULL);
    self->inode_id_last += 1;
    inode->id = self->inode_id_last;
    inode->is_directory = is_directory;
    sim_file_init(&inode->file);
    inode->next = self->inodes;
    self->inodes = inode;
    return inode;
}

static void inode_free(struct sim_inode *inode)
{
    sim_file_done(&inode->file);
    free(inode);
}

void sim_tree_init(struct sim_tree *self)
{
    *self = (struct sim_tree){.durable = {.kind = SIM_NAMES_DURABLE}};
    self->root = inode_new(self, true);
}

static void change_done(struct sim_name_change *change)
{
    change->inode->change_count -= 1;
    free(change->texts[0]);
    free(change->texts[1]);
}

void sim_tree_done(struct sim_tree *self)
{
    for (size_t i = 0; i < self->change_count; i++) {
        change_done(&self->changes[i]);
    }
    free(self->changes);
    names_clear(&self->seen);
    names_clear(&self->durable);
    free(self->seen.names);
    free(self->durable.names);
    while (self->inodes != NULL) {
        struct sim_inode *inode = self->inodes;
        self->inodes = inode->next;
        inode_free(inode);
    }
    *self = (struct sim_tree){0};
}

bool sim_tree_is_garbage(const struct sim_tree *self, const struct sim_inode *inode)
{
    return inode != self->root && inode->open_count == 0 && inode->change_count == 0 &&
           inode->name_counts[SIM_NAMES_SEEN] == 0 && inode->name_counts[SIM_NAMES_DURABLE] == 0;
}

void sim_tree_collect(struct sim_tree *self)
{
    struct sim_inode **place = &self->inodes;
    while (*place != NULL) {
        struct sim_inode *inode = *place;
        if (sim_tree_is_garbage(self, inode)) {
            *place = inode->next;
            inode_free(inode);
        } else {
            place = &inode->next;
        }
    }
}

uint64_t sim_tree_pages(const struct sim_tree *self)
{
    uint64_t total = 0;
    for (const struct sim_inode *inode = self->inodes; inode != NULL; inode = inode->next) {
        if (inode->name_counts[SIM_NAMES_SEEN] > 0 || inode->open_count > 0) {
            total += inode->file.allocated_pages;
        }
    }
    return total;
}

/* --- Paths --- */

/* A path taken apart: the directory that exists, and the last name in it. */
struct place {
    uint64_t directory;
    char text[DISK_PATH_BYTES_MAX];
    bool is_root;
};

static enum status place_of(const struct sim_tree *self, const char *path, struct place *out_place)
{
    if (strlen(path) >= DISK_PATH_BYTES_MAX) {
        return STATUS_IO;
    }
    *out_place = (struct place){.directory = self->root->id, .is_root = true};
    while (*path != 0) {
        size_t length = strcspn(path, "/");
        const char *rest = path + length + strspn(path + length, "/");
        if (length == 0 || (length == 1 && path[0] == '.')) {
            path = rest;
            continue;
        }
        if (!out_place->is_root) { /* The name met before must be a directory. */
            const struct sim_name *name =
                name_find(&self->seen, out_place->directory, out_place->text);
            if (name == NULL || !name->inode->is_directory) {
                return name == NULL ? STATUS_NOT_FOUND : STATUS_IO;
            }
            out_place->directory = name->inode->id;
        }
        out_place->is_root = false;
        memcpy(out_place->text, path, length);
        out_place->text[length] = 0;
        path = rest;
    }
    return STATUS_OK;
}

struct sim_inode *sim_tree_find(const struct sim_tree *self, const char *path)
{
    struct place place;
    if (place_of(self, path, &place) != STATUS_OK) {
        return NULL;
    }
    if (place.is_root) {
        return self->root;
    }
    const struct sim_name *name = name_find(&self->seen, place.directory, place.text);
    return name == NULL ? NULL : name->inode;
}

/* --- Changes --- */

static void change_add(struct sim_tree *self, enum sim_name_change_kind kind,
                       struct sim_inode *inode, const struct place *from, const struct place *to)
{
    if (self->change_count == self->change_room) {
        self->change_room = self->change_room == 0 ? 16 : self->change_room * 2;
        self->changes = realloc(self->changes, self->change_room * sizeof *self->changes);
        check(self->changes != NULL);
    }
    struct sim_name_change *change = &self->changes[self->change_count];
    self->change_count += 1;
    *change = (struct sim_name_change){
        .kind = kind,
        .directories = {from->directory, to->directory},
        .texts = {strdup(from->text), strdup(to->text)},
        .hashes = {name_hash(from->directory, from->text), name_hash(to->directory, to->text)},
        .inode = inode};
    check(change->texts[0] != NULL && change->texts[1] != NULL);
    inode->change_count += 1;
}

/* One rule for what is seen and what is durable. False: the change makes no sense there (any more),
 * since something before it was lost. */
static bool change_apply(const struct sim_name_change *change, struct sim_names *names)
{
    struct sim_name *from = name_find(names, change->directories[0], change->texts[0]);
    if (change->kind == SIM_NAME_ADD) {
        if (from == NULL) {
            name_add(names, change->directories[0], change->texts[0], change->inode);
        }
        return from == NULL;
    }
    if (from == NULL || from->inode != change->inode) {
        return false;
    }
    name_remove(names, from);
    if (change->kind == SIM_NAME_MOVE) {
        struct sim_name *to = name_find(names, change->directories[1], change->texts[1]);
        if (to != NULL) {
            name_remove(names, to);
        }
        name_add(names, change->directories[1], change->texts[1], change->inode);
    }
    return true;
}

enum status sim_tree_create(struct sim_tree *self, const char *path, bool is_directory,
                            struct sim_inode **out_inode)
{
    struct place place;
    TRY(place_of(self, path, &place));
    if (place.is_root || name_find(&self->seen, place.directory, place.text) != NULL) {
        return STATUS_EXISTS;
    }
    struct sim_inode *inode = inode_new(self, is_directory);
    change_add(self, SIM_NAME_ADD, inode, &place, &place);
    check(change_apply(&self->changes[self->change_count - 1], &self->seen));
    *out_inode = inode;
    return STATUS_OK;
}

enum status sim_tree_rename(struct sim_tree *self, const char *from, const char *to)
{
    struct place source;
    struct place target;
    TRY(place_of(self, from, &source));
    TRY(place_of(self, to, &target));
    const struct sim_inode *moved = sim_tree_find(self, from);
    const struct sim_inode *replaced = sim_tree_find(self, to);
    if (moved == NULL) {
        return STATUS_NOT_FOUND;
    }
    if (source.is_root || target.is_root) {
        return STATUS_IO;
    }
    if (moved == replaced) {
        return STATUS_OK;
    }
    if (replaced != NULL &&
        (replaced->is_directory != moved->is_directory || has_entries(&self->seen, replaced->id))) {
        return replaced->is_directory && moved->is_directory ? STATUS_EXISTS : STATUS_IO;
    }
    struct sim_name *name = name_find(&self->seen, source.directory, source.text);
    change_add(self, SIM_NAME_MOVE, name->inode, &source, &target);
    check(change_apply(&self->changes[self->change_count - 1], &self->seen));
    return STATUS_OK;
}

enum status sim_tree_remove(struct sim_tree *self, const char *path)
{
    struct place place;
    TRY(place_of(self, path, &place));
    if (place.is_root) {
        return STATUS_IO;
    }
    struct sim_name *name = name_find(&self->seen, place.directory, place.text);
    if (name == NULL) {
        return STATUS_NOT_FOUND;
    }
    if (has_entries(&self->seen, name->inode->id)) {
        return STATUS_EXISTS;
    }
    change_add(self, SIM_NAME_REMOVE, name->inode, &place, &place);
    check(change_apply(&self->changes[self->change_count - 1], &self->seen));
    return STATUS_OK;
}

static bool shares_a_name(const struct sim_name_change *left, const struct sim_name_change *right)
{
    return left->hashes[0] == right->hashes[0] || left->hashes[0] == right->hashes[1] ||
           left->hashes[1] == right->hashes[0] || left->hashes[1] == right->hashes[1];
}

/* What is durable about a name includes all that happened to it before. */
static void pull_earlier_changes(struct sim_tree *self)
{
    for (size_t i = self->change_count; i-- > 0;) {
        const struct sim_name_change *change = &self->changes[i];
        if (!change->is_synced[0] || !change->is_synced[1]) {
            continue;
        }
        for (size_t k = 0; k < i; k++) {
            if (shares_a_name(&self->changes[k], change)) {
                self->changes[k].is_synced[0] = self->changes[k].is_synced[1] = true;
            }
        }
    }
}

/* What is synced on both sides is durable. */
static void settle_changes(struct sim_tree *self)
{
    size_t kept = 0;
    bool has_lost_names = false;
    for (size_t i = 0; i < self->change_count; i++) {
        struct sim_name_change *change = &self->changes[i];
        if (change->is_synced[0] && change->is_synced[1]) {
            change_apply(change, &self->durable);
            has_lost_names |= change->kind != SIM_NAME_ADD;
            change_done(change);
        } else {
            self->changes[kept] = *change;
            kept += 1;
        }
    }
    self->change_count = kept;
    if (has_lost_names) {
        sim_tree_collect(self);
    }
}

enum status sim_tree_sync(struct sim_tree *self, const char *path)
{
    const struct sim_inode *directory = sim_tree_find(self, path);
    if (directory == NULL || !directory->is_directory) {
        return directory == NULL ? STATUS_NOT_FOUND : STATUS_IO;
    }
    for (size_t i = 0; i < self->change_count; i++) {
        for (size_t side = 0; side < 2; side++) {
            self->changes[i].is_synced[side] |= self->changes[i].directories[side] == directory->id;
        }
    }
    pull_earlier_changes(self);
    settle_changes(self);
    return STATUS_OK;
}

void sim_tree_sync_all(struct sim_tree *self)
{
    for (size_t i = 0; i < self->change_count; i++) {
        self->changes[i].is_synced[0] = true;
        self->changes[i].is_synced[1] = true;
    }
    settle_changes(self);
}

static int compare_names(const void *left, const void *right)
{
    const char *const *left_text = left;
    const char *const *right_text = right;
    return strcmp(*left_text, *right_text);
}

enum status sim_tree_list(const struct sim_tree *self, const char *path,
                          void (*on_entry)(void *context, const char *name, bool is_directory),
                          void *context)
{
    const struct sim_inode *directory = sim_tree_find(self, path);
    if (directory == NULL || !directory->is_directory) {
        return directory == NULL ? STATUS_NOT_FOUND : STATUS_IO;
    }
    uint64_t id = directory->id;
    size_t count = 0;
    const char **texts = calloc(self->seen.count + 1, sizeof *texts);
    check(texts != NULL);
    for (size_t i = 0; i < self->seen.count; i++) {
        if (self->seen.names[i].directory == id) {
            texts[count] = strdup(self->seen.names[i].text);
            check(texts[count] != NULL);
            count += 1;
        }
    }
    qsort(texts, count, sizeof *texts, compare_names);
    for (size_t i = 0; i < count; i++) {
        /* The callback may remove what it is told about. */
        const struct sim_name *name = name_find(&self->seen, id, texts[i]);
        if (name != NULL) {
            on_entry(context, texts[i], name->inode->is_directory);
        }
    }
    for (size_t i = 0; i < count; i++) {
        free((char *)(uintptr_t)texts[i]);
    }
    free(texts);
    return STATUS_OK;
}

/* --- Power cuts --- */

static void names_cut(struct sim_tree *self, struct prng *prng)
{
    /* Often all or nothing, as a journaling file system gives it; else each change by itself. */
    uint64_t how = prng_below(prng, 4);
    size_t prefix = (size_t)prng_below(prng, self->change_count + 1);
    for (size_t i = 0; i < self->change_count; i++) {
        bool is_kept =
            how == 0 || (how == 1 && i < prefix) || (how == 2 && prng_below(prng, 2) == 0);
        if (is_kept) {
            change_apply(&self->changes[i], &self->durable);
        }
        change_done(&self->changes[i]);
    }
    self->change_count = 0;

    names_clear(&self->seen);
    for (size_t i = 0; i < self->durable.count; i++) {
        const struct sim_name *name = &self->durable.names[i];
        name_add(&self->seen, name->directory, name->text, name->inode);
    }
}

/* What lies below a lost directory is lost: its names lead from an inode that has none. */
static void orphans_remove(struct sim_tree *self, struct sim_names *names)
{
    bool is_settled = false;
    while (!is_settled) {
        is_settled = true;
        for (size_t i = 0; i < names->count; i++) {
            bool has_parent = names->names[i].directory == self->root->id;
            for (size_t k = 0; k < names->count && !has_parent; k++) {
                has_parent = names->names[k].inode->id == names->names[i].directory;
            }
            if (!has_parent) {
                name_remove(names, &names->names[i]);
                is_settled = false;
                i -= 1;
            }
        }
    }
}

void sim_tree_cut_power(struct sim_tree *self, struct prng *prng)
{
    names_cut(self, prng);
    orphans_remove(self, &self->seen);
    orphans_remove(self, &self->durable);
    sim_tree_collect(self);

    /* One rule for all files, or one of its own for each. */
    enum sim_cut common = (enum sim_cut)prng_below(prng, SIM_CUT_COUNT);
    bool is_common = prng_below(prng, 2) == 0;
    for (struct sim_inode *inode = self->inodes; inode != NULL; inode = inode->next) {
        check(inode->open_count == 0);
        inode->has_failed_flush = false;
        enum sim_cut own = (enum sim_cut)prng_below(prng, SIM_CUT_COUNT);
        sim_file_cut_power(&inode->file, is_common ? common : own, prng);
    }
}
