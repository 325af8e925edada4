/* How the library says what went wrong: one place that fills struct millrace_error.
 *
 * Each function returns the code it filled in, so that a caller can return it at once.
 * Owner: the caller. Loop: any thread. */
#pragma once

#include "client/client.h"
#include "proto/sys/status.h"

/* All clear. */
int trouble_none(struct millrace_error *error);
int trouble_argument(struct millrace_error *error, const char *what, const char *fix);
/* Of our own; `what` as in "cannot write to events, partition 3". */
int trouble_status(struct millrace_error *error, enum status status, const char *what);
/* A broker said `error_code`, with `text` where it gave one (may be NULL). */
int trouble_broker(struct millrace_error *error, int16_t error_code, const char *what,
                   const char *text);
/* The broker's code if there is one, else the status. */
int trouble_either(struct millrace_error *error, enum status status, int16_t error_code,
                   const char *what);
/* After one of the above: a better cause and remedy, where the caller knows them. */
void trouble_explain(struct millrace_error *error, const char *why, const char *fix);
/* The caller's timeout came first. */
int trouble_timeout(struct millrace_error *error, const char *what);
int trouble_closed(struct millrace_error *error);

/* Copies an option struct of any age: unknown parts must be zero. False: not a struct of ours. */
bool trouble_options(void *known, size_t known_size, const void *given, size_t given_size);
