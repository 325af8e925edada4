#include "client/shell/shell_group.h"

#include "client/shell/shell_client.h"
#include "client/shell/shell_output.h"

static enum shell_exit list_run(struct shell_call *call, struct millrace_client *client)
{
    struct millrace_groups *groups = NULL;
    struct millrace_error error;
    if (millrace_groups_list(client, SHELL_CLIENT_MS_MAX, &groups, &error) != 0) {
        return shell_client_fail(call, &error);
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < groups->group_count; i++) {
        const struct millrace_group_row *row = groups->groups[i];
        (void)json_array_append_new(rows, json_pack("{s:o,s:o,s:o}", "group",
                                                    shell_output_bytes(row->group), "state",
                                                    shell_output_bytes(row->state), "type",
                                                    shell_output_bytes(row->protocol_type)));
    }
    millrace_groups_free(groups);
    return shell_output_rows(call, rows, "there are no groups");
}

static enum shell_exit describe_run(struct shell_call *call, struct millrace_client *client)
{
    struct millrace_group *group = NULL;
    struct millrace_error error;
    if (millrace_group_describe(client, millrace_text(call->operands[0]), SHELL_CLIENT_MS_MAX,
                                &group, &error) != 0) {
        return shell_client_fail(call, &error);
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < group->partition_count; i++) {
        const struct millrace_group_partition *row = group->partitions[i];
        (void)json_array_append_new(
            rows,
            json_pack("{s:o,s:i,s:o,s:o,s:o,s:o,s:o}", "topic", shell_output_bytes(row->topic),
                      "partition", (int)row->partition, "committed",
                      shell_output_known(row->committed), "end", shell_output_known(row->end),
                      "lag", shell_output_known(row->lag), "member",
                      shell_output_bytes(row->member), "host", shell_output_bytes(row->host)));
    }
    millrace_group_free(group);
    return shell_output_rows(call, rows, "the group reads no partition and has no offsets");
}

const struct shell_command shell_group_commands[] = {
    {.words = "group list",
     .operands = "",
     .summary = "list the groups, their state and their type",
     .examples = (const char *const[]){"millrace group list", "millrace group list -o json", NULL},
     .run_client = list_run},
    {.words = "group describe",
     .operands = "GROUP",
     .operand_count = 1,
     .summary = "show who reads which partition, and how far behind",
     .notes = "A row for each partition that is read by a member or has an offset committed: lag\n"
              "is what lies between the offset and the partition's end.",
     .examples = (const char *const[]){"millrace group describe billing",
                                       "millrace group describe billing -o json", NULL},
     .run_client = describe_run},
    {.words = NULL},
};
