/* The three standard streams of a program whose parent has closed some of them.
 *
 * Owner: a main, before it opens anything. Never a library: they are the whole process's. */
#pragma once

/* Sees to it that descriptors 0 to 2 are taken, so that no file of data and no connection can come
 * to bear the number of a stream and be written to by a printf(). What was closed stays of no use:
 * reading from it, writing to it fails. */
void host_streams_hold(void);
