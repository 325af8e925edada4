/* Kafka's numbers for what has a configuration, and which of them are here. */
#pragma once

#include "broker/metadata/image.h"

#include <stdbool.h>

enum config_resource_type { CONFIG_RESOURCE_TOPIC = 2, CONFIG_RESOURCE_BROKER = 4 };

/* False: no such kind of resource here. A broker resource without a name is the cluster's default.
 */
bool config_resource_kind(int8_t type, struct wire_text name, enum image_config_kind *out_kind);
