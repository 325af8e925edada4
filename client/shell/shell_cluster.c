#include "client/shell/shell_cluster.h"

#include "client/shell/shell_client.h"
#include "client/shell/shell_output.h"

#include <stdio.h>

static json_t *nodes_of(const struct millrace_cluster *cluster)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < cluster->node_count; i++) {
        const struct millrace_node *node = cluster->nodes[i];
        char host[300];
        (void)snprintf(host, sizeof host, "%.*s:%d", (int)node->host.size,
                       (const char *)node->host.data, (int)node->port);
        /* No call of the protocol tells a broker's epoch. */
        (void)json_array_append_new(
            rows, json_pack("{s:i,s:s,s:s,s:s,s:n}", "node", (int)node->node, "role", "broker",
                            "host", host, "state", node->is_fenced ? "fenced" : "up", "epoch"));
    }
    return rows;
}

static enum shell_exit print_cluster(const struct shell_call *call,
                                     const struct millrace_cluster *cluster)
{
    if (call->format == SHELL_JSON) {
        return shell_output_json(
            call,
            json_pack("{s:o,s:o,s:o,s:o}", "cluster_id", shell_output_bytes(cluster->cluster_id),
                      "controller", shell_output_known(cluster->controller), "controller_epoch",
                      shell_output_known(cluster->controller_epoch), "nodes", nodes_of(cluster)));
    }
    printf("cluster %.*s, controller ", (int)cluster->cluster_id.size,
           (const char *)cluster->cluster_id.data);
    if (cluster->controller < 0) {
        puts("unknown\n");
    } else {
        printf("%d\n\n", (int)cluster->controller);
    }
    shell_output_table(nodes_of(cluster), stdout);
    return SHELL_DONE;
}

static enum shell_exit status_run(struct shell_call *call, struct millrace_client *client)
{
    struct millrace_cluster *cluster = NULL;
    struct millrace_error error;
    if (millrace_cluster_describe(client, SHELL_CLIENT_MS_MAX, &cluster, &error) != 0) {
        return shell_client_fail(call, &error);
    }
    enum shell_exit exit = print_cluster(call, cluster);
    millrace_cluster_free(cluster);
    return exit;
}

const struct shell_command shell_cluster_commands[] = {
    {.words = "cluster status",
     .operands = "",
     .summary = "show the nodes, their state and who controls",
     .examples =
         (const char *const[]){"millrace cluster status", "millrace cluster status -o json", NULL},
     .run_client = status_run},
    {.words = NULL},
};
