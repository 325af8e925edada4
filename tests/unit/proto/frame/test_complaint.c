/* Goal: one line per host and minute, and never more memory than the table.
 * Method: a table and hand-made times. */
#include "proto/frame/complaint.h"

#include "proto/sys/clock.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct complaint_table table;

TestSuite(complaint);

Test(complaint, host_is_due_again_after_a_minute)
{
    complaint_table_init(&table);

    cr_expect(complaint_is_due(&table, "192.0.2.1", 0));
    cr_expect_not(complaint_is_due(&table, "192.0.2.1", 59 * CLOCK_NS_PER_S));
    cr_expect(complaint_is_due(&table, "192.0.2.1", 60 * CLOCK_NS_PER_S));
    cr_expect_not(complaint_is_due(&table, "192.0.2.1", 119 * CLOCK_NS_PER_S));
}

Test(complaint, hosts_do_not_silence_each_other)
{
    complaint_table_init(&table);
    int due_count = 0;

    for (int i = 0; i < 1000; i++) {
        char host[32];
        (void)snprintf(host, sizeof host, "host-%d", i);
        due_count += complaint_is_due(&table, host, 1000) ? 1 : 0;
    }

    cr_expect_eq(due_count, 1000);
}
