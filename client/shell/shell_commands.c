#include "client/shell/shell_commands.h"

#include "client/shell/shell_cluster.h"
#include "client/shell/shell_consume.h"
#include "client/shell/shell_dev.h"
#include "client/shell/shell_group.h"
#include "client/shell/shell_job.h"
#include "client/shell/shell_produce.h"
#include "client/shell/shell_sql.h"
#include "client/shell/shell_topic.h"

#include <stddef.h>

const struct shell_command *const shell_commands[] = {
    shell_dev_commands,     shell_topic_commands, shell_produce_commands,
    shell_consume_commands, shell_group_commands, shell_cluster_commands,
    shell_sql_commands,     shell_job_commands,   NULL,
};
