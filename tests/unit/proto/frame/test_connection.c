/* Goal: whatever way bytes arrive, each frame is handed over once and whole, answers leave in the
 * order of the requests, and no peer can make the connection hold more than its bounds.
 * Method: a real listener and raw clients in the simulated world, whose network splits reads at
 * random places; virtual time for the deadlines. frame_rig_done() fails on memory that is kept. */
#include "tests/unit/proto/frame/frame_rig.h"

#include <signal.h>

static uint8_t sent[4 << 20];

static void set_up(void)
{
    frame_rig_init(&(struct frame_rig_options){.shard_count = 1});
}

TestSuite(connection, .init = set_up, .timeout = 120);

static size_t put_three_frames(void)
{
    uint8_t *end = frame_rig_put(sent, 10, 'a');
    end = frame_rig_put(end, 0, 0);
    end = frame_rig_put(end, 30, 'c');
    return (size_t)(end - sent);
}

Test(connection, frames_split_at_every_byte_are_handed_over_whole)
{
    size_t byte_count = put_three_frames();

    for (size_t split = 1; split < byte_count; split++) {
        struct frame_rig_client *client = frame_rig_connect(0);
        frame_rig.frame_count = 0;
        frame_rig_send(client, sent, split);
        frame_rig_settle();
        frame_rig_send(client, sent + split, byte_count - split);
        frame_rig_settle();

        cr_assert_eq(frame_rig.frame_count, 3, "split at %zu", split);
        frame_rig_expect(client, sent, byte_count);
        frame_rig_close(client);
        frame_rig_settle();
    }
    frame_rig_done();
}

Test(connection, single_bytes_are_assembled)
{
    size_t byte_count = put_three_frames();
    struct frame_rig_client *client = frame_rig_connect(0);

    for (size_t i = 0; i < byte_count; i++) {
        frame_rig_send(client, sent + i, 1);
        frame_rig_run_ms(20);
    }
    frame_rig_settle();

    frame_rig_expect(client, sent, byte_count);
    frame_rig_done();
}

static size_t put_many_frames(uint32_t count)
{
    uint8_t *end = sent;
    for (uint32_t i = 0; i < count; i++) {
        end = frame_rig_put(end, 20 + i % 77, (uint8_t)i);
    }
    return (size_t)(end - sent);
}

Test(connection, thousand_pipelined_frames_are_answered_in_order_and_in_few_writes)
{
    size_t byte_count = put_many_frames(1000);
    struct frame_rig_client *client = frame_rig_connect(0);

    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();

    cr_expect_eq(frame_rig.frame_count, 1000);
    cr_expect_eq(frame_rig.sent_count, 1000);
    frame_rig_expect(client, sent, byte_count);
    cr_expect_lt(frame_rig.write_count, 200, "%u writes", frame_rig.write_count);
    frame_rig_done();
}

Test(connection, answers_given_in_any_order_leave_in_order)
{
    size_t byte_count = put_many_frames(5);
    const uint32_t order[] = {3, 1, 4, 2};
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig.mode = FRAME_RIG_HOLD;
    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();
    cr_assert_eq(frame_rig.held_count, 5);

    for (size_t i = 0; i < 4; i++) {
        frame_rig_answer(order[i]);
        frame_rig_settle();
    }
    cr_expect_eq(client->received_count, 0, "the first request has no answer yet");
    cr_expect_eq(frame_rig.sent_count, 0);
    frame_rig_answer(0);
    frame_rig_settle();

    frame_rig_expect(client, sent, byte_count);
    cr_expect_eq(frame_rig.sent_count, 5);
    cr_expect_eq(frame_rig.write_count, 1, "what is ready together leaves together");
    frame_rig_done();
}

static void answer_three(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        struct frame_rig_request *request = frame_rig.held[i];
        request->slices[0] = (struct wire_slice){.base = request->frame->bytes,
                                                 .byte_count = request->frame->byte_count};
        request->answer.slices = request->slices;
        request->answer.slice_count = 1;
        connection_answer(request->ticket, &request->answer);
    }
}

static void release_held(struct answer *answer)
{
    struct frame_rig_request *request = container_of(answer, struct frame_rig_request, answer);
    frame_unref(request->frame);
    free(request);
}

