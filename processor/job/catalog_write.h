/* The writing side of the catalog: one transaction per decision. For catalog.c only.
 *
 * Before a decision the catalog is read up to a claim: a record of ours in a transaction that is
 * aborted, behind all that other doors committed. A leader that the cluster went on without does
 * not have it; its end would have been an old one.
 *
 * A write that another door fences waits a while, takes the id again, reads and decides again,
 * until its deadline. Was its commit asked for, then it looks first whether the reader has come
 * upon its record: then it was committed, and nothing is written again.
 *
 * Owner: the catalog. Loop: its. */
#pragma once

#include "processor/job/catalog.h"

/* In its turn. */
void catalog_write_start(struct catalog *catalog, struct catalog_write *write);
/* The reader has come upon a committed record. */
void catalog_write_see(struct catalog_write *self, int64_t offset);
/* At the catalog's end: what waits ends (CANCELED); what is under way ends soon. */
void catalog_write_cancel_all(struct catalog *catalog);
/* The catalog's: no write is under way any more. */
void catalog_end_write(struct catalog *catalog);
