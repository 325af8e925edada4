/* The writing side of the catalog: one transaction per decision. For catalog.c only.
 *
 * Owner: the catalog. Loop: its. */
#pragma once

#include "processor/job/catalog.h"

/* In its turn. */
void catalog_write_start(struct catalog *catalog, struct catalog_write *write);
/* At the catalog's end: what waits ends (CANCELED); what is under way ends soon. */
void catalog_write_cancel_all(struct catalog *catalog);
/* The catalog's: no write is under way any more. */
void catalog_end_write(struct catalog *catalog);
