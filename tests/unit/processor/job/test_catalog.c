/* Goal: what was written is read by all, and two doors never decide on the same state.
 * Method: two catalogs against real brokers in a simulated world, writing at the same time. */
#include "processor/job/catalog.h"
#include "tests/unit/client/cluster_rig.h"

#include <string.h>

#define WAIT_MS 60000
#define DOORS 2

static struct admin_core admins[DOORS];
static struct catalog catalogs[DOORS];
static int changed_counts[DOORS];
static int closed_count;

static void on_changed(void *context)
{
    *(int *)context += 1;
}

static void on_closed(void *context)
{
    (void)context;
    closed_count += 1;
}

static bool are_ready(void *context)
{
    (void)context;
    return catalogs[0].is_ready && catalogs[1].is_ready;
}

static bool are_closed(void *context)
{
    return closed_count >= *(int *)context;
}

static void open_all(void)
{
    for (int i = 0; i < DOORS; i++) {
        struct admin_core_options admin = {.loop = rig_loop,
                                           .bootstrap = rig_bootstrap,
                                           .bootstrap_count = 3,
                                           .client_id = "door",
                                           .request_timeout_ms = 5000};
        admin_core_init(&admins[i], &admin);
        struct catalog_options options = {.loop = rig_loop,
                                          .bootstrap = rig_bootstrap,
                                          .bootstrap_count = 3,
                                          .client_id = "door",
                                          .admin = &admins[i],
                                          .on_changed = on_changed,
                                          .on_closed = on_closed,
                                          .context = &changed_counts[i]};
        catalog_init(&catalogs[i], &options);
    }
    cr_assert(rig_until(are_ready, NULL, WAIT_MS));
}

static void close_all(void)
{
    int wanted = DOORS;
    for (int i = 0; i < DOORS; i++) {
        catalog_close(&catalogs[i]);
    }
    cr_assert(rig_until(are_closed, &wanted, WAIT_MS));
    wanted = 2 * DOORS;
    for (int i = 0; i < DOORS; i++) {
        admin_core_close(&admins[i], on_closed, NULL);
    }
    cr_assert(rig_until(are_closed, &wanted, WAIT_MS));
}

static void set_up(void)
{
    rig_begin(3, 1);
    open_all();
}

static void tear_down(void)
{
    close_all();
    rig_end();
}

TestSuite(catalog, .init = set_up, .fini = tear_down);

/* One door that declares the table `name`, unless it is there. */
struct door {
    struct catalog_write write;
    char name[32];
    bool was_there;
    bool is_done;
    enum status status;
};

static enum status decide(struct catalog_write *write)
{
    struct door *self = container_of(write, struct door, write);
    if (catalog_find(write->catalog, CATALOG_TABLE, self->name) != NULL) {
        self->was_there = true;
        return STATUS_EXISTS;
    }
    Millrace__Plan__Table table;
    millrace__plan__table__init(&table);
    table.version = 1;
    table.name = self->name;
    Millrace__Processor__CatalogRecord record;
    millrace__processor__catalog_record__init(&record);
    record.version = 1;
    record.kind_case = MILLRACE__PROCESSOR__CATALOG_RECORD__KIND_TABLE;
    record.table = &table;
    return catalog_write_put(write, CATALOG_TABLE, self->name, &record);
}

static void on_done(struct catalog_write *write, enum status status)
{
    struct door *self = container_of(write, struct door, write);
    self->is_done = true;
    self->status = status;
}

static void declare(int index, struct door *door, const char *name)
{
    *door = (struct door){0};
    snprintf(door->name, sizeof door->name, "%s", name);
    door->write.deadline_ns = loop_now_ns(rig_loop) + WAIT_MS * CLOCK_NS_PER_MS;
    door->write.decide = decide;
    door->write.on_done = on_done;
    catalog_change(&catalogs[index], &door->write);
}

static bool are_done(void *context)
{
    struct door *doors = context;
    return doors[0].is_done && doors[1].is_done;
}

Test(catalog, what_is_written_is_read_back_before_the_writer_is_told)
{
    static struct door door[2];
    door[1].is_done = true;
    declare(0, &door[0], "flights");
    door[1].is_done = true;
    cr_assert(rig_until(are_done, door, WAIT_MS));

    cr_assert_eq(door[0].status, STATUS_OK);
    cr_expect_neq(catalog_find(&catalogs[0], CATALOG_TABLE, "flights"), NULL);
    cr_expect_eq(catalog_find(&catalogs[0], CATALOG_JOB, "flights"), NULL);
}

Test(catalog, of_two_doors_with_one_name_only_one_wins)
{
    static struct door doors[2];
    declare(0, &doors[0], "same");
    declare(1, &doors[1], "same");
    cr_assert(rig_until(are_done, doors, WAIT_MS));

    int won = (doors[0].status == STATUS_OK ? 1 : 0) + (doors[1].status == STATUS_OK ? 1 : 0);
    cr_expect_leq(won, 1, "both doors declared the table");
    /* Whoever was fenced tries again and then sees it. */
    for (int i = 0; i < DOORS; i++) {
        if (doors[i].status != STATUS_OK && !doors[i].was_there) {
            static struct door again[2];
            declare(i, &again[0], "same");
            again[1].is_done = true;
            cr_assert(rig_until(are_done, again, WAIT_MS));
            cr_expect(again[0].status == STATUS_OK || again[0].was_there);
        }
    }
    cr_expect_neq(catalog_find(&catalogs[0], CATALOG_TABLE, "same"), NULL);
}

static bool sees_table(void *context)
{
    return catalog_find(&catalogs[1], CATALOG_TABLE, context) != NULL && changed_counts[1] > 1;
}

Test(catalog, the_other_door_hears_of_it)
{
    static struct door door[2];
    declare(0, &door[0], "heard");
    door[1].is_done = true;
    cr_assert(rig_until(are_done, door, WAIT_MS));
    static char name[] = "heard";

    cr_expect(rig_until(sees_table, name, WAIT_MS));
}

Test(catalog, a_write_survives_the_death_of_a_broker)
{
    static struct door door[2];
    declare(0, &door[0], "before");
    door[1].is_done = true;
    cr_assert(rig_until(are_done, door, WAIT_MS));
    rig_kill(0);
    static struct door later[2];
    declare(1, &later[1], "behind");
    later[0].is_done = true;
    cr_assert(rig_until(are_done, later, WAIT_MS));

    cr_assert_eq(later[1].status, STATUS_OK, "it says %s", status_text(later[1].status));
    cr_expect_neq(catalog_find(&catalogs[1], CATALOG_TABLE, "before"), NULL);
    cr_expect_neq(catalog_find(&catalogs[1], CATALOG_TABLE, "behind"), NULL);
    rig_revive(0);
}
