/* The names of one simulated disk: as processes see them, and as they would be after a power cut.
 *
 * Each change of a name (create, rename, remove) joins a list in order. Syncing a directory makes
 * durable what happened in it; a rename between directories needs both. A power cut keeps any part
 * of the rest: each change by itself, as far as it still makes sense (a rename whose source never
 * became durable vanishes as well). A directory whose own name is lost takes all below it along.
 * A file keeps its content as long as a name, seen or durable, or an open handle leads to it.
 *
 * Owner: the disk. Loop: the world's thread. Limits: DISK_PATH_BYTES_MAX per path. */
#pragma once

#include "proto/sys/disk.h"
#include "tests/sim/sim_file.h"

struct sim_inode {
    uint64_t id;
    bool is_directory;
    struct sim_file file;
    uint32_t open_count;
    bool has_failed_flush;   /* In this life of the process. */
    uint32_t name_counts[2]; /* Names that lead to it: seen, durable. */
    uint32_t change_count;   /* Changes of names that know it. */
    struct sim_inode *next;  /* The tree's. */
};

struct sim_name {
    uint64_t hash;      /* Of what follows. */
    uint64_t directory; /* Inode of the directory. */
    char *text;         /* Owned. */
    struct sim_inode *inode;
};

enum sim_names_kind { SIM_NAMES_SEEN, SIM_NAMES_DURABLE };

struct sim_names {
    enum sim_names_kind kind;
    struct sim_name *names; /* Owned; no order. */
    size_t count;
    size_t room;
};

enum sim_name_change_kind { SIM_NAME_ADD, SIM_NAME_REMOVE, SIM_NAME_MOVE };

struct sim_name_change {
    enum sim_name_change_kind kind;
    uint64_t directories[2]; /* Where it was, where it is; the same for all but moves. */
    char *texts[2];          /* Owned. */
    uint64_t hashes[2];      /* Of directory and text. */
    bool is_synced[2];
    struct sim_inode *inode;
};

struct sim_tree {
    struct sim_inode *inodes; /* Owned. */
    struct sim_inode *root;
    uint64_t inode_id_last;
    struct sim_names seen;
    struct sim_names durable;
    struct sim_name_change *changes; /* Owned; in order. */
    size_t change_count;
    size_t change_room;
};

void sim_tree_init(struct sim_tree *self);
void sim_tree_done(struct sim_tree *self);

/* NULL: no such name. "", "/" and "." are the root. */
struct sim_inode *sim_tree_find(const struct sim_tree *self, const char *path);
MUST_USE enum status sim_tree_create(struct sim_tree *self, const char *path, bool is_directory,
                                     struct sim_inode **out_inode);
MUST_USE enum status sim_tree_rename(struct sim_tree *self, const char *from, const char *to);
MUST_USE enum status sim_tree_remove(struct sim_tree *self, const char *path);
MUST_USE enum status sim_tree_sync(struct sim_tree *self, const char *path);
void sim_tree_sync_all(struct sim_tree *self);
/* In byte order of the names. */
MUST_USE enum status
sim_tree_list(const struct sim_tree *self, const char *path,
              void (*on_entry)(void *context, const char *name, bool is_directory), void *context);
/* Names first, then the content of every file that is left. No file may be open. */
void sim_tree_cut_power(struct sim_tree *self, struct prng *prng);
/* Nothing leads to it. */
bool sim_tree_is_garbage(const struct sim_tree *self, const struct sim_inode *inode);
/* Frees what nothing leads to. */
void sim_tree_collect(struct sim_tree *self);
/* Pages taken by all files that a process can reach or holds open. */
uint64_t sim_tree_pages(const struct sim_tree *self);
