/* Follows the cluster's metadata from outside the quorum: a broker that does not vote pulls the
 * image from a voter whenever that has a newer one.
 *
 * A long poll names the index that is known; the answer is the voter's newest image as a snapshot,
 * or nothing when the time was over. Voters are tried in turn. The image is whole each time: a
 * cluster of the size that one quorum serves has images of some megabytes at most, and they change
 * rarely.
 *
 * | bytes of the request (private key METADATA_PULL_KEY, version 0) | |
 * |---|---|
 * | 8 | index that is known; 0: none |
 * | 4 | wait, ms |
 *
 * | bytes of the answer | |
 * |---|---|
 * | 2 | 0: ok; else this node has no image yet |
 * | 4 + n | length and bytes of image_snapshot; length -1: nothing newer |
 *
 * Owner: the broker. Loop: the quorum's. Limits: METADATA_PULL_BYTES_MAX an answer. */
#pragma once

#include "broker/metadata/image.h"
#include "client/link.h"
#include "proto/kafka/api_key.h"
#include "raft/quorum.h"

#define METADATA_PULL_KEY (API_KEY_PRIVATE_MIN + 0x11)
#define METADATA_PULL_WAIT_MS 500
#define METADATA_PULL_BYTES_MAX (256U << 20)

struct metadata_pull;

struct metadata_pull_options {
    struct loop *loop;
    const struct quorum_voter *voters; /* Copied. */
    uint32_t voter_count;
    /* A newer image; a reference that the receiver may take with image_ref(). */
    void (*on_image)(void *context, struct image *image);
    /* The image cannot be read: written by a newer version. The node must stop. */
    void (*on_fatal)(void *context, enum status why);
    void *context;
};

MUST_USE enum status metadata_pull_new(const struct metadata_pull_options *options,
                                       struct metadata_pull **out_self);
void metadata_pull_close(struct metadata_pull *self, void (*on_closed)(void *context),
                         void *context);
