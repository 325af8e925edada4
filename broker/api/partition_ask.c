#include "broker/api/partition_ask.h"

#include "proto/kafka/error_code.h"

int16_t partition_ask_check(const struct request *request, enum access_operation operation,
                            struct wire_text name, const struct image_topic *topic, int32_t index)
{
    if (!access_authorize(&request->context, operation, ACCESS_TOPIC, name)) {
        return ERROR_CODE_TOPIC_AUTHORIZATION_FAILED;
    }
    bool is_there = topic != NULL && image_topic_partition(topic, index) != NULL;
    return is_there ? ERROR_CODE_NONE : ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
}

void partition_ask_post(struct partition_call *call, struct api_shard *shard,
                        const struct image_topic *topic, int32_t index)
{
    call->map = dispatch_map_of(shard->node, &topic->id, index);
    call->home = shard->loop;
    call->topic_id = topic->id;
    call->index = index;
    partition_call_post(call);
}
