#include "raft/quorum_remedy.h"

#ifdef QUORUM_REMEDY_SWITCH
uint32_t quorum_remedy_off;
#endif
