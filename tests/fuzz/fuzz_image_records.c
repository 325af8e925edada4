/* Goal: no bytes from another node's log make an image that breaks its own promises.
 * Method: the first byte says how; either a snapshot, or commands one after another on a small
 * cluster. What is taken must be whole, and come back from its own snapshot as it was. */
#include "broker/metadata/image_snapshot.h"
#include "proto/sys/check.h"
#include "tests/rig/image_maker.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static void hold(const struct image *image)
{
    struct image *restored = NULL;
    size_t byte_count = 0;
    check(image_maker_broken_invariant(image) == NULL);
    uint8_t *bytes = image_snapshot_write(image, &byte_count);
    check(image_snapshot_read(bytes, byte_count, &restored) == STATUS_OK);
    check(image_maker_equal(image, restored));
    image_unref(restored);
    free(bytes);
}

static void feed_snapshot(const uint8_t *bytes, size_t byte_count)
{
    struct image *image = NULL;
    if (image_snapshot_read(bytes, byte_count, &image) == STATUS_OK) {
        hold(image);
        image_unref(image);
    }
}

/* Each command has its length in two bytes before it. */
static void feed_commands(const uint8_t *bytes, size_t byte_count)
{
    struct image *image = image_maker_cluster(3, 0);
    while (byte_count >= 2) {
        struct image_delta delta;
        size_t length = (size_t)(bytes[0] << 8 | bytes[1]);
        bytes += 2;
        byte_count -= 2;
        length = length < byte_count ? length : byte_count;
        if (image_delta_apply(image, image_index(image) + 1, bytes, length, &delta) == STATUS_OK) {
            check(image_index(delta.image) == image_index(image) + 1);
            image_unref(image);
            image = delta.image;
        }
        bytes += length;
        byte_count -= length;
    }
    hold(image);
    image_unref(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    if (byte_count < 1 || byte_count > 65536) {
        return 0;
    }
    if (bytes[0] % 2 == 0) {
        feed_snapshot(bytes + 1, byte_count - 1);
    } else {
        feed_commands(bytes + 1, byte_count - 1);
    }
    return 0;
}
