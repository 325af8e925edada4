/* The step from one image to the next: a committed command applied as a whole, or not at all.
 *
 * Deciding and applying may see different states (a command that was decided behind another one
 * whose fate changed), so every record is held against the image once more: partition epochs must
 * be successors, names free, brokers of the epoch that was meant. A command with a record that does
 * not fit is refused as a whole, on every node and at every replay alike; only the index moves.
 * A command whose token is remembered was applied before and does nothing either.
 *
 * Owner: the caller. Loop: any. Limits: memory that is not there ends the node. */
#pragma once

#include "broker/metadata/image.h"

#define IMAGE_DELTA_VERSION 1U /* Of Command; a newer one is STATUS_UNSUPPORTED. */

struct image_delta {
    struct image *image; /* The next one, with one reference for the caller. */
    bool is_refused;
    bool is_repeated;
    const char *refusal; /* Why, or NULL; static. */
    uint8_t token[IMAGE_TOKEN_BYTES]; /* Of the command; zero: it has none. */
};

/* STATUS_MALFORMED: not a command. STATUS_UNSUPPORTED: written by a newer version. Both say that
 * this node cannot follow. `index` is greater than the image's. */
MUST_USE enum status image_delta_apply(struct image *base, uint64_t index, const void *bytes,
                                       size_t byte_count, struct image_delta *out_delta);
