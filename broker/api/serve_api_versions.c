#include "broker/api/serve_api_versions.h"

#include "broker/api/dispatch.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/api_versions.h"
#include "proto/kafka/error_code.h"

#define API_VERSIONS_VERSION_MAX 4
#define API_VERSIONS_VERSION_NAMED 3 /* Clients say who they are; brokers name features. */
#define API_VERSIONS_VERSION_ZERO 4  /* Clients take a feature whose lowest level is 0. */

/* Tells our own clients that this is a Millrace, which knows Millrace's tagged fields; others pass
 * over features that they do not know. */
#define FEATURE_NAME "millrace.version"
#define FEATURE_LEVEL 1
/* KIP-890: epochs rise with every transaction, partitions are added by their leaders. */
#define FEATURE_TXN_NAME "transaction.version"
#define FEATURE_TXN_LEVEL 2
#define FEATURE_COUNT 2

/* Of letters and digits, with dots and dashes inside; operators read it in logs and metrics. */
static bool is_software_word(struct wire_text word)
{
    for (int32_t i = 0; i < word.byte_count; i++) {
        char byte = word.bytes[i];
        bool is_edge = i == 0 || i + 1 == word.byte_count;
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9');
        if (!is_plain && (is_edge || (byte != '.' && byte != '-'))) {
            return false;
        }
    }
    return word.byte_count > 0;
}

static void fill_features(struct request *request, struct kafka_api_versions_response *out)
{
    struct kafka_api_versions_response_supported_feature_key *supported =
        arena_take_array(&request->arena, FEATURE_COUNT, sizeof *supported);
    struct kafka_api_versions_response_finalized_feature_key *finalized =
        arena_take_array(&request->arena, 1, sizeof *finalized);
    if (supported == NULL || finalized == NULL) {
        wire_reader_fail(&request->body, STATUS_FULL);
        return;
    }
    supported[0].name = wire_text_of(FEATURE_NAME);
    supported[0].min_version = FEATURE_LEVEL;
    supported[0].max_version = FEATURE_LEVEL;
    supported[1].name = wire_text_of(FEATURE_TXN_NAME);
    /* Java clients before 3.8 end their thread over a 0 here, so Kafka tells them 1 as well. */
    supported[1].min_version = request->context.api_version < API_VERSIONS_VERSION_ZERO ? 1 : 0;
    supported[1].max_version = FEATURE_TXN_LEVEL;
    out->supported_features = supported;
    out->supported_features_count = FEATURE_COUNT;
    finalized->name = wire_text_of(FEATURE_TXN_NAME);
    finalized->min_version_level = FEATURE_TXN_LEVEL;
    finalized->max_version_level = FEATURE_TXN_LEVEL;
    out->finalized_features = finalized;
    out->finalized_features_count = 1;
}

static void fill(struct request *request, struct kafka_api_versions_response *out)
{
    struct dispatch_range ranges[DISPATCH_RANGES_MAX];
    uint32_t count = dispatch_ranges(ranges);
    out->api_keys = arena_take_array(&request->arena, count, sizeof *out->api_keys);
    if (out->api_keys == NULL) {
        wire_reader_fail(&request->body, STATUS_FULL);
        return;
    }
    out->api_keys_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        out->api_keys[i].api_key = ranges[i].api_key;
        out->api_keys[i].min_version = ranges[i].version_min;
        out->api_keys[i].max_version = ranges[i].version_max;
    }
    out->finalized_features_epoch = (int64_t)image_index(partition_map_image(request->shard->map));
}

void serve_api_versions(struct request *request)
{
    struct kafka_api_versions_response out;
    kafka_api_versions_response_defaults(&out);
    int16_t version = request->context.api_version;
    if (version < 0 || version > API_VERSIONS_VERSION_MAX) {
        out.error_code = ERROR_CODE_UNSUPPORTED_VERSION;
        request->header.request_api_version = 0;
        version = 0;
    } else {
        struct kafka_api_versions_request in;
        if (!request_body_is_whole(request, kafka_api_versions_request_decode(
                                                &request->body, version, &request->arena, &in))) {
            return;
        }
        bool is_named =
            version < API_VERSIONS_VERSION_NAMED || (is_software_word(in.client_software_name) &&
                                                     is_software_word(in.client_software_version));
        out.error_code = is_named ? ERROR_CODE_NONE : ERROR_CODE_INVALID_REQUEST;
    }
    if (out.error_code != ERROR_CODE_INVALID_REQUEST) {
        fill(request, &out);
        if (version >= API_VERSIONS_VERSION_NAMED) {
            fill_features(request, &out);
        }
    }
    request_begin_answer(request);
    kafka_api_versions_response_encode(&out, version, &request->writer);
    request_send(request);
}
