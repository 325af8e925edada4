/* Goal: connections are dealt out over the shards, never more than allowed, and a closed listener
 * leaves nothing behind on any loop.
 * Method: a server node with three loops in the simulated world, and raw clients. */
#include "tests/unit/proto/frame/frame_rig.h"

static uint8_t sent[64];

TestSuite(listener, .timeout = 60);

static void ask(struct frame_rig_client *client)
{
    size_t byte_count = (size_t)(frame_rig_put(sent, 12, 'q') - sent);
    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();
}

Test(listener, connections_go_to_the_shards_in_turn)
{
    frame_rig_init(&(struct frame_rig_options){.shard_count = 3});

    for (uint32_t i = 0; i < 6; i++) {
        struct frame_rig_client *client = frame_rig_connect(i);
        ask(client);
        cr_expect_eq(client->received_count, 16);
    }

    cr_expect_arr_eq(frame_rig.loop_of_frame, ((uint32_t[]){0, 1, 2, 0, 1, 2}),
                     6 * sizeof frame_rig.loop_of_frame[0]);
    cr_expect_eq(frame_rig.metrics.connection_count->value, 6);
    frame_rig_done();
}

Test(listener, connection_beyond_the_limit_is_dropped_and_counted)
{
    frame_rig_init(&(struct frame_rig_options){.shard_count = 2, .connection_count_max = 2});
    struct frame_rig_client *first = frame_rig_connect(0);
    struct frame_rig_client *second = frame_rig_connect(1);

    struct frame_rig_client *third = frame_rig_connect(2);
    frame_rig_settle();
    cr_expect(third->has_ended);
    cr_expect_eq(frame_rig.metrics.connection_refused_total->value, 1);
    ask(first);
    ask(second);
    cr_expect_eq(first->received_count, 16);
    cr_expect_eq(second->received_count, 16);

    frame_rig_close(first);
    frame_rig_settle();
    struct frame_rig_client *fourth = frame_rig_connect(3);
    ask(fourth);
    cr_expect_eq(fourth->received_count, 16, "a place became free");
    frame_rig_done();
}

static void note_listener_closed(void *context)
{
    cr_expect_eq(context, &frame_rig);
    frame_rig.is_listener_closed = true;
}

static void close_listener(void)
{
    listener_close(frame_rig.listener, note_listener_closed, &frame_rig);
    cr_expect_not(frame_rig.is_listener_closed, "never from inside the call");
}

Test(listener, closing_ends_all_connections_on_all_loops)
{
    frame_rig_init(&(struct frame_rig_options){.shard_count = 3});
    for (uint32_t i = 0; i < 5; i++) {
        (void)frame_rig_connect(i);
    }
    frame_rig.mode = FRAME_RIG_HOLD;
    ask(&frame_rig.clients[1]);

    frame_rig_on_server(close_listener);
    frame_rig_settle();

    cr_expect(frame_rig.is_listener_closed);
    cr_expect_eq(frame_rig.closed_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        cr_expect(frame_rig.clients[i].has_ended);
    }
    cr_expect_null(connection_of(frame_rig.held[0]->ticket), "its ticket is still good");
    frame_rig_done();
}

Test(listener, closing_without_connections_ends_as_well)
{
    frame_rig_init(&(struct frame_rig_options){.shard_count = 2});

    frame_rig_on_server(close_listener);
    frame_rig_settle();

    cr_expect(frame_rig.is_listener_closed);
    frame_rig_done();
}

static void open_second(void)
{
    struct connection_options shard = {.loop = sim_node_loop(frame_rig.server, 0)};
    struct listener *second = NULL;
    const struct listener_options options = {
        .loop = sim_node_loop(frame_rig.server, 0),
        .address = {.host = "0.0.0.0", .port = 9092},
        .shards = &shard,
        .shard_count = 1,
        .connection_count_max = 1,
    };
    cr_expect_eq(listener_open(&options, &second), STATUS_EXISTS);
}

Test(listener, address_that_is_taken_is_told)
{
    frame_rig_init(&(struct frame_rig_options){.shard_count = 1});

    frame_rig_on_server(open_second);
    frame_rig_done();
}
