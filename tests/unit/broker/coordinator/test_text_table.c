/* Goal: what was added is found until it is removed, however many there are. */
#include "broker/coordinator/text_table.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define COUNT 1000

static char names[COUNT][16];
static struct text_entry entries[COUNT];

Test(text_table, finds_what_is_there_and_nothing_else)
{
    struct text_table table;
    text_table_init(&table);
    cr_expect_null(text_table_find(&table, wire_text_of("name-0")));
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "name-%d", i);
        text_table_add(&table, &entries[i], wire_text_of(names[i]));
    }
    for (int i = 0; i < COUNT; i += 2) {
        text_table_remove(&table, &entries[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        cr_expect_eq(text_table_find(&table, wire_text_of(names[i])),
                     i % 2 == 0 ? NULL : &entries[i]);
    }
    uint32_t seen_count = 0;
    text_table_for_each(entry, &table)
    {
        seen_count += 1;
        text_table_remove(&table, entry);
    }
    cr_expect_eq(seen_count, COUNT / 2);
    cr_expect_eq(table.entry_count, 0);
    text_table_done(&table);
}
