#include "broker/metadata/broker_config_keys.h"

#include "broker/metadata/topic_config.h"
#include "proto/sys/check.h"

#include <string.h>

#define OWN_COUNT ((uint32_t)(sizeof own_keys / sizeof own_keys[0]))
#define RATE_MOST INT64_MAX

static const struct config_key own_keys[] = {
    {"auto.leader.rebalance.enable", CONFIG_KEY_BOOLEAN, "true", 0, 0, NULL, NULL, false, false,
     "Leadership goes back to the first replica when it is in sync."},
    {"background.threads", CONFIG_KEY_INT, "10", 1, INT32_MAX, NULL, NULL, false, true,
     "Accepted; work runs on the shards' loops."},
    {"controlled.shutdown.enable", CONFIG_KEY_BOOLEAN, "true", 0, 0, NULL, NULL, true, false,
     "A broker that stops hands its leaderships over first."},
    {"delete.topic.enable", CONFIG_KEY_BOOLEAN, "true", 0, 0, NULL, NULL, true, false,
     "Whether topics can be deleted."},
    {"follower.replication.throttled.rate", CONFIG_KEY_LONG, "9223372036854775807", 0, RATE_MOST,
     NULL, NULL, false, true, "Accepted; catching up is not throttled yet."},
    {"group.initial.rebalance.delay.ms", CONFIG_KEY_INT, "3000", 0, INT32_MAX, NULL, NULL, true,
     false, "How long an empty group waits for more members."},
    {"group.max.session.timeout.ms", CONFIG_KEY_INT, "1800000", 0, INT32_MAX, NULL, NULL, true,
     false, "Longest session a group member may ask for."},
    {"group.max.size", CONFIG_KEY_INT, "10000", 1, INT32_MAX, NULL, NULL, true, false,
     "Members of one group."},
    {"group.min.session.timeout.ms", CONFIG_KEY_INT, "6000", 0, INT32_MAX, NULL, NULL, true, false,
     "Shortest session a group member may ask for; groups of type millrace may ask for less."},
    {"leader.replication.throttled.rate", CONFIG_KEY_LONG, "9223372036854775807", 0, RATE_MOST,
     NULL, NULL, false, true, "Accepted; catching up is not throttled yet."},
    {"log.cleaner.backoff.ms", CONFIG_KEY_LONG, "15000", 0, INT64_MAX, NULL, NULL, false, true,
     "Accepted; compaction is not there yet."},
    {"log.cleaner.dedupe.buffer.size", CONFIG_KEY_LONG, "134217728", 0, INT64_MAX, NULL, NULL,
     false, true, "Accepted; compaction is not there yet."},
    {"log.cleaner.threads", CONFIG_KEY_INT, "1", 0, INT32_MAX, NULL, NULL, false, true,
     "Accepted; compaction is not there yet."},
    {"max.connection.creation.rate", CONFIG_KEY_INT, "2147483647", 0, INT32_MAX, NULL, NULL, false,
     true, "Accepted; connections are limited in number, not in rate."},
    {"max.connections.per.ip", CONFIG_KEY_INT, "2147483647", 0, INT32_MAX, NULL, NULL, false, true,
     "Accepted; connections are limited in all, not by address."},
    {"num.io.threads", CONFIG_KEY_INT, "8", 1, INT32_MAX, NULL, NULL, false, true,
     "Accepted; there is one loop per shard and no pool."},
    {"num.network.threads", CONFIG_KEY_INT, "3", 1, INT32_MAX, NULL, NULL, false, true,
     "Accepted; there is one loop per shard and no pool."},
    {"num.recovery.threads.per.data.dir", CONFIG_KEY_INT, "2", 1, INT32_MAX, NULL, NULL, false,
     true, "Accepted; a restart replays the journal's tail only."},
    {"num.replica.fetchers", CONFIG_KEY_INT, "1", 1, INT32_MAX, NULL, NULL, false, true,
     "Accepted; there is one follower per leader node and shard."},
    {"offset.metadata.max.bytes", CONFIG_KEY_INT, "4096", 0, INT32_MAX, NULL, NULL, true, false,
     "Bytes of a client's note beside a committed offset."},
    {"offsets.retention.minutes", CONFIG_KEY_INT, "10080", 1, INT32_MAX, NULL, NULL, true, false,
     "How long the offsets of an empty group are kept."},
    {"producer.id.expiration.ms", CONFIG_KEY_INT, "86400000", 1, INT32_MAX, NULL, NULL, true, false,
     "How long a silent producer's sequence numbers are remembered."},
    {"transaction.max.timeout.ms", CONFIG_KEY_INT, "900000", 1, INT32_MAX, NULL, NULL, true, false,
     "Longest timeout that a transaction may ask for."},
    {"transaction.partition.verification.enable", CONFIG_KEY_BOOLEAN, "true", 0, 0, NULL, NULL,
     false, true, "Accepted; writes of a transaction are always verified."},
    {"transactional.id.expiration.ms", CONFIG_KEY_INT, "604800000", 1, INT32_MAX, NULL, NULL, true,
     false, "How long an idle transactional id is kept."},
};

static void take_synonym(const struct config_key *topic_key, struct config_key *out_key)
{
    *out_key = *topic_key;
    out_key->name = topic_key->synonym;
    out_key->synonym = NULL;
}

uint32_t broker_config_keys_count(void)
{
    uint32_t topic_count = 0;
    uint32_t count = OWN_COUNT;
    const struct config_key *topic_keys = topic_config_keys(&topic_count);
    for (uint32_t i = 0; i < topic_count; i++) {
        count += topic_keys[i].synonym != NULL;
    }
    return count;
}

void broker_config_keys_at(uint32_t index, struct config_key *out_key)
{
    if (index < OWN_COUNT) {
        *out_key = own_keys[index];
        return;
    }
    uint32_t topic_count = 0;
    uint32_t left = index - OWN_COUNT;
    const struct config_key *topic_keys = topic_config_keys(&topic_count);
    for (uint32_t i = 0; i < topic_count; i++) {
        if (topic_keys[i].synonym == NULL) {
            continue;
        }
        if (left == 0) {
            take_synonym(&topic_keys[i], out_key);
            return;
        }
        left -= 1;
    }
    check_unreachable("an index below broker_config_keys_count()");
}

bool broker_config_keys_find(struct wire_text name, struct config_key *out_key)
{
    const struct config_key *own = config_key_find(own_keys, OWN_COUNT, name);
    if (own != NULL) {
        *out_key = *own;
        return true;
    }
    uint32_t topic_count = 0;
    const struct config_key *topic_keys = topic_config_keys(&topic_count);
    for (uint32_t i = 0; i < topic_count; i++) {
        if (topic_keys[i].synonym != NULL && wire_text_equals(name, topic_keys[i].synonym)) {
            take_synonym(&topic_keys[i], out_key);
            return true;
        }
    }
    return false;
}

bool broker_config_keys_is_shared(const char *name)
{
    return strcmp(name, "min.insync.replicas") == 0 ||
           strcmp(name, "unclean.leader.election.enable") == 0 ||
           strcmp(name, "log.durability") == 0;
}

struct config_key_value broker_config_keys_value(const struct config_key_view *view,
                                                 const struct config_key *key)
{
    struct config_key_value value = {.text = key->fallback, .source = CONFIG_KEY_FROM_DEFAULT};
    struct config_key_view shared = {.image = view->image, .broker_id = -1};
    bool is_shared = broker_config_keys_is_shared(key->name);
    struct config_key_value found;
    return config_key_broker_value(is_shared ? &shared : view, key->name, &found) ? found : value;
}
