/* Creating, deleting and growing topics.
 *
 * Each item of a request is decided alone: one that is refused leaves no records behind. Replicas
 * go to unfenced brokers first; a fenced one gets a replica only where there are not enough others,
 * and is not in the ISR until it has caught up.
 *
 * Owner: the caller. Loop: the quorum's. Limits: those of decision.h. */
#pragma once

#include "broker/controller/decision.h"

struct topic_decisions_config {
    struct wire_text key;
    struct wire_text value; /* Null is refused. */
};

struct topic_decisions_assignment {
    int32_t index;
    const int32_t *brokers; /* The first one is the preferred leader. */
    uint32_t broker_count;
};

struct topic_decisions_create {
    struct wire_text name;
    int32_t partition_count;    /* -1: the default, or as many as there are assignments. */
    int32_t replication_factor; /* -1: the default, or that of the assignments. */
    const struct topic_decisions_assignment *assignments;
    uint32_t assignment_count;
    const struct topic_decisions_config *configs;
    uint32_t config_count;
    /* Results: */
    struct decision_error error;
    struct wire_uuid id; /* Zero with validate_only. */
    uint32_t made_partition_count;
    uint32_t made_replication_factor;
};

struct topic_decisions_create_request {
    struct topic_decisions_create *items;
    uint32_t item_count;
    bool validate_only;
};

void topic_decisions_create_topics(struct decision *decision,
                                   struct topic_decisions_create_request *request);

struct topic_decisions_delete {
    struct wire_text name; /* Null: by id. */
    struct wire_uuid id;
    /* Results: */
    struct decision_error error;
    struct wire_uuid deleted_id;
    char deleted_name[IMAGE_TOPIC_NAME_BYTES_MAX + 1]; /* Empty when it is not known. */
};

struct topic_decisions_delete_request {
    struct topic_decisions_delete *items;
    uint32_t item_count;
};

void topic_decisions_delete_topics(struct decision *decision,
                                   struct topic_decisions_delete_request *request);

struct topic_decisions_grow {
    struct wire_text name;
    int32_t partition_count; /* Afterwards, in all. */
    /* For the new partitions only; `index` is not looked at. None: chosen by the controller. */
    const struct topic_decisions_assignment *assignments;
    uint32_t assignment_count;
    struct decision_error error; /* Result. */
};

struct topic_decisions_grow_request {
    struct topic_decisions_grow *items;
    uint32_t item_count;
    bool validate_only;
};

void topic_decisions_create_partitions(struct decision *decision,
                                       struct topic_decisions_grow_request *request);
