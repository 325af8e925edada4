/* What the library declares and cannot do yet: groups and transactions say so. */
#include "client/millrace/trouble.h"

static int not_yet(struct millrace_error *error, const char *what)
{
    int code = trouble_status(error, STATUS_UNSUPPORTED, what);
    trouble_explain(error, "this version of the library has no groups and no transactions yet",
                    "assign partitions yourself, or use a later version");
    return code;
}

int millrace_groups_list(struct millrace_client *client, int64_t timeout_ms,
                         struct millrace_groups **out_groups, struct millrace_error *error)
{
    (void)client;
    (void)timeout_ms;
    *out_groups = NULL;
    return not_yet(error, "cannot list groups");
}

void millrace_groups_free(struct millrace_groups *groups)
{
    (void)groups;
}

int millrace_group_describe(struct millrace_client *client, struct millrace_bytes group,
                            int64_t timeout_ms, struct millrace_group **out_group,
                            struct millrace_error *error)
{
    (void)client;
    (void)group;
    (void)timeout_ms;
    *out_group = NULL;
    return not_yet(error, "cannot describe the group");
}

void millrace_group_free(struct millrace_group *group)
{
    (void)group;
}

int millrace_group_delete(struct millrace_client *client, struct millrace_bytes group,
                          int64_t timeout_ms, struct millrace_error *error)
{
    (void)client;
    (void)group;
    (void)timeout_ms;
    return not_yet(error, "cannot delete the group");
}
