/* Goal: a metric is found under its name and counts; the table refuses what would make it lie.
 * Method: a few metrics, then double names and one too many. */
#include "proto/sys/metric.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

static struct metric_table table;

static void set_up(void)
{
    metric_table_init(&table);
}

TestSuite(metric, .init = set_up);

Test(metric, registered_metrics_count_on_their_own)
{
    struct metric *bytes = metric_register(&table, "bytes_in_total", "Bytes received.");
    struct metric *open = metric_register(&table, "connection_count", "Open connections.");

    metric_add(bytes, 40);
    metric_add(bytes, 2);
    metric_set(open, 7);
    metric_add(open, -1);

    cr_expect_eq(table.count, 2);
    cr_expect_eq(table.metrics[0].value, 42);
    cr_expect_str_eq(table.metrics[0].name, "bytes_in_total");
    cr_expect_eq(table.metrics[1].value, 6);
    cr_expect_str_eq(table.metrics[1].help, "Open connections.");
}

Test(metric, name_registered_twice_aborts, .signal = SIGABRT)
{
    metric_register(&table, "bytes_in_total", "Bytes received.");

    metric_register(&table, "bytes_in_total", "Bytes received.");
}

Test(metric, one_more_than_the_table_holds_aborts, .signal = SIGABRT)
{
    static char names[METRIC_COUNT_MAX + 1][16];

    for (uint32_t i = 0; i <= METRIC_COUNT_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "metric_%u", i);
        metric_register(&table, names[i], "One of many.");
    }
}
