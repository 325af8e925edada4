#include "broker/api/topic_rules.h"

#include "broker/metadata/topic_config.h"
#include "proto/sys/check.h"

/* A compressed batch that must be opened may grow to this; beyond it is a bomb. */
#define DECOMPRESSED_BYTES_MAX (256U << 20)

static int64_t saturating_sum(int64_t left, int64_t right)
{
    int64_t sum;
    if (__builtin_add_overflow(left, right, &sum)) {
        return right > 0 ? INT64_MAX : INT64_MIN;
    }
    return sum;
}

void topic_rules_of_batches(struct api_shard *shard, const struct image *image,
                            const struct image_topic *topic, struct batch_rules *out_rules)
{
    check(topic != NULL);
    struct config_key_view view = shard->node->config_view;
    view.image = image;
    struct topic_config_settings settings;
    topic_config_settings_of(&view, topic, &settings);
    int64_t now_ms = clock_wall_ms(shard->loop->clock);
    int64_t earliest_ms = saturating_sum(now_ms, -settings.timestamp_before_max_ms);
    *out_rules = (struct batch_rules){
        .byte_count_max = (size_t)settings.message_bytes_max,
        .decompressed_bytes_max = DECOMPRESSED_BYTES_MAX,
        .timestamp_ms_min = earliest_ms < 0 ? 0 : earliest_ms,
        .timestamp_ms_max = saturating_sum(now_ms, settings.timestamp_after_max_ms),
        .is_append_time = settings.is_append_time,
        .is_full = settings.validation == TOPIC_CONFIG_VALIDATION_FULL,
        .is_compacted = settings.is_compacted,
        .decompressor = &shard->decompressor};
}
