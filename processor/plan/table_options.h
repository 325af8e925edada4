/* The options of CREATE TABLE … WITH (…): topic, format, event_time, watermark, idle_after,
 * late_topic, on_misfit, start.
 *
 * Owner: plan_check. Loop: any. */
#pragma once

#include "processor/plan/plan_fault.h"

#define TABLE_OPTIONS_IDLE_AFTER_US INT64_C(60000000)

/* Fills what the options say into `table`, whose name and columns are there. INVALID: `fault`. */
MUST_USE enum status table_options_apply(const Millrace__Plan__CreateTable *asked,
                                         struct plan_fault *fault, Millrace__Plan__Table *table);
