/* Decisions about committed offsets: who may commit what, and what has expired.
 * The calls themselves are in group.h (group_commit_offsets and so on). Owner: the group_book. */
#pragma once

#include "broker/coordinator/group_book.h"

/* Offsets and groups whose time is over; for the book's upkeep. */
enum ledger_verdict group_commit_expire(struct ledger_op *op, void *machine);
/* Asks for the removal of everything that a group without members has. */
void group_commit_erase(struct group *group, struct ledger_op *op);
