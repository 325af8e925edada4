/* What a topic may be called: 1 to 249 of letters, digits, `.`, `_` and `-`, but not `.` or `..`.
 */
#pragma once

#include "proto/wire/reader.h"

#include <stdbool.h>

bool topic_name_is_valid(struct wire_text name);
