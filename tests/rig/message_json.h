/* Kafka messages against JSON, in the form of the golden vectors.
 *
 * Names are the schema's with a small first letter, bytes are base64, uuids URL base64 of 22
 * characters; a tagged field that has its default is absent, every other field of the version is
 * there. Integers never pass through a double.
 * Owner: the test. Loop: none. */
#pragma once

#include "tests/rig/message_table.h"

#include <jansson.h>

/* Where a comparison ended. */
struct message_json_place {
    const char *shape;
    const char *field;
};

/* True when `value`, decoded in `version`, says what `json` says and has the default in every
 * field that the version lacks. Else `out_place` tells where they differ. */
bool message_json_matches(const struct message_shape *shape, int16_t version, const void *value,
                          const json_t *json, struct message_json_place *out_place);
/* Fills `out` from `json`; STATUS_INVALID when it does not fit the shape. */
MUST_USE enum status message_json_read(const struct message_shape *shape, const json_t *json,
                                       struct arena *arena, void *out);
