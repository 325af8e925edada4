#include "broker/api/commit_topic.h"

#include "broker/api/partition_ask.h"
#include "proto/kafka/error_code.h"

void commit_topic_find(struct commit_topic *self, struct request *request, bool is_by_id)
{
    const struct image *image = partition_map_image(request->shard->map);
    self->topic = is_by_id ? image_topic_by_id(image, &self->topic_id)
                           : image_topic_by_name(image, self->name);
    self->code = ERROR_CODE_NONE;
    if (self->topic == NULL) {
        self->code = is_by_id ? ERROR_CODE_UNKNOWN_TOPIC_ID : ERROR_CODE_NONE;
        return;
    }
    self->topic_id = self->topic->id;
    if (is_by_id) {
        struct wire_text name = wire_text_of(self->topic->name);
        if (request_keep_text(request, &name)) {
            self->name = name;
        } else {
            self->code = ERROR_CODE_UNKNOWN_SERVER_ERROR;
        }
    }
}

int16_t commit_topic_check(const struct commit_topic *self, const struct request *request,
                           int32_t index)
{
    return self->code != ERROR_CODE_NONE
               ? self->code
               : partition_ask_check(request, ACCESS_READ, self->name, self->topic, index);
}
