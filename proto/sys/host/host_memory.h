/* How the process's allocator behaves: for servers, whose large buffers come and go all the time.
 *
 * Owner: a main, before it starts threads. Never a library: it is the whole process's setting. */
#pragma once

/* Freed memory is kept for the next request instead of going back to the system: fetching fresh
 * pages costs several times what receiving the bytes does (bench_frame, 1 MiB requests: 0.5 CPU-s
 * per GB without, 0.1 with). The budget bounds what there is to keep. */
void host_memory_keep_freed(void);
