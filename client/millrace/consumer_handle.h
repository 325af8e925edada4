/* The inside of a consumer handle: what the loop, the polling thread and the group share.
 *
 * Owner: the application. Loop: any thread, except where it says loop. */
#pragma once

#include "client/consumer_group.h"
#include "client/millrace/session.h"
#include "client/millrace/trouble.h"

#define CONSUMER_HANDLE_FAULTS_MAX 64U
#define CONSUMER_HANDLE_TOPIC_BYTES_MAX 249U

struct consumer_handle_fault {
    char topic[CONSUMER_HANDLE_TOPIC_BYTES_MAX + 1]; /* Empty: the whole group. */
    int32_t partition;
    enum status status;
    int16_t error_code;
};

/* How far the application has polled one partition. */
struct consumer_handle_polled {
    const struct consumer_partition *partition;
    int32_t index;
    int32_t topic_bytes;
    char topic[CONSUMER_HANDLE_TOPIC_BYTES_MAX + 1];
    int64_t polled;    /* Behind the last batch that a poll gave. */
    int64_t processed; /* The same, when the poll before the last one returned. */
    int64_t committed; /* -1: nothing yet. */
};

/* Where a member stands in its group. */
struct consumer_handle_place {
    int32_t generation; /* -1: nowhere. */
    char member_id[GROUP_MEMBER_ID_BYTES_MAX];
};

struct millrace_consumer {
    struct session_handle handle;
    struct host_gate gate;
    struct consumer_core core;        /* The loop's. */
    struct decompressor decompressor; /* The polling thread's. */
    struct mail returned_mail;
    void (*serve)(struct session_call *call); /* Loop: all verbs. */
    char group_id[SESSION_TEXT_BYTES_MAX];    /* Empty: none. */
    char instance_id[SESSION_TEXT_BYTES_MAX]; /* Empty: none. */
    int64_t session_timeout_ms;
    int64_t rebalance_timeout_ms;
    int64_t auto_commit_ms; /* 0: never by itself. */
    enum consumer_start_kind group_start;
    millrace_on_partitions *on_partitions;
    void *context;
    struct consumer_group group;          /* The loop's. */
    struct offset_call auto_commit;       /* The loop's. */
    bool is_auto_committing;              /* The loop's. */
    bool gives_up_next;                   /* The loop's: behind the commit under way. */
    struct consumer_handle_call *closing; /* The loop's: waits for the end of group and core. */
    /* The gate guards what follows. */
    struct list inbox;
    struct list returned; /* On their way back to the core. */
    bool is_returned_posted;
    bool is_polling;
    bool is_closed;
    bool is_placed;
    bool is_subscribed;
    bool is_revoke_due;   /* The next poll tells the application, and gives up. */
    bool is_assigned_due; /* The next poll tells the application. */
    bool is_lost_due;
    struct consumer_handle_place assigned; /* Of the last assignment. */
    struct consumer_handle_place place;    /* Of the last one that a poll has told. */
    int32_t told_generation;               /* The same, also when it has been given up since. */
    struct consumer_handle_polled *polled; /* Owned. Of partitions that are assigned. */
    size_t polled_count;
    size_t polled_room;
    int64_t auto_commit_ns; /* When the next one is due. */
    struct consumer_handle_fault faults[CONSUMER_HANDLE_FAULTS_MAX];
    uint32_t fault_count;
};

struct consumer_handle_positions {
    struct millrace_positions list;
    struct millrace_position *rows;            /* Owned, with the texts. */
    const struct millrace_position **pointers; /* Owned. */
};

enum consumer_handle_verb {
    CONSUMER_OPEN,
    CONSUMER_ASSIGN,
    CONSUMER_SEEK,
    CONSUMER_PAUSE,
    CONSUMER_POSITIONS,
    CONSUMER_LOOK,
    CONSUMER_CLOSE,
    CONSUMER_SUBSCRIBE,
    CONSUMER_GIVE_UP,
    CONSUMER_AUTO_COMMIT,
    CONSUMER_COMMIT,
    CONSUMER_COMMITTED,
};

/* One call to the loop on behalf of a consumer. */
struct consumer_handle_call {
    struct session_call call;
    struct millrace_consumer *consumer;
    enum consumer_handle_verb verb;
    const struct consumer_core_options *options;
    const struct millrace_assignment *assignments;
    size_t assignment_count;
    bool is_paused;
    struct consumer_handle_positions *positions;
    const struct wire_text *topics;
    uint32_t topic_count;
    struct offset_call offsets;
    struct offset_call_row *rows; /* What to commit, NULL: what was polled; or to fetch, and the
                                     answers. */
    uint32_t row_count;
    int64_t until_ns;
    enum status status;
    int16_t error_code;
};

/* Loop: the callbacks of the core. */
void consumer_handle_on_fetched(void *context, struct consumer_fetched *fetched);
void consumer_handle_on_fault(void *context, const struct consumer_fault *fault);
void consumer_handle_on_placed(void *context);
void consumer_handle_on_closed(void *context);
/* Loop: takes out of the inbox what is of no use any more: all (NULL), or one partition's. */
void consumer_handle_purge(struct millrace_consumer *self,
                           const struct consumer_partition *partition);

/* Any thread. */
void consumer_handle_give_back(struct millrace_consumer *self, struct consumer_fetched *fetched);
int consumer_handle_explain(const struct consumer_handle_fault *fault,
                            struct millrace_error *error);
/* Inside the gate. */
struct consumer_handle_fault consumer_handle_take_fault(struct millrace_consumer *self);
/* Inside the gate: a batch goes to the application. */
void consumer_handle_note(struct millrace_consumer *self, const struct consumer_fetched *fetched);

/* Runs it on the loop. CLOSED: the client or the handle is. */
MUST_USE enum status consumer_handle_run(struct millrace_consumer *self,
                                         struct consumer_handle_call *mine);
