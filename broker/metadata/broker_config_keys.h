/* The keys of a broker as a configuration resource: what may be altered while it runs, what is only
 * shown, and the broker's names of topic keys.
 *
 * A key that stands behind a topic key has that key's type and bounds. Settings that a broker reads
 * from its file alone are not listed here: they are the view's file values, shown and never
 * altered.
 *
 * Owner: static table. Loop: any. */
#pragma once

#include "broker/metadata/config_key.h"

uint32_t broker_config_keys_count(void);
void broker_config_keys_at(uint32_t index, struct config_key *out_key);
/* False when there is no such key. */
bool broker_config_keys_find(struct wire_text name, struct config_key *out_key);
/* True for keys that all brokers must agree on: they are set for the cluster, not for one broker.
 */
bool broker_config_keys_is_shared(const char *name);

struct config_key_value broker_config_keys_value(const struct config_key_view *view,
                                                 const struct config_key *key);