Test(connection, answers_of_one_turn_leave_in_one_write)
{
    size_t byte_count = put_many_frames(3);
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig.mode = FRAME_RIG_HOLD;
    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();
    for (uint32_t i = 0; i < 3; i++) {
        frame_rig.held[i]->answer.on_sent = release_held;
    }

    frame_rig_on_server(answer_three);
    frame_rig_settle();

    cr_expect_eq(frame_rig.write_count, 1);
    frame_rig_expect(client, sent, byte_count);
    memset(frame_rig.held, 0, sizeof frame_rig.held);
    frame_rig_done();
}

Test(connection, forgotten_ticket_lets_the_next_answer_pass)
{
    size_t byte_count = put_many_frames(3);
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig.mode = FRAME_RIG_HOLD;
    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();

    frame_rig_answer(1);
    frame_rig_answer(2);
    frame_rig_forget(0);
    frame_rig_settle();

    size_t first = 4 + 20;
    frame_rig_expect(client, sent + first, byte_count - first);
    frame_rig_done();
}

Test(connection, forgotten_requests_hold_up_nothing)
{
    size_t byte_count = put_many_frames(1000);
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig.mode = FRAME_RIG_FORGET;

    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();

    cr_expect_eq(frame_rig.frame_count, 1000);
    cr_expect_eq(client->received_count, 0);
    frame_rig_done();
}

Test(connection, no_more_than_the_bound_is_handed_over_before_answers)
{
    size_t byte_count = put_many_frames(100);
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig.mode = FRAME_RIG_HOLD;
    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();

    cr_expect_eq(frame_rig.held_count, CONNECTION_TICKETS_MAX);
    frame_rig_answer(1);
    frame_rig_settle();
    cr_expect_eq(frame_rig.held_count, CONNECTION_TICKETS_MAX, "its answer cannot leave yet");
    frame_rig_answer(0);
    frame_rig_settle();
    cr_expect_eq(frame_rig.held_count, CONNECTION_TICKETS_MAX + 2);
    frame_rig_forget(5);
    frame_rig_settle();
    cr_expect_eq(frame_rig.held_count, CONNECTION_TICKETS_MAX + 3);

    for (uint32_t i = 2; i < 100; i++) {
        if (i != 5) {
            frame_rig_answer(i);
            frame_rig_settle();
        }
    }
    cr_expect_eq(frame_rig.frame_count, 100);
    frame_rig_done();
}

static void client_stop_reading(void *context)
{
    struct frame_rig_client *client = context;
    socket_read_stop(&client->socket);
}

static void client_start_reading(void *context)
{
    struct frame_rig_client *client = context;
    socket_read_start(&client->socket);
}

Test(connection, ten_thousand_requests_of_a_client_that_never_reads_stay_bounded)
{
    uint8_t *end = sent;
    for (int i = 0; i < 10000; i++) {
        end = frame_rig_put(end, 16, (uint8_t)i);
    }
    size_t byte_count = (size_t)(end - sent);
    struct frame_rig_client *client = frame_rig_connect(0);
    cr_assert(sim_node_run(frame_rig.client_node, client_stop_reading, client));
    frame_rig.mode = FRAME_RIG_BLOB;
    frame_rig.blob_bytes = 600;
    size_t blocks_before = frame_rig.server->heap.byte_count;

    frame_rig_send_later(client, sent, byte_count);
    frame_rig_run_ms(20000);

    uint32_t stuck_at = frame_rig.frame_count;
    cr_expect_lt(stuck_at, 1000, "%u frames went in", stuck_at);
    cr_expect_leq(budget_taken_bytes(&frame_rig.budget), (64 << 10) + 64 * 128);
    cr_expect_lt(frame_rig.server->heap.byte_count - blocks_before, 200000);
    frame_rig_run_ms(20000);
    cr_expect_eq(frame_rig.frame_count, stuck_at);
    cr_assert(sim_node_run(frame_rig.client_node, client_start_reading, client));
    frame_rig_run_ms(60000);
    cr_expect_eq(frame_rig.frame_count, 10000);
    cr_expect_eq(client->received_count, 10000 * 604);
    cr_expect_eq(frame_rig.closed_count, 0);
    frame_rig_done();
}

