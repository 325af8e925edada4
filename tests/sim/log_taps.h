/* What the linker (--wrap) puts between partitions, their logs and coordinators: tells log_match
 * what happens there, and can be told to plant a bug, so that the checkers are seen to bite.
 *
 * Owner: the workload. Loop: the world's thread. Limits: none of its own. */
#pragma once

enum log_taps_plant {
    LOG_TAPS_SOUND,
    LOG_TAPS_UNFLUSHED_MARK, /* The high watermark counts what the leader has not flushed. */
    LOG_TAPS_CUT_TO_MARK,    /* A follower cuts to its high watermark, not where epochs part. */
    LOG_TAPS_EAGER_JOIN,     /* A follower may join the ISR before it has reached the mark. */
    LOG_TAPS_AGREED_ISR,     /* The high watermark does not wait for who is about to join. */
    LOG_TAPS_OPEN_READ,      /* Committed readers see what is open. */
    LOG_TAPS_NO_ABORTED,     /* They are not told what was aborted. */
    LOG_TAPS_LOST_END,       /* A new coordinator does not bring a begun end to its end. */
};

void log_taps_plant(enum log_taps_plant plant);
