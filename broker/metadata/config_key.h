/* What one configuration key accepts, and where its value comes from on a node.
 *
 * topic_config and broker_config_keys hold a table of these. A value is kept as the text that was
 * given; it was checked before it was proposed, so reading it cannot fail.
 *
 * Owner: static tables. Loop: any. Limits: CONFIG_KEY_VALUE_BYTES_MAX per value. */
#pragma once

#include "broker/metadata/image.h"

#define CONFIG_KEY_VALUE_BYTES_MAX 4096U
#define CONFIG_KEY_REASON_BYTES 256U

/* Kafka's numbers, as DescribeConfigs sends them. */
enum config_key_type {
    CONFIG_KEY_BOOLEAN = 1,
    CONFIG_KEY_STRING = 2,
    CONFIG_KEY_INT = 3,
    CONFIG_KEY_LONG = 5,
    CONFIG_KEY_DOUBLE = 6,
    CONFIG_KEY_LIST = 7,
    CONFIG_KEY_PASSWORD = 9
};

/* Kafka's numbers, as DescribeConfigs sends them. */
enum config_key_source {
    CONFIG_KEY_FROM_TOPIC = 1,
    CONFIG_KEY_FROM_BROKER = 2,
    CONFIG_KEY_FROM_CLUSTER = 3,
    CONFIG_KEY_FROM_FILE = 4,
    CONFIG_KEY_FROM_DEFAULT = 5
};

struct config_key {
    const char *name;
    enum config_key_type type;
    const char *fallback; /* The built-in value; NULL: null. */
    int64_t least;        /* Numbers: both ends included. Doubles too: whole ends suffice. */
    int64_t most;
    const char *choices; /* Texts and lists: "a b c"; NULL: anything. */
    const char *synonym; /* Topic keys: the broker's key behind it; NULL: none. */
    bool is_live;        /* False: accepted for the tools that send it, and without effect. */
    bool is_dynamic;     /* Broker keys: may be altered while it runs. Topic keys: always. */
    const char *about;
};

/* What a node knows about values beside the topic's own. */
struct config_key_view {
    const struct image *image;                    /* Borrowed. */
    int32_t broker_id;                            /* -1: no broker's own values. */
    const struct image_config_value *file_values; /* Sorted by key; from its properties file. */
    uint32_t file_value_count;
};

struct config_key_value {
    const char *text; /* NULL: null. Lives as long as the image and the view. */
    enum config_key_source source;
};

/* NULL when `keys` (sorted by name) does not hold it. */
const struct config_key *config_key_find(const struct config_key *keys, uint32_t key_count,
                                         struct wire_text name);
/* STATUS_INVALID with a sentence fragment in `out_reason` when `value` may not be set. */
MUST_USE enum status config_key_check(const struct config_key *self, struct wire_text value,
                                      char out_reason[CONFIG_KEY_REASON_BYTES]);

/* Without blanks at its ends; what config_key_check() accepted is stored like this. */
struct wire_text config_key_trim(struct wire_text value);

/* NULL when `key` is not set in a sorted list. */
const char *config_key_lookup(const struct image_config_value *values, uint32_t count,
                              const char *key);
/* The broker's value of `name`: its own, the cluster's, its file's; false when none is set. */
bool config_key_broker_value(const struct config_key_view *view, const char *name,
                             struct config_key_value *out_value);

/* Of texts that config_key_check() accepted. */
int64_t config_key_number(const char *text);
double config_key_fraction(const char *text);
bool config_key_is_true(const char *text);
/* True when the comma-separated `text` names `item`. */
bool config_key_lists(const char *text, const char *item);
