/* Asks all processors what they run: one answer per processor, gathered.
 *
 * Who does not answer in time has none; his tasks show as nobody's.
 *
 * Owner: the call that embeds it. Loop: the control's. Limits: PROCESSOR_CORE_PEERS_MAX. */
#pragma once

#include "client/processor_core.h"
#include "proto/internal/control.pb-c.h"

#define SURVEY_MS 1500

struct survey_part {
    struct survey *survey;
    struct address address;
    struct processor_ask ask;
    Millrace__Control__Answer *answer; /* Owned; NULL: none. */
};

struct survey {
    struct processor_core *peers; /* Borrowed. */
    struct loop *loop;
    int64_t look_ms;                      /* To see who is there; 0: the core's request timeout. */
    int64_t answer_ms;                    /* From then on; 0: SURVEY_MS. */
    void (*on_done)(struct survey *self); /* Once, never from inside survey_start(). */
    struct processor_look look;
    enum status look_status;   /* OK: the parts are all that are there. */
    struct survey_part *parts; /* Owned. */
    uint32_t part_count;
    uint32_t open_count;
    uint8_t question[16];
};

/* peers, loop and on_done are set. May be started again behind on_done. */
void survey_start(struct survey *self);
/* Frees what was gathered. Accepts a zeroed one. */
void survey_done(struct survey *self);
/* The task of this job's run; NULL: nobody tells of it. Of several the one that is not starting. */
const Millrace__Control__TaskState *survey_find(const struct survey *self,
                                                const Millrace__Processor__TaskId *id);