/* ---- what is refused ---- */

static void expect_refused(const void *bytes, size_t byte_count, const char *reason)
{
    frame_rig.trace[0] = '\0';
    uint32_t closed_before = frame_rig.closed_count;
    size_t taken_before = budget_taken_bytes(&frame_rig.budget);
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig_send(client, bytes, byte_count);
    frame_rig_settle();

    cr_expect_eq(frame_rig.closed_count, closed_before + 1);
    cr_expect(client->has_ended);
    cr_expect_eq(client->received_count, 0);
    cr_expect_eq(frame_rig.frame_count, 0);
    cr_expect_eq(budget_taken_bytes(&frame_rig.budget), taken_before);
    cr_expect_not_null(strstr(frame_rig.trace, reason), "%s", frame_rig.trace);
    cr_expect_not_null(strstr(frame_rig.trace, "warn frame connection_closed peer="));
    frame_rig_run_ms(61000); /* A line per host and minute. */
}

Test(connection, negative_and_too_large_sizes_close_at_once)
{
    expect_refused("\xff\xff\xff\xff", 4, "negative or too large");
    expect_refused("\x80\x00\x00\x00more", 8, "negative or too large");
    expect_refused("\x06\x40\x00\x01more", 8, "negative or too large");
    cr_expect_eq(frame_rig.metrics.connection_broken_total->value, 3);
    frame_rig_done();
}

