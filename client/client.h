/* libmillrace, the core: bytes, errors, and the client that all other handles hang on.
 *
 * A client owns one thread that does all input and output. Producers, consumers and the admin calls
 * use it. Every function may be called from any thread (but from a callback only where it says so);
 * every call that can wait takes a timeout and returns by then.
 *
 * Two rules of ownership: what an `_open` or an `out_` handle gave is yours until you close or free
 * it; what you pass in is copied before the call returns.
 * Functions return 0 or a code (enum millrace_code, or an error code of the Kafka protocol), and
 * fill `error`, which may be NULL. On failure `out_` arguments are set to NULL or left untouched.
 * Option structs begin with their size: `{.size = sizeof options}`; what is zero has its default.
 *
 * Owner: the application. Loop: any thread. Limits: those of the options. C11 and C++. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MILLRACE_EXPORT __attribute__((visibility("default")))

/* `data` NULL is null, which is not the same as empty. */
struct millrace_bytes {
    const void *data;
    size_t size;
};

/* Of a NUL-terminated string; NULL gives null. */
static inline struct millrace_bytes millrace_text(const char *text)
{
    struct millrace_bytes bytes = {text, text == NULL ? 0 : strlen(text)};
    return bytes;
}

/* Codes of our own; the broker's are those of the Kafka protocol, -1 to 999. */
enum millrace_code {
    MILLRACE_OK = 0,
    MILLRACE_TIMEOUT = -1001,     /* Your timeout passed first. */
    MILLRACE_UNREACHABLE = -1002, /* No broker can be reached. */
    MILLRACE_CLOSED = -1003,      /* The handle, or its client, is closed. */
    MILLRACE_NO_MEMORY = -1004,
    MILLRACE_BUFFER_FULL = -1005,      /* Unsent records fill the buffer; timeout 0 was given. */
    MILLRACE_INVALID_ARGUMENT = -1006, /* The call itself is wrong; nothing was sent. */
    MILLRACE_UNSUPPORTED = -1007,      /* The broker cannot do this. */
    MILLRACE_BAD_ANSWER = -1008,       /* The broker's answer breaks the protocol. */
    MILLRACE_CORRUPT = -1009,          /* A stored batch fails its checksum. */
    MILLRACE_TOO_LARGE = -1010,        /* The record does not fit a batch. */
    MILLRACE_CANCELED = -1011,         /* Given up by a close or an abort before it was sent. */
    MILLRACE_REFUSED = -1012,          /* A processor says no; `name` of the error is its code. */

    /* Those of the protocol that programs often ask for. */
    MILLRACE_OFFSET_OUT_OF_RANGE = 1,
    MILLRACE_UNKNOWN_TOPIC = 3,
    MILLRACE_TOPIC_EXISTS = 36,
    MILLRACE_PRODUCER_FENCED = 90,
};

struct millrace_error {
    int code;
    bool is_retriable; /* The same call may succeed later. */
    bool is_fatal;     /* The handle is of no use any more: close it. */
    bool must_abort;   /* The open transaction must be aborted first. */
    char name[48];     /* Of the code, as TOPIC_ALREADY_EXISTS. */
    char what[320];    /* What failed, with its values. */
    char why[320];     /* The most likely cause. */
    char fix[320];     /* What to do about it. */
    char reserved[64];
};

/* "error NAME: what; why; fix" and a newline. */
MILLRACE_EXPORT void millrace_error_print(const struct millrace_error *error, FILE *out);
/* Never NULL. */
MILLRACE_EXPORT const char *millrace_code_name(int code);
/* "0.1.0", of the library that is loaded. */
MILLRACE_EXPORT const char *millrace_version(void);

struct millrace_client;

struct millrace_client_options {
    size_t size;
    struct millrace_bytes bootstrap; /* "host:port,host:port"; null: localhost:9092. */
    struct millrace_bytes client_id; /* Null: millrace. */
    int64_t request_timeout_ms;      /* After it a broker counts as gone. 0: 30,000. */
};

/* Starts the client's thread. Does not wait for a broker: the first call that needs one does. */
MILLRACE_EXPORT int millrace_client_open(const struct millrace_client_options *options,
                                         struct millrace_client **out_client,
                                         struct millrace_error *error);
/* Gives producers up to `timeout_ms` to deliver what they hold, then closes everything. Handles
 * that are still open answer MILLRACE_CLOSED from now on and are freed by their own close.
 * MILLRACE_TIMEOUT: records were given up. Accepts NULL. */
MILLRACE_EXPORT int millrace_client_close(struct millrace_client *client, int64_t timeout_ms,
                                          struct millrace_error *error);

#ifdef __cplusplus
}
#endif

/* Relative, so that the installed headers find each other. */
#include "producer.h"

#include "consumer.h"

#include "admin.h"

#include "jobs.h"

#include "millrace_df.h"
