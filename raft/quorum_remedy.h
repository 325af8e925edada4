/* The remedies for libraft 0.15, by group, so that a test can take one away and see what it is for.
 *
 * Every group is always on in what is shipped: the switch exists only where QUORUM_REMEDY_SWITCH is
 * defined, in the second copy of this folder that the tests link. raft/README.md says which failure
 * each group prevents and which test fails without it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum quorum_remedy {
    QUORUM_REMEDY_BARRIER = 1 << 0,   /* Barrier of the own term; acknowledgements wait for it. */
    QUORUM_REMEDY_CLAMP = 1 << 1,     /* Acknowledge only what a request of this term covered. */
    QUORUM_REMEDY_STALE = 1 << 2,     /* No acknowledgement across a change of term or role. */
    QUORUM_REMEDY_FAIL_STOP = 1 << 3, /* A failed write is the end. */
    QUORUM_REMEDY_NO_TICK = 1 << 4,   /* No candidacy while appends or an install are under way. */
    QUORUM_REMEDY_HOLD = 1 << 5,      /* What would change the term or cut the log waits as well. */
    QUORUM_REMEDY_VOTE = 1 << 6,      /* Never a second vote in one term. */
    QUORUM_REMEDY_HISTORY = 1 << 7,   /* Own history of configurations. */
    QUORUM_REMEDY_CONFLICT = 1 << 8,  /* A snapshot that conflicts with a higher term gets in. */
    QUORUM_REMEDY_REPLY = 1 << 9,     /* A refusal is no success; commit index stays covered. */
    QUORUM_REMEDY_PRE_VOTE = 1 << 10, /* A lost election goes back to asking first. */
    QUORUM_REMEDY_ROUTE = 1 << 11,    /* By id; unknown ones are dropped. */
    QUORUM_REMEDY_TRIM = 1 << 12,     /* A request from below the commit index is moved up to it. */
    QUORUM_REMEDY_SEND_OK = 1 << 13,  /* A message that was not sent is silence, not an error. */
    QUORUM_REMEDY_NON_VOTER = 1 << 14, /* Votes are given also by who believes it has none. */
    QUORUM_REMEDY_TERM = 1 << 15,      /* A refused pre-vote says our term. */
};

#ifdef QUORUM_REMEDY_SWITCH
extern uint32_t quorum_remedy_off; /* In quorum_remedy.c; a mask, 0 at the start. */
#else
#define quorum_remedy_off 0U
#endif

static inline bool quorum_remedy_is_on(enum quorum_remedy remedy)
{
    return (quorum_remedy_off & (uint32_t)remedy) == 0;
}
