/* Lets the quorum's followers hear at once what has been committed.
 *
 * They hear it with the next entry, else with a heartbeat or two: late for a client that asks them
 * for the topic that it has just made, or for a leader's successor. A barrier is such an entry;
 * while one is on its way, all that is committed meanwhile shares the next.
 *
 * Owner: the controller. Loop: the quorum's. */
#pragma once

#include "broker/metadata/image.h"
#include "raft/quorum.h"

struct commit_news {
    struct quorum *quorum; /* Borrowed. */
    struct quorum_proposal barrier;
    bool is_on_its_way; /* Until false, this stays put; the quorum's close ends it. */
    bool comes_again;
};

/* Something was committed; `image` tells whether there is anybody to hear of it. */
void commit_news_spread(struct commit_news *self, struct quorum *quorum, const struct image *image);
