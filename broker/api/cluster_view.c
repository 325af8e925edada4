#include "broker/api/cluster_view.h"

void cluster_view_id_text(const struct wire_uuid *id, char out_text[CLUSTER_VIEW_ID_BYTES])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    int bit_count = 0;
    uint32_t used = 0;
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        bits = (bits << 8) | id->bytes[i];
        bit_count += 8;
        while (bit_count >= 6) {
            bit_count -= 6;
            out_text[used++] = digits[(bits >> bit_count) & 63];
        }
    }
    out_text[used++] = digits[(bits << (6 - bit_count)) & 63];
    out_text[used] = '\0';
}

const struct image_endpoint *cluster_view_endpoint(const struct image_broker *broker)
{
    return broker->endpoint_count == 0 ? NULL : &broker->endpoints[0];
}

bool cluster_view_is_live(const struct image *image, int32_t broker_id)
{
    const struct image_broker *broker = image_broker_by_id(image, broker_id);
    return broker != NULL && !broker->is_fenced && cluster_view_endpoint(broker) != NULL;
}

int32_t cluster_view_controller(const struct api_node *node, const struct image *image)
{
    if (cluster_view_is_live(image, node->broker_id)) {
        return node->broker_id;
    }
    for (uint32_t i = 0; i < image_broker_count(image); i++) {
        int32_t id = image_broker_at(image, i)->id;
        if (cluster_view_is_live(image, id)) {
            return id;
        }
    }
    return -1;
}
