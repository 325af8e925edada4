#include "client/millrace/trouble.h"

#include "proto/kafka/error_code.h"

#define VERSION_TEXT "0.1.0"
#define GIVEN_SIZE_MAX 4096U
#define PLACE_GONE "the group has given the partitions to others meanwhile"
#define PLACE_GONE_FIX "go on polling; what was not committed is read again by its new owner"

struct remedy {
    int code;
    const char *name;
    const char *why;
    const char *fix;
};

static const struct remedy own_remedies[] = {
    {MILLRACE_TIMEOUT, "TIMEOUT", "the time given ran out before an answer came",
     "give it more time, or look whether the brokers are up: millrace cluster status"},
    {MILLRACE_UNREACHABLE, "UNREACHABLE", "no broker accepts connections at the addresses known",
     "check that the cluster runs and that the bootstrap address is right"},
    {MILLRACE_CLOSED, "CLOSED", "the handle or its client has been closed",
     "open a new one; close the client last"},
    {MILLRACE_NO_MEMORY, "NO_MEMORY", "the system has no memory left",
     "make room, or lower the buffer sizes in the options"},
    {MILLRACE_BUFFER_FULL, "BUFFER_FULL",
     "records are sent faster than the brokers take them, or no broker takes any",
     "wait and send again, give the send a timeout, or raise buffer_bytes"},
    {MILLRACE_INVALID_ARGUMENT, "INVALID_ARGUMENT", "the call's arguments contradict the interface",
     "see the comment at the function in its header"},
    {MILLRACE_UNSUPPORTED, "UNSUPPORTED", "the broker is too old or has this switched off",
     "upgrade the brokers, or do without this call"},
    {MILLRACE_BAD_ANSWER, "BAD_ANSWER", "what listens there is no Kafka broker, or has a defect",
     "check the address and port of the bootstrap list"},
    {MILLRACE_CORRUPT, "CORRUPT", "a batch was damaged on a disk or on its way",
     "read it from another replica, or seek past it"},
    {MILLRACE_TOO_LARGE, "TOO_LARGE", "the record is larger than the producer's limit",
     "raise record_bytes_max and the topic's max.message.bytes, or send less at once"},
    {MILLRACE_CANCELED, "CANCELED", "it was closed or aborted before the record was sent",
     "give the close or the flush more time"},
    {MILLRACE_REFUSED, "REFUSED", "a processor says that it cannot be done",
     "see the error that it gave"},
};

static const struct remedy broker_remedies[] = {
    {ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION, NULL, "it was never created, or has been deleted",
     "create it: millrace topic create NAME"},
    {ERROR_CODE_TOPIC_ALREADY_EXISTS, NULL, "a topic of this name is there already",
     "use it as it is, or choose another name"},
    {ERROR_CODE_OFFSET_OUT_OF_RANGE, NULL,
     "retention has deleted the records there, or the log ends before",
     "seek to the earliest or latest offset, or choose a reset in the options"},
    {ERROR_CODE_MESSAGE_TOO_LARGE, NULL, "the batch is above the topic's max.message.bytes",
     "lower batch_bytes, or raise the topic's max.message.bytes"},
    {ERROR_CODE_INVALID_REPLICATION_FACTOR, NULL, "there are fewer brokers than replicas asked for",
     "ask for fewer replicas, or start more brokers"},
    {ERROR_CODE_PRODUCER_FENCED, NULL, "a newer producer has the same transactional id",
     "stop this one; run one producer per transactional id"},
    {ERROR_CODE_INVALID_PRODUCER_EPOCH, NULL,
     "the transaction's time was over, or a newer producer has the same transactional id",
     "abort the transaction: that tells which of the two it was"},
    {ERROR_CODE_INVALID_TXN_STATE, NULL,
     "the transaction's time was over, and the coordinator has aborted it",
     "commit sooner, or raise transaction_timeout_ms"},
    {ERROR_CODE_NOT_ENOUGH_REPLICAS, NULL, "fewer replicas are in sync than min.insync.replicas",
     "bring the brokers back that are down: millrace cluster status"},
    {ERROR_CODE_INVALID_TOPIC_EXCEPTION, NULL,
     "topic names have 1 to 249 characters out of a-z, A-Z, 0-9, dot, dash and underscore",
     "choose another name"},
    {ERROR_CODE_ILLEGAL_GENERATION, NULL, PLACE_GONE, PLACE_GONE_FIX},
    {ERROR_CODE_UNKNOWN_MEMBER_ID, NULL, PLACE_GONE, PLACE_GONE_FIX},
    {ERROR_CODE_REBALANCE_IN_PROGRESS, NULL, PLACE_GONE, PLACE_GONE_FIX},
    {ERROR_CODE_FENCED_INSTANCE_ID, NULL, "a newer consumer has the same instance id",
     "stop this one; give each consumer an instance_id of its own"},
    {ERROR_CODE_LEADER_NOT_AVAILABLE, NULL, "the brokers that hold it are down",
     "start them: millrace cluster status shows which"},
};

static const struct remedy *find(const struct remedy *rows, size_t count, int code)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].code == code) {
            return &rows[i];
        }
    }
    return NULL;
}

#define FIND(rows, code) find(rows, sizeof(rows) / sizeof *(rows), code)

const char *millrace_version(void)
{
    return VERSION_TEXT;
}

const char *millrace_code_name(int code)
{
    if (code == MILLRACE_OK) {
        return "OK";
    }
    const struct remedy *own = FIND(own_remedies, code);
    if (own != NULL) {
        return own->name;
    }
    return code >= INT16_MIN && code <= INT16_MAX ? error_code_name((int16_t)code) : "UNKNOWN";
}

