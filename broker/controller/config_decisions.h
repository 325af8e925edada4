/* Altering the configuration of topics, brokers and the cluster.
 *
 * Each resource of a request is decided alone and as a whole. A change of min.insync.replicas also
 * clears the ELR of the partitions it rules and that have a leader: who was eligible under the old
 * number may lack what the new one lets the leader acknowledge.
 *
 * Owner: the caller. Loop: the quorum's. Limits: those of decision.h. */
#pragma once

#include "broker/controller/decision.h"

/* Kafka's numbers. */
enum config_decisions_operation {
    CONFIG_DECISIONS_SET = 0,
    CONFIG_DECISIONS_DELETE = 1,
    CONFIG_DECISIONS_APPEND = 2,
    CONFIG_DECISIONS_SUBTRACT = 3
};

struct config_decisions_entry {
    struct wire_text key;
    struct wire_text value; /* Null only with DELETE. */
    int8_t operation;       /* As it came over the wire. */
};

struct config_decisions_resource {
    enum image_config_kind kind; /* TOPIC, BROKER or CLUSTER; others are refused. */
    struct wire_text name;       /* Topic, broker id in decimal, empty for the cluster. */
    const struct config_decisions_entry *entries;
    uint32_t entry_count;
    struct decision_error error; /* Result. */
};

struct config_decisions_request {
    struct config_decisions_resource *items;
    uint32_t item_count;
    bool is_replacing; /* AlterConfigs: SET entries only, what is not listed is deleted. */
    bool validate_only;
};

void config_decisions_alter(struct decision *decision, struct config_decisions_request *request);
