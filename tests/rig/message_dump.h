/* Any protobuf message as text, by its descriptor: `{name: "x", columns: [{…}, {…}]}`. Fields that
 * hold their default are left out.
 *
 * Owner: the test. Loop: any. */
#pragma once

#include "processor/text/text_builder.h"

#include <protobuf-c/protobuf-c.h>

/* `skip`: names of fields that are not written, NULL-terminated; may be NULL. */
void message_dump_add(struct text_builder *text, const ProtobufCMessage *message,
                      const char *const *skip);