void millrace_error_print(const struct millrace_error *error, FILE *out)
{
    fprintf(out, "error %s: %s; %s; %s\n", error->name, error->what, error->why, error->fix);
}

static void put(char *place, size_t room, const char *text)
{
    (void)snprintf(place, room, "%s", text);
}

static int fill(struct millrace_error *error, int code, const char *what)
{
    if (error == NULL) {
        return code;
    }
    *error = (struct millrace_error){.code = code};
    put(error->name, sizeof error->name, millrace_code_name(code));
    put(error->what, sizeof error->what, what);
    const struct remedy *remedy = FIND(own_remedies, code);
    remedy = remedy != NULL ? remedy : FIND(broker_remedies, code);
    if (remedy != NULL) {
        trouble_explain(error, remedy->why, remedy->fix);
    }
    return code;
}

void trouble_explain(struct millrace_error *error, const char *why, const char *fix)
{
    if (error != NULL) {
        put(error->why, sizeof error->why, why);
        put(error->fix, sizeof error->fix, fix);
    }
}

int trouble_none(struct millrace_error *error)
{
    if (error != NULL) {
        *error = (struct millrace_error){.code = MILLRACE_OK};
        put(error->name, sizeof error->name, "OK");
    }
    return MILLRACE_OK;
}

int trouble_argument(struct millrace_error *error, const char *what, const char *fix)
{
    int code = fill(error, MILLRACE_INVALID_ARGUMENT, what);
    if (error != NULL) {
        put(error->fix, sizeof error->fix, fix);
    }
    return code;
}

static int code_of(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return MILLRACE_OK;
    case STATUS_NO_MEMORY:
        return MILLRACE_NO_MEMORY;
    case STATUS_FULL:
        return MILLRACE_TOO_LARGE;
    case STATUS_TIMEOUT:
    case STATUS_UNKNOWN:
        return MILLRACE_TIMEOUT;
    case STATUS_CLOSED:
        return MILLRACE_CLOSED;
    case STATUS_CANCELED:
        return MILLRACE_CANCELED;
    case STATUS_UNREACHABLE:
        return MILLRACE_UNREACHABLE;
    case STATUS_UNSUPPORTED:
        return MILLRACE_UNSUPPORTED;
    case STATUS_MALFORMED:
        return MILLRACE_BAD_ANSWER;
    case STATUS_CORRUPT:
        return MILLRACE_CORRUPT;
    case STATUS_OUT_OF_RANGE:
        return MILLRACE_OFFSET_OUT_OF_RANGE;
    case STATUS_NOT_FOUND:
        return MILLRACE_UNKNOWN_TOPIC;
    case STATUS_FENCED:
        return MILLRACE_PRODUCER_FENCED;
    case STATUS_EXISTS:
    case STATUS_INVALID:
        return MILLRACE_INVALID_ARGUMENT;
    case STATUS_BUSY:
    case STATUS_PENDING:
    case STATUS_NOT_LEADER:
    case STATUS_AHEAD:
    case STATUS_IO:
    case STATUS_NO_SPACE:
        break;
    }
    return ERROR_CODE_UNKNOWN_SERVER_ERROR;
}

int trouble_status(struct millrace_error *error, enum status status, const char *what)
{
    int code = fill(error, code_of(status), what);
    if (error != NULL) {
        error->is_retriable = code == MILLRACE_TIMEOUT || code == MILLRACE_UNREACHABLE;
        error->is_fatal = code == MILLRACE_CLOSED || code == MILLRACE_PRODUCER_FENCED;
        if (status == STATUS_UNKNOWN) {
            trouble_explain(error, "the connection broke, and no answer says whether it was done",
                            "look whether it was done before doing it again");
            error->is_retriable = false;
        }
    }
    return code;
}

int trouble_broker(struct millrace_error *error, int16_t error_code, const char *what,
                   const char *text)
{
    int code = fill(error, error_code, what);
    if (error == NULL) {
        return code;
    }
    error->is_retriable = error_code_is_retriable(error_code);
    error->is_fatal =
        error_code == ERROR_CODE_PRODUCER_FENCED || error_code == ERROR_CODE_INVALID_PRODUCER_EPOCH;
    error->must_abort = error_code == ERROR_CODE_TRANSACTION_ABORTABLE;
    if (error->why[0] == '\0') {
        put(error->why, sizeof error->why, error_code_text(error_code));
    }
    if (text != NULL && text[0] != '\0') {
        put(error->why, sizeof error->why, text); /* The broker knows best. */
    }
    if (error->fix[0] == '\0') {
        put(error->fix, sizeof error->fix,
            error->is_retriable ? "try again in a moment" : "change what was asked for");
    }
    return code;
}

int trouble_either(struct millrace_error *error, enum status status, int16_t error_code,
                   const char *what)
{
    return error_code != ERROR_CODE_NONE ? trouble_broker(error, error_code, what, NULL)
                                         : trouble_status(error, status, what);
}

int trouble_timeout(struct millrace_error *error, const char *what)
{
    return trouble_status(error, STATUS_TIMEOUT, what);
}

int trouble_closed(struct millrace_error *error)
{
    return trouble_status(error, STATUS_CLOSED, "the handle is closed");
}

bool trouble_options(void *known, size_t known_size, const void *given, size_t given_size)
{
    if (given_size < sizeof(size_t) || given_size > GIVEN_SIZE_MAX) {
        return false;
    }
    const unsigned char *bytes = given;
    for (size_t i = known_size; i < given_size; i++) {
        if (bytes[i] != 0) {
            return false; /* It asks for something that this library does not know. */
        }
    }
    memcpy(known, given, given_size < known_size ? given_size : known_size);
    return true;
}
