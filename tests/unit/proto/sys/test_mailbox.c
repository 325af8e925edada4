/* Goal: mail arrives once, in the order of each sender, and the loop is woken when it must be.
 * Method: one thread for order and wake-ups; four posting threads against one reader for the rest.
 */
#include "proto/sys/mailbox.h"
#include "proto/sys/check.h"
#include "proto/sys/list.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

#define SENDER_COUNT 4U
#define LETTER_COUNT 20000U

struct letter {
    struct mail mail;
    uint32_t sender;
    uint32_t number;
};

static struct mailbox mailbox;
static _Atomic uint32_t wake_count;
static uint32_t next_number[SENDER_COUNT];
static uint32_t delivered_count;
static uint32_t misplaced_count;

static void count_wake(struct mailbox *self)
{
    (void)self;
    atomic_fetch_add(&wake_count, 1);
}

static void deliver_letter(struct mail *mail)
{
    struct letter *letter = container_of(mail, struct letter, mail);
    misplaced_count += letter->number == next_number[letter->sender] ? 0 : 1;
    next_number[letter->sender] += 1;
    delivered_count += 1;
    free(letter);
}

static void post_letter(uint32_t sender, uint32_t number)
{
    struct letter *letter = malloc(sizeof *letter);
    check(letter != NULL);
    *letter = (struct letter){.mail.deliver = deliver_letter, .sender = sender, .number = number};
    mailbox_post(&mailbox, &letter->mail);
}

static void set_up(void)
{
    mailbox_init(&mailbox, count_wake);
}

TestSuite(mailbox, .init = set_up);

Test(mailbox, mail_arrives_in_order_with_one_wake)
{
    for (uint32_t i = 0; i < 10; i++) {
        post_letter(0, i);
    }
    cr_expect_eq(wake_count, 1);

    cr_expect(mailbox_deliver(&mailbox));

    cr_expect_eq(delivered_count, 10);
    cr_expect_eq(misplaced_count, 0);
    cr_expect_not(mailbox_deliver(&mailbox));
}

Test(mailbox, first_post_after_a_drain_wakes_again)
{
    post_letter(0, 0);
    cr_assert(mailbox_deliver(&mailbox));

    post_letter(0, 1);

    cr_expect_eq(wake_count, 2);
}

static uint32_t round_count;

static void deliver_and_post_again(struct mail *mail)
{
    round_count += 1;
    mailbox_post(&mailbox, mail);
}

Test(mailbox, mail_posted_while_delivering_waits_for_the_next_turn)
{
    struct mail mail = {.deliver = deliver_and_post_again};
    mailbox_post(&mailbox, &mail);

    cr_expect(mailbox_deliver(&mailbox));
    cr_expect_eq(round_count, 1);
    cr_expect(mailbox_deliver(&mailbox));
    cr_expect_eq(round_count, 2);
    cr_expect_eq(wake_count, 3, "each post met an empty box");
}

Test(mailbox, mail_without_a_receiver_aborts, .signal = SIGABRT)
{
    struct mail mail = {.deliver = NULL};

    mailbox_post(&mailbox, &mail);
}

static void *send_letters(void *context)
{
    const uint32_t *sender = context;
    for (uint32_t i = 0; i < LETTER_COUNT; i++) {
        post_letter(*sender, i);
    }
    return NULL;
}

Test(mailbox, letters_of_many_threads_arrive_once_and_in_their_order)
{
    pthread_t threads[SENDER_COUNT];
    uint32_t senders[SENDER_COUNT] = {0, 1, 2, 3};
    for (uint32_t i = 0; i < SENDER_COUNT; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, send_letters, &senders[i]), 0);
    }

    while (delivered_count < SENDER_COUNT * LETTER_COUNT) {
        mailbox_deliver(&mailbox);
    }

    for (uint32_t i = 0; i < SENDER_COUNT; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_expect_eq(misplaced_count, 0);
    cr_expect_not(mailbox_deliver(&mailbox));
    cr_expect_geq(wake_count, 1);
}
