/* CREATE TABLE and DROP TABLE: the table's topics, then its record in the catalog.
 *
 * Owner: the run. Loop: the control's. */
#pragma once

#include "processor/control/run_script.h"

void run_table_create(struct run_script *self);
void run_table_drop(struct run_script *self);
