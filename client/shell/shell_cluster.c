#include "client/shell/shell_cluster.h"

#include "client/shell/shell_client.h"
#include "client/shell/shell_output.h"

#include <stdio.h>

/* What waiting for processors may add to the answer of the brokers. */
#define PROCESSORS_MS_MAX 3000

static json_t *host_of(struct millrace_bytes host, int32_t port)
{
    return json_sprintf("%.*s:%d", (int)host.size, (const char *)host.data, (int)port);
}

/* No call of the protocol tells a broker's epoch; processors have neither number nor epoch. */
static json_t *nodes_of(const struct millrace_cluster *cluster,
                        const struct millrace_processors *processors)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < cluster->node_count; i++) {
        const struct millrace_node *node = cluster->nodes[i];
        (void)json_array_append_new(rows, json_pack("{s:i,s:s,s:o,s:s,s:n}", "node",
                                                    (int)node->node, "role", "broker", "host",
                                                    host_of(node->host, node->port), "state",
                                                    node->is_fenced ? "fenced" : "up", "epoch"));
    }
    for (size_t i = 0; processors != NULL && i < processors->processor_count; i++) {
        const struct millrace_processor *processor = processors->processors[i];
        (void)json_array_append_new(
            rows, json_pack("{s:n,s:s,s:o,s:s,s:n}", "node", "role", "processor", "host",
                            host_of(processor->host, processor->port), "state",
                            processor->is_answering ? "up" : "unreachable", "epoch"));
    }
    return rows;
}

static enum shell_exit print_cluster(const struct shell_call *call,
                                     const struct millrace_cluster *cluster, json_t *nodes)
{
    if (call->format == SHELL_JSON) {
        return shell_output_json(
            call,
            json_pack("{s:o,s:o,s:o,s:o}", "cluster_id", shell_output_bytes(cluster->cluster_id),
                      "controller", shell_output_known(cluster->controller), "controller_epoch",
                      shell_output_known(cluster->controller_epoch), "nodes", nodes));
    }
    printf("cluster %.*s, controller ", (int)cluster->cluster_id.size,
           (const char *)cluster->cluster_id.data);
    if (cluster->controller < 0) {
        puts("unknown\n");
    } else {
        printf("%d\n\n", (int)cluster->controller);
    }
    shell_output_table(nodes, stdout);
    return SHELL_DONE;
}

static enum shell_exit status_run(struct shell_call *call, struct millrace_client *client)
{
    struct millrace_cluster *cluster = NULL;
    struct millrace_processors *processors = NULL;
    struct millrace_error error;
    if (millrace_cluster_describe(client, SHELL_CLIENT_MS_MAX, &cluster, &error) != 0) {
        return shell_client_fail(call, &error);
    }
    /* The brokers are worth telling without them. */
    if (millrace_processors_list(client, PROCESSORS_MS_MAX, &processors, &error) != 0) {
        (void)fprintf(stderr, "processors are not shown: %s\n", error.why);
    }
    enum shell_exit exit = print_cluster(call, cluster, nodes_of(cluster, processors));
    millrace_processors_free(processors);
    millrace_cluster_free(cluster);
    return exit;
}

const struct shell_command shell_cluster_commands[] = {
    {.words = "cluster status",
     .operands = "",
     .summary = "show the nodes, their state and who controls",
     .notes =
         "A broker is up or fenced. A processor is up or, where it does not answer, unreachable;\n"
         "one that has died is shown until the others have noticed. Processors have no number.",
     .examples =
         (const char *const[]){"millrace cluster status", "millrace cluster status -o json", NULL},
     .run_client = status_run},
    {.words = NULL},
};
