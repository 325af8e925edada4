#include "proto/sys/host/host_streams.h"

#include <fcntl.h>
#include <unistd.h>

void host_streams_hold(void)
{
    for (int number = STDIN_FILENO; number <= STDERR_FILENO; number++) {
        if (fcntl(number, F_GETFD) >= 0) {
            continue;
        }
        /* The lowest free number is given, which is this one. Opened the wrong way round, so that
         * nobody takes what goes nowhere for written. */
        (void)open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}
