#include "client/shell/shell_commands.h"

#include "client/shell/shell_dev.h"

#include <stddef.h>

const struct shell_command *const shell_commands[] = {
    shell_dev_commands,
    NULL,
};