Test(connection, strangers_to_the_protocol_get_a_hint_in_the_trace)
{
    expect_refused("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9, "TLS hello on a plain listener");
    expect_refused("GET / HTTP/1.1\r\n\r\n", 18, "HTTP request");
    expect_refused("POST / HTTP/1.1\r\n\r\n", 19, "HTTP request");
    expect_refused("SSH-2.0-OpenSSH_9.2p1\r\n", 23, "SSH banner");
    frame_rig_done();
}

Test(connection, second_complaint_about_a_host_within_a_minute_is_silent)
{
    for (int i = 0; i < 3; i++) {
        struct frame_rig_client *client = frame_rig_connect(0);
        frame_rig_send(client, "\xff\xff\xff\xff", 4);
        frame_rig_settle();
    }

    const char *first = strstr(frame_rig.trace, "connection_closed");
    cr_assert_not_null(first);
    cr_expect_null(strstr(first + 1, "connection_closed"));
    cr_expect_eq(frame_rig.metrics.connection_broken_total->value, 3);
    cr_expect_eq(frame_rig.closed_count, 3);
    frame_rig_done();
}

Test(connection, frames_before_a_bad_one_are_still_handed_over)
{
    uint8_t *end = frame_rig_put(sent, 10, 'a');
    memcpy(end, "\xff\xff\xff\xff", 4);
    struct frame_rig_client *client = frame_rig_connect(0);

    frame_rig_send(client, sent, (size_t)(end - sent) + 4);
    frame_rig_settle();

    cr_expect_eq(frame_rig.frame_count, 1);
    cr_expect_eq(frame_rig.closed_count, 1);
    cr_expect_eq(frame_rig.sent_count, 1);
    frame_rig_done();
}

Test(connection, frame_of_exactly_the_limit_passes)
{
    frame_rig_done();
    frame_rig_init(&(struct frame_rig_options){.frame_bytes_max = 1000});
    size_t byte_count = (size_t)(frame_rig_put(sent, 1000, 'x') - sent);
    struct frame_rig_client *client = frame_rig_connect(0);

    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();
    frame_rig_expect(client, sent, byte_count);
    (void)frame_rig_put(sent, 1001, 'x');
    frame_rig_send(client, sent, 5);
    frame_rig_settle();

    cr_expect_eq(frame_rig.frame_count, 1);
    cr_expect_eq(frame_rig.closed_count, 1);
    frame_rig_done();
}

Test(connection, handler_may_close_in_the_middle_of_a_read)
{
    size_t byte_count = put_many_frames(10);
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig.mode = FRAME_RIG_CLOSE_SECOND;

    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();

    cr_expect_eq(frame_rig.frame_count, 2);
    cr_expect_eq(frame_rig.sent_count, 2);
    cr_expect_eq(frame_rig.closed_count, 1);
    cr_expect_not_null(strstr(frame_rig.trace, "the handler does not like it"));
    frame_rig_done();
}

/* ---- deadlines ---- */

Test(connection, half_a_frame_and_silence_close_after_thirty_seconds)
{
    (void)frame_rig_put(sent, 100, 'x');
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig_send(client, sent, 50);

    frame_rig_run_ms(29900);
    cr_expect_eq(frame_rig.closed_count, 0);
    frame_rig_run_ms(1000);

    cr_expect_eq(frame_rig.closed_count, 1);
    cr_expect_not_null(strstr(frame_rig.trace, "frame was not whole in time"));
    frame_rig_done();
}

Test(connection, bytes_that_trickle_in_do_not_move_the_deadline)
{
    (void)frame_rig_put(sent, 100, 'x');
    struct frame_rig_client *client = frame_rig_connect(0);

    for (int second = 0; second < 29; second++) {
        frame_rig_send(client, sent + second, 1);
        frame_rig_run_ms(1000);
        cr_assert_eq(frame_rig.closed_count, 0, "closed after %d s", second);
    }
    frame_rig_run_ms(2000);

    cr_expect_eq(frame_rig.closed_count, 1);
    frame_rig_done();
}

Test(connection, each_frame_has_its_own_deadline)
{
    struct frame_rig_client *client = frame_rig_connect(0);
    (void)frame_rig_put(sent, 100, 'x');

    for (int i = 0; i < 5; i++) {
        frame_rig_send(client, sent, 50);
        frame_rig_run_ms(20000);
        frame_rig_send(client, sent + 50, 54);
        frame_rig_settle();
    }
    cr_expect_eq(frame_rig.frame_count, 5);
    cr_expect_eq(frame_rig.closed_count, 0);
    frame_rig_send(client, sent, 1); /* The first byte of a prefix counts as well. */
    frame_rig_run_ms(31000);

    cr_expect_eq(frame_rig.closed_count, 1);
    frame_rig_done();
}

Test(connection, silence_closes_after_ten_minutes_without_complaint)
{
    size_t byte_count = put_three_frames();
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig_run_ms(300 * 1000);
    frame_rig_send(client, sent, byte_count);

    frame_rig_run_ms(599 * 1000);
    cr_expect_eq(frame_rig.closed_count, 0);
    frame_rig_run_ms(2000);

    cr_expect_eq(frame_rig.closed_count, 1);
    cr_expect_str_eq(frame_rig.trace, "");
    frame_rig_done();
}

Test(connection, waiting_for_the_handler_is_not_silence)
{
    size_t byte_count = put_many_frames(1);
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig.mode = FRAME_RIG_HOLD;
    frame_rig_send(client, sent, byte_count);

    frame_rig_run_ms(1500 * 1000);
    cr_expect_eq(frame_rig.closed_count, 0);
    frame_rig_answer(0);
    frame_rig_settle();

    frame_rig_expect(client, sent, byte_count);
    frame_rig_done();
}

Test(connection, answers_that_nobody_takes_close_after_ten_minutes)
{
    size_t byte_count = put_many_frames(64);
    struct frame_rig_client *client = frame_rig_connect(0);
    cr_assert(sim_node_run(frame_rig.client_node, client_stop_reading, client));
    frame_rig.mode = FRAME_RIG_BLOB;
    frame_rig.blob_bytes = 1 << 20;

    frame_rig_send(client, sent, byte_count);
    frame_rig_run_ms(590 * 1000);
    cr_expect_eq(frame_rig.closed_count, 0);
    frame_rig_run_ms(620 * 1000);

    cr_expect_eq(frame_rig.closed_count, 1);
    cr_expect_eq(frame_rig.sent_count, 64);
    frame_rig_done();
}

/* ---- memory ---- */

Test(connection, large_frame_arrives_as_it_was_sent)
{
    size_t size = sizeof sent - 4;
    (void)frame_rig_put(sent, size, 0);
    for (size_t i = 0; i < size; i++) {
        sent[4 + i] = (uint8_t)(i * 31 + i / 65536);
    }
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig.mode = FRAME_RIG_HOLD;

    frame_rig_send(client, sent, sizeof sent);
    frame_rig_settle();

    cr_assert_eq(frame_rig.frame_count, 1);
    cr_expect_eq(frame_rig.frame_bytes_last, size);
    cr_expect(memcmp(frame_rig.frame_last, sent + 4, size) == 0);
    frame_rig_answer(0);
    frame_rig_run_ms(5000);
    frame_rig_expect(client, sent, sizeof sent);
    frame_rig_done();
}

Test(connection, memory_follows_the_bytes_not_the_named_size)
{
    const size_t here_counts[] = {1, 100, 70000, 1000000, 3000000};
    uint8_t prefix[4] = {0x06, 0x00, 0x00, 0x00}; /* 96 MiB */
    memcpy(sent, prefix, 4);
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig_send(client, sent, 4);
    frame_rig_settle();
    cr_expect_eq(budget_taken_bytes(&frame_rig.budget), 0, "a size alone takes nothing");

    size_t here_count = 0;
    for (size_t i = 0; i < sizeof here_counts / sizeof here_counts[0]; i++) {
        frame_rig_send(client, sent + 4, here_counts[i] - here_count);
        here_count = here_counts[i];
        frame_rig_settle();
        size_t ahead = here_count < (32 << 10)        ? 64 << 10
                       : here_count < (size_t)2 << 20 ? 1 << 20
                                                      : here_count / 2;
        cr_expect_leq(budget_taken_bytes(&frame_rig.budget), here_count + ahead + 100,
                      "%zu bytes taken for %zu", budget_taken_bytes(&frame_rig.budget), here_count);
        cr_expect_geq(budget_taken_bytes(&frame_rig.budget), here_count);
    }
    cr_expect_eq(frame_rig.closed_count, 0);
    frame_rig_done();
}

Test(connection, empty_budget_stops_reading_until_there_is_some_again)
{
    size_t byte_count = put_many_frames(200);
    struct frame_rig_client *client = frame_rig_connect(0);
    cr_assert(budget_take(&frame_rig.budget, (size_t)256 << 20));

    frame_rig_send(client, sent, byte_count);
    frame_rig_run_ms(5000);
    cr_expect_eq(frame_rig.frame_count, 0);
    budget_give(&frame_rig.budget, 40000); /* Less than a read wants to be sure of. */
    frame_rig_run_ms(1000);
    cr_expect_eq(frame_rig.frame_count, 0);
    budget_give(&frame_rig.budget, ((size_t)256 << 20) - 40000);
    frame_rig_settle();

    frame_rig_expect(client, sent, byte_count);
    frame_rig_done();
}

Test(connection, budget_that_ends_within_a_read_loses_nothing)
{
    size_t byte_count = put_many_frames(60);
    struct frame_rig_client *client = frame_rig_connect(0);
    size_t spare = (64 << 10) + 1000; /* The read, and a few frames. */
    cr_assert(budget_take(&frame_rig.budget, ((size_t)256 << 20) - spare));
    frame_rig.mode = FRAME_RIG_HOLD;

    frame_rig_send(client, sent, byte_count);
    frame_rig_run_ms(1000);
    cr_expect_gt(frame_rig.frame_count, 0);
    cr_expect_lt(frame_rig.frame_count, 20);
    cr_expect_leq(budget_taken_bytes(&frame_rig.budget), frame_rig.budget.limit_bytes);
    budget_give(&frame_rig.budget, ((size_t)256 << 20) - spare);
    frame_rig_settle();

    cr_expect_eq(frame_rig.frame_count, 60);
    for (uint32_t i = 0; i < 60; i++) {
        frame_rig_answer(i);
    }
    frame_rig_settle();
    frame_rig_expect(client, sent, byte_count);
    frame_rig_done();
}

static struct frame *kept;

static void keep_frame(void)
{
    kept = frame_ref(frame_rig.held[0]->frame);
}

static void drop_frame(void)
{
    frame_unref(kept);
}

Test(connection, kept_frame_stays_charged_until_it_is_dropped)
{
    size_t byte_count = (size_t)(frame_rig_put(sent, 1000, 'k') - sent);
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig.mode = FRAME_RIG_HOLD;
    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();
    frame_rig_on_server(keep_frame);

    frame_rig_answer(0);
    frame_rig_settle();
    cr_expect_geq(budget_taken_bytes(&frame_rig.budget), 1000);
    cr_expect_eq(kept->bytes[999], 'k');
    frame_rig_on_server(drop_frame);

    cr_expect_eq(budget_taken_bytes(&frame_rig.budget), 0);
    frame_rig_done();
}

/* ---- ends ---- */

Test(connection, tickets_outlive_their_connection)
{
    size_t byte_count = put_many_frames(4);
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig.mode = FRAME_RIG_HOLD;
    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();
    frame_rig_answer(2);

    frame_rig_close(client);
    frame_rig_settle();
    cr_expect_eq(frame_rig.closed_count, 1);
    cr_expect_null(connection_of(frame_rig.held[0]->ticket));
    cr_expect_eq(frame_rig.sent_count, 1, "an answer that can never leave is told at once");
    frame_rig_answer(3);
    frame_rig_forget(0);
    frame_rig_answer(1);
    frame_rig_settle();

    cr_expect_eq(frame_rig.sent_count, 3);
    cr_expect_str_eq(frame_rig.trace, "");
    frame_rig_done();
}

static void close_last(void)
{
    connection_close(frame_rig.last_connection, NULL);
    connection_close(frame_rig.last_connection, "only the first reason counts");
}

Test(connection, bytes_not_looked_at_yet_end_with_the_connection)
{
    size_t byte_count = put_many_frames(200);
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig.mode = FRAME_RIG_HOLD;
    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();
    cr_expect_geq(budget_taken_bytes(&frame_rig.budget), 64 << 10, "what a read left over");

    frame_rig_on_server(close_last);
    frame_rig_settle();

    cr_expect_eq(frame_rig.closed_count, 1);
    cr_expect_eq(frame_rig.frame_count, CONNECTION_TICKETS_MAX);
    frame_rig_done();
}

Test(connection, connection_can_be_closed_from_this_side)
{
    size_t byte_count = put_many_frames(1);
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();

    frame_rig_on_server(close_last);
    frame_rig_settle();

    cr_expect(client->has_ended);
    cr_expect_eq(frame_rig.closed_count, 1);
    cr_expect_str_eq(frame_rig.trace, "");
    frame_rig_done();
}

Test(connection, pause_holds_back_the_next_frames_for_its_time)
{
    size_t byte_count = put_many_frames(3);
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig.mode = FRAME_RIG_PAUSE;
    frame_rig_send(client, sent, byte_count);

    frame_rig_run_ms(900);
    cr_expect_eq(frame_rig.frame_count, 1);
    cr_expect_eq(client->received_count, 24, "the answer does not wait");
    frame_rig_run_ms(1000);
    cr_expect_eq(frame_rig.frame_count, 2);
    frame_rig_run_ms(2000);

    frame_rig_expect(client, sent, byte_count);
    frame_rig_done();
}

Test(connection, frames_and_bytes_are_counted)
{
    size_t byte_count = put_three_frames();
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();

    cr_expect_eq(frame_rig.metrics.frame_total->value, 3);
    cr_expect_eq(frame_rig.metrics.read_bytes_total->value, (int64_t)byte_count);
    cr_expect_eq(frame_rig.metrics.written_bytes_total->value, (int64_t)byte_count);
    cr_expect_eq(frame_rig.metrics.connection_count->value, 1);
    frame_rig_done();
}

static void answer_twice(void)
{
    struct frame_rig_request *request = frame_rig.held[0];
    request->answer.on_sent = release_held;
    connection_answer(request->ticket, &request->answer);
    connection_answer(request->ticket, &request->answer);
}

Test(connection, second_answer_for_a_ticket_aborts, .signal = SIGABRT)
{
    size_t byte_count = put_many_frames(1);
    struct frame_rig_client *client = frame_rig_connect(0);
    frame_rig.mode = FRAME_RIG_HOLD;
    frame_rig_send(client, sent, byte_count);
    frame_rig_settle();

    frame_rig_on_server(answer_twice);
}
