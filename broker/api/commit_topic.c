#include "broker/api/commit_topic.h"

#include "proto/kafka/error_code.h"

#include <string.h>

int16_t commit_topic_find(struct commit_topic *self, struct request *request)
{
    const struct image *image = partition_map_image(request->shard->map);
    const struct image_topic *topic = self->is_by_id ? image_topic_by_id(image, &self->topic_id)
                                                     : image_topic_by_name(image, self->name);
    if (self->is_by_id && topic == NULL) {
        return ERROR_CODE_UNKNOWN_TOPIC_ID;
    }
    if (self->is_by_id) {
        size_t byte_count = strlen(topic->name);
        self->name.bytes = arena_copy_text(&request->arena, topic->name, byte_count);
        self->name.byte_count = (int32_t)byte_count;
        if (self->name.bytes == NULL) {
            return ERROR_CODE_UNKNOWN_SERVER_ERROR;
        }
    }
    if (!access_authorize(&request->context, ACCESS_READ, ACCESS_TOPIC, self->name)) {
        return ERROR_CODE_TOPIC_AUTHORIZATION_FAILED;
    }
    if (topic == NULL) {
        return ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    }
    self->topic_id = topic->id;
    self->partition_count = topic->partition_count;
    return ERROR_CODE_NONE;
}

int16_t commit_topic_check(const struct commit_topic *self, int16_t code, int32_t index)
{
    bool is_there = index >= 0 && (uint32_t)index < self->partition_count;
    return code == ERROR_CODE_NONE && !is_there ? ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION : code;
}
