/* One call to a running `millrace dev`, from another process: the other side of dev_control.
 *
 * Owner: shell_dev. Loop: one of its own, for the length of the call. Limits: DEV_CALL_MS_MAX,
 * DEV_ANSWER_BYTES_MAX. */
#pragma once

#include "client/shell/dev_plan.h"

#define DEV_CALL_MS_MAX 90000
#define DEV_ANSWER_BYTES_MAX 1024U

/* `answer` holds DEV_ANSWER_BYTES_MAX and gets the line, without its newline. NOT_FOUND: nothing
 * runs on `directory`. TIMEOUT: no answer in DEV_CALL_MS_MAX. */
MUST_USE enum status dev_call_make(struct disk *disk, const char *directory, const char *verb,
                                   const char *node, char *answer);
