/* Goal: a broker is live for exactly as long as it is heard of, and gone at once when it is lost.
 * Method: three brokers and a clock that is only a number. */
#include "broker/controller/liveness.h"

#include "tests/rig/image_maker.h"

#include <criterion/criterion.h>

static struct image *image;
static struct liveness liveness;

static void set_up(void)
{
    image = image_maker_cluster(3, 0);
    liveness_init(&liveness, 100);
    liveness_begin(&liveness, image, 1000);
}

static void tear_down(void)
{
    image_unref(image);
}

TestSuite(liveness, .init = set_up, .fini = tear_down);

static int64_t epoch(int32_t id)
{
    return image_broker_by_id(image, id)->epoch;
}

static int32_t expired(int64_t now_ns)
{
    const struct image_broker *broker = liveness_next_expired(&liveness, image, now_ns);
    return broker == NULL ? -1 : broker->id;
}

Test(liveness, new_controller_grants_everybody_a_session)
{
    cr_expect_eq(expired(1099), -1);
    cr_expect_eq(expired(1100), 1);
    cr_expect_eq(liveness_next_deadline(&liveness, image), 1100);
    cr_expect(liveness_is_live(&liveness, 2, 1099));
    cr_expect_not(liveness_is_live(&liveness, 2, 1100));
    cr_expect_not(liveness_is_live(&liveness, 9, 1000));
}

Test(liveness, who_is_heard_of_lives_on)
{
    liveness_touch(&liveness, 1, epoch(1), 0, 1050);
    liveness_touch(&liveness, 3, epoch(3), 0, 1050);
    cr_expect_eq(expired(1120), 2);
    cr_expect_eq(expired(1099), -1);
    liveness_touch(&liveness, 2, epoch(2), 0, 1110);
    cr_expect_eq(expired(1120), -1);
    cr_expect_eq(expired(1150), 1);
}

Test(liveness, session_on_credit_is_not_heard)
{
    cr_expect_not(liveness_is_heard(&liveness, 2, 1001));
    liveness_touch(&liveness, 2, epoch(2), 0, 1050);
    cr_expect(liveness_is_heard(&liveness, 2, 1149));
    cr_expect_not(liveness_is_heard(&liveness, 2, 1150));
    liveness_lose(&liveness, 2, epoch(2));
    cr_expect_not(liveness_is_heard(&liveness, 2, 1051));
    liveness_touch(&liveness, 2, epoch(2), 0, 1060);
    liveness_begin(&liveness, image, 1070);
    cr_expect(liveness_is_live(&liveness, 2, 1071));
    cr_expect_not(liveness_is_heard(&liveness, 2, 1071));
}

Test(liveness, lost_connection_ends_the_session_at_once_until_it_is_heard_of_again)
{
    liveness_lose(&liveness, 2, epoch(2) - 1); /* That of an earlier process. */
    cr_expect_eq(expired(1000), -1);
    liveness_lose(&liveness, 2, epoch(2));
    cr_expect_eq(expired(1000), 2);
    liveness_touch(&liveness, 2, epoch(2), 0, 1010);
    cr_expect_eq(expired(1010), -1);
    liveness_lose(&liveness, 2, -1);
    cr_expect_eq(expired(1010), 2);
}

Test(liveness, fenced_brokers_and_new_incarnations_do_not_expire)
{
    image_maker_fence(&image, 1, true);
    liveness_touch(&liveness, 2, epoch(2) + 7, 0, 1000);
    liveness_lose(&liveness, 1, -1);
    cr_expect_eq(expired(5000), 3);
}

Test(liveness, peer_that_is_down_is_lost_when_this_controller_becomes_active)
{
    liveness_set_peer(&liveness, 3, true);
    cr_expect_eq(expired(1000), -1); /* It may still be heard of here. */
    liveness_begin(&liveness, image, 2000);
    cr_expect_eq(expired(2000), 3);
    liveness_set_peer(&liveness, 3, false);
    liveness_begin(&liveness, image, 3000);
    cr_expect_eq(expired(3000), -1);
}

Test(liveness, shutdown_is_known_when_every_live_broker_has_applied_it)
{
    cr_expect_not(liveness_knows_shutdown(&liveness, image, 1));
    liveness_set_shutdown(&liveness, 1, 50);
    for (int32_t id = 1; id <= 3; id++) {
        liveness_touch(&liveness, id, epoch(id), id == 3 ? 49 : 50, 1000);
    }
    cr_expect_not(liveness_knows_shutdown(&liveness, image, 1));
    liveness_set_shutdown(&liveness, 1, 60); /* The first one counts. */
    liveness_touch(&liveness, 3, epoch(3), 51, 1000);
    cr_expect(liveness_knows_shutdown(&liveness, image, 1));
    liveness_touch(&liveness, 3, epoch(3), 2, 1000); /* A late one takes nothing back. */
    cr_expect(liveness_knows_shutdown(&liveness, image, 1));
}
