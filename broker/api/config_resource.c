#include "broker/api/config_resource.h"

bool config_resource_kind(int8_t type, struct wire_text name, enum image_config_kind *out_kind)
{
    if (type == CONFIG_RESOURCE_TOPIC) {
        *out_kind = IMAGE_CONFIG_TOPIC;
        return true;
    }
    if (type == CONFIG_RESOURCE_BROKER) {
        *out_kind = name.byte_count > 0 ? IMAGE_CONFIG_BROKER : IMAGE_CONFIG_CLUSTER;
        return true;
    }
    return false;
}
