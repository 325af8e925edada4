/* The machine's clocks. Owner: the process. Loop: any. */
#pragma once

#include "proto/sys/clock.h"

/* One for all; never NULL. */
struct clock *host_clock(void);
