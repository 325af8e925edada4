/* The one result type. A function that can fail returns `enum status` and nothing else.
 *
 * Codes name what the caller can do about it, not where it came from. uv, raft and Kafka numbers
 * are translated once, at the edge that meets them. */
#pragma once

#define STATUS_TABLE(X)                                                                            \
    X(OK, "ok")                                                                                    \
    X(NO_MEMORY, "out of memory")                                                                  \
    X(FULL, "limit reached, nothing was added")                                                    \
    X(BUSY, "cannot be done now, try again later")                                                 \
    X(PENDING, "started, the callback tells the end")                                              \
    X(NOT_FOUND, "no such thing")                                                                  \
    X(EXISTS, "a thing of this name is there already")                                             \
    X(NOT_LEADER, "this node does not lead here")                                                  \
    X(FENCED, "the caller's epoch is older than ours")                                             \
    X(AHEAD, "the caller's epoch is newer than ours")                                              \
    X(OUT_OF_RANGE, "offset or position outside what is kept")                                     \
    X(INVALID, "the request is well formed but not allowed")                                       \
    X(UNSUPPORTED, "version, codec or feature is not known here")                                  \
    X(MALFORMED, "bytes from outside break the format")                                            \
    X(CORRUPT, "bytes we wrote ourselves fail their checksum")                                     \
    X(IO, "a storage call failed")                                                                 \
    X(NO_SPACE, "the disk or a quota is full")                                                     \
    X(CLOSED, "the peer or this side closed")                                                      \
    X(UNREACHABLE, "the peer cannot be reached")                                                   \
    X(TIMEOUT, "the deadline passed")                                                              \
    X(CANCELED, "taken back before it was done")                                                   \
    X(UNKNOWN, "handed over, its fate is not known")

enum status {
#define X(name, text) STATUS_##name,
    STATUS_TABLE(X)
#undef X
};

#define MUST_USE __attribute__((warn_unused_result))

/* Returns from the calling function when `call` fails. The only macro that hides a `return`. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum status try_status_ = (call);                                                          \
        if (try_status_ != STATUS_OK) {                                                            \
            return try_status_;                                                                    \
        }                                                                                          \
    } while (0)

/* Drops a status on purpose. gcc still warns on a plain (void) cast, so this is the only way. */
#define status_ignore(call, why) ((void)!(call))

/* Never NULL; a sentence fragment without a full stop. */
const char *status_text(enum status status);
