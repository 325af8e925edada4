/* The program millrace-parser as seen from a processor: asks it for the Script of a text.
 *
 * The grammar's library cannot share our process (D8), and a child that dies takes no job with it.
 * One child is started with the first question and kept; questions wait for their turn. When it
 * ends, or does not answer in time, it is killed, the question in hand fails (UNKNOWN, TIMEOUT),
 * and the next one starts another child; a child that cannot be started fails what waits.
 *
 * Owner: the processor's main. Loop: the one it was opened on, which must run until on_closed, and
 * whose thread must live as long as the process, because the child dies with it.
 * Limits: PARSER_PROCESS_TEXT_BYTES_MAX, PARSER_PROCESS_ASKS_MAX. */
#pragma once

#include "proto/internal/plan.pb-c.h"
#include "proto/sys/list.h"
#include "proto/sys/mailbox.h"
#include "proto/sys/status.h"

#include <stddef.h>
#include <stdint.h>

struct host_loop;
struct parser_process;

#define PARSER_PROCESS_TEXT_BYTES_MAX 65536U
#define PARSER_PROCESS_ANSWER_BYTES_MAX ((size_t)16 << 20)
#define PARSER_PROCESS_ASKS_MAX 64U

struct parser_process_options {
    struct host_loop *loop;
    const char *program; /* Copied; the path of millrace-parser. */
    int64_t deadline_ms; /* Of one question while the child has it; 0: 5,000. */
};

/* Embedded by the asker; stays put until on_done. */
struct parser_process_ask {
    /* Once, never from inside parser_process_ask(). OK: `script` lives until it returns, and its
     * `fault` may be set; else it is NULL. FULL: too many wait. CANCELED: closed. NOT_FOUND: no
     * program. UNKNOWN: the child died. TIMEOUT: it did not answer. */
    void (*on_done)(struct parser_process_ask *self, enum status status,
                    const Millrace__Plan__Script *script);
    /* The driver's. */
    struct list link;
    char *text;
    size_t text_bytes;
    enum status status;
};

/* Of a question that failed, for whoever asked it. */
struct parser_process_reason {
    const char *why;
    const char *fix;
};

struct parser_process_reason parser_process_reason(enum status status);

/* Starts nothing yet. */
MUST_USE enum status parser_process_open(const struct parser_process_options *options,
                                         struct parser_process **out_process);
/* What waits is answered with CANCELED; on_closed is the last event. */
void parser_process_close(struct parser_process *self, void (*on_closed)(void *context),
                          void *context);
/* `text` is copied; one that is too long is cut behind its bound, which its Script's fault tells.
 * on_done comes, whatever happens. */
void parser_process_ask(struct parser_process *self, struct parser_process_ask *ask,
                        const char *text, size_t text_bytes);
