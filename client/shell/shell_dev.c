#include "client/shell/shell_dev.h"

#include "client/shell/dev_call.h"
#include "client/shell/dev_control.h"
#include "client/shell/shell_error.h"
#include "client/shell/shell_options.h"
#include "client/shell/shell_output.h"
#include "proto/sys/check.h"
#include "proto/sys/host/host_disk.h"
#include "proto/sys/host/host_entropy.h"
#include "proto/sys/host/host_loop.h"
#include "proto/sys/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_DIRECTORY "millrace-dev"
#define DEFAULT_PORT 9092
/* Below the ports that the system gives to outgoing connections. */
#define FREE_PORT_FIRST 20000U
#define FREE_PORT_COUNT 10000U
#define FREE_PORT_TRIES 100U
#define PROCESSORS_DEFAULT 2

struct session {
    const struct shell_call *call;
    struct host_disk disk;
    struct host_loop loop;
    struct dev_plan plan;
    const char *directory;
    char program[DISK_PATH_BYTES_MAX];
    char processor_program[DISK_PATH_BYTES_MAX];
    const char *broker_settings[DEV_SETTINGS_MAX];
    uint32_t broker_setting_count;
    const char *processor_settings[DEV_SETTINGS_MAX];
    uint32_t processor_setting_count;
    struct dev_cluster cluster;
    struct dev_control control;
};

static const char *directory_of(const struct shell_call *call)
{
    const char *directory = shell_options_text(call, "--dir");
    return directory == NULL ? DEFAULT_DIRECTORY : directory;
}

static enum shell_exit fail_directory(const struct session *self, enum status status)
{
    return shell_fail(self->call,
                      (struct shell_cause){"DIRECTORY", status_text(status),
                                           "name a folder that can be written with --dir"},
                      "the folder '%.300s' cannot be used", self->directory);
}

/* The programs lie beside ours, where they are built and where they are installed. */
static enum shell_exit find_program(const struct session *self, const char *name, char *program)
{
    char own[DISK_PATH_BYTES_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    own[length < 0 ? 0 : length] = '\0';
    char *slash = strrchr(own, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    int written = snprintf(program, DISK_PATH_BYTES_MAX, "%s/%s", own, name);
    if (written > 0 && (size_t)written < DISK_PATH_BYTES_MAX && access(program, X_OK) == 0) {
        return SHELL_DONE;
    }
    return shell_fail(self->call,
                      (struct shell_cause){"NO_PROGRAM", "millrace starts it from its own folder",
                                           "build it (ninja -C build) or install both together"},
                      "%s is not in %.300s", name, own);
}

/* The part behind "kind.", where that is what `pair` begins with; else NULL. */
static const char *setting_of(const char *pair, const char *kind)
{
    size_t prefix = strlen(kind);
    const char *equals = strchr(pair, '=');
    bool is_one = strncmp(pair, kind, prefix) == 0 && equals != NULL && equals > pair + prefix &&
                  strchr(pair, '\n') == NULL;
    return is_one ? pair + prefix : NULL;
}

static enum shell_exit read_settings(struct session *self)
{
    const char *pair = NULL;
    for (uint32_t i = 0; (pair = shell_options_text_at(self->call, "--set", i)) != NULL; i++) {
        const char *broker = setting_of(pair, "broker.");
        const char *processor = setting_of(pair, "processor.");
        if (broker == NULL && processor == NULL) {
            return shell_fail(self->call,
                              (struct shell_cause){"USAGE",
                                                   "it is broker.KEY=VALUE or processor.KEY=VALUE",
                                                   "for example --set broker.num.partitions=4"},
                              "--set '%.200s' names no setting", pair);
        }
        if (i == DEV_SETTINGS_MAX) {
            return shell_fail(self->call,
                              (struct shell_cause){"USAGE", "there is a limit", "give fewer"},
                              "more than %u settings are given", DEV_SETTINGS_MAX);
        }
        if (broker != NULL) {
            self->broker_settings[self->broker_setting_count] = broker;
            self->broker_setting_count += 1;
        } else {
            self->processor_settings[self->processor_setting_count] = processor;
            self->processor_setting_count += 1;
        }
    }
    return SHELL_DONE;
}

static void ignore_accept(void *context, struct socket_token token)
{
    struct session *self = context;
    socket_token_drop(self->loop.loop.sockets, token);
}

static bool is_free(struct session *self, uint16_t port)
{
    const struct address address = {.host = DEV_HOST, .port = port};
    struct socket_service *sockets = self->loop.loop.sockets;
    struct socket_listener *listener = NULL;
    if (socket_listen(sockets, &address, ignore_accept, self, &listener) != STATUS_OK) {
        return false;
    }
    socket_listener_close(sockets, listener);
    return true;
}

static uint32_t free_in_a_row(struct session *self, uint16_t first)
{
    uint32_t count = 0;
    while (count < self->plan.broker_count && is_free(self, (uint16_t)(first + count))) {
        count += 1;
    }
    return count;
}

static void plan_ports(struct session *self, uint16_t first)
{
    for (uint32_t i = 0; i < self->plan.broker_count; i++) {
        self->plan.ports[i] = (uint16_t)(first + i);
    }
}

static enum shell_exit find_ports(struct session *self)
{
    for (uint32_t i = 0; i < FREE_PORT_TRIES; i++) {
        uint16_t first = (uint16_t)(FREE_PORT_FIRST + host_entropy_seed() % FREE_PORT_COUNT);
        if (free_in_a_row(self, first) == self->plan.broker_count) {
            plan_ports(self, first);
            return SHELL_DONE;
        }
    }
    return shell_fail(self->call,
                      (struct shell_cause){"NO_PORT", "others hold them",
                                           "name the first one with --port, or run fewer brokers"},
                      "no %u free ports in a row were found", self->plan.broker_count);
}

static enum shell_exit check_ports(struct session *self)
{
    for (uint32_t i = 0; i < self->plan.broker_count; i++) {
        if (!is_free(self, self->plan.ports[i])) {
            return shell_fail(self->call,
                              (struct shell_cause){
                                  "PORT_TAKEN", "another program listens there, perhaps a cluster",
                                  "end that one, or use another --dir with --port 0"},
                              "port %u for broker-%u is not free", self->plan.ports[i], i + 1);
        }
    }
    return SHELL_DONE;
}

/* What is asked for must be what the folder has: the data know the brokers and their ports. */
static enum shell_exit check_kept(const struct session *self, int64_t brokers, int64_t port)
{
    const struct shell_call *call = self->call;
    if (shell_options_has(call, "--brokers") && brokers != self->plan.broker_count) {
        return shell_fail(call,
                          (struct shell_cause){"KEPT", "its data belong to that many",
                                               "leave --brokers out, or use another --dir"},
                          "the cluster in '%.300s' has %u brokers, not %lld", self->directory,
                          self->plan.broker_count, (long long)brokers);
    }
    if (shell_options_has(call, "--port") && port != 0 && port != self->plan.ports[0]) {
        return shell_fail(call,
                          (struct shell_cause){"KEPT", "its data name that address",
                                               "leave --port out, or use another --dir"},
                          "the cluster in '%.300s' has port %u, not %lld", self->directory,
                          self->plan.ports[0], (long long)port);
    }
    return SHELL_DONE;
}

static enum shell_exit make_plan(struct session *self)
{
    const struct shell_call *call = self->call;
    int64_t brokers = 0;
    int64_t port = 0;
    enum shell_exit exit = shell_options_number(
        call, "--brokers", (struct shell_range){3, 1, DEV_BROKERS_MAX}, &brokers);
    if (exit == SHELL_DONE) {
        exit = shell_options_number(
            call, "--port", (struct shell_range){DEFAULT_PORT, 0, UINT16_MAX - DEV_BROKERS_MAX},
            &port);
    }
    if (exit != SHELL_DONE) {
        return exit;
    }
    int64_t processors = 0;
    exit = shell_options_number(call, "--processors",
                                (struct shell_range){PROCESSORS_DEFAULT, 0, DEV_PROCESSORS_MAX},
                                &processors);
    if (exit != SHELL_DONE) {
        return exit;
    }
    enum status status = dev_plan_load(&self->disk.disk, self->directory, &self->plan);
    if (status == STATUS_OK) {
        if (shell_options_has(call, "--processors")) {
            self->plan.processor_count = (uint32_t)processors; /* They keep nothing. */
        }
        exit = check_kept(self, brokers, port);
        return exit == SHELL_DONE ? check_ports(self) : exit;
    }
    if (status != STATUS_NOT_FOUND) {
        return fail_directory(self, status);
    }
    self->plan.broker_count = (uint32_t)brokers;
    self->plan.processor_count = (uint32_t)processors;
    if (port == 0) {
        return find_ports(self);
    }
    plan_ports(self, (uint16_t)port);
    return check_ports(self);
}

static enum shell_exit check_alone(struct session *self)
{
    char answer[DEV_ANSWER_BYTES_MAX];
    if (dev_call_make(&self->disk.disk, self->directory, "ping", "-", answer) != STATUS_OK) {
        return SHELL_DONE;
    }
    return shell_fail(self->call,
                      (struct shell_cause){"RUNNING", "one folder is one cluster",
                                           "use it as it runs, end it, or name another --dir"},
                      "a cluster already runs on '%.300s'", self->directory);
}

static void control_on_closed(struct dev_control *control)
{
    struct session *self = container_of(control, struct session, control);
    host_loop_stop(&self->loop);
}

static void cluster_on_over(struct dev_cluster *cluster)
{
    struct session *self = container_of(cluster, struct session, cluster);
    dev_control_close(&self->control, control_on_closed);
}

static enum shell_exit run_cluster(struct session *self)
{
    enum status status = dev_plan_make_directory(&self->disk.disk, self->directory);
    if (status == STATUS_OK) {
        status = dev_plan_save(&self->disk.disk, self->directory, &self->plan);
    }
    if (status == STATUS_OK) {
        status = dev_cluster_init(
            &self->cluster,
            &(struct dev_cluster_options){.loop = &self->loop,
                                          .plan = &self->plan,
                                          .directory = self->directory,
                                          .program = self->program,
                                          .broker_settings = self->broker_settings,
                                          .broker_setting_count = self->broker_setting_count,
                                          .processor_program = self->processor_program,
                                          .processor_settings = self->processor_settings,
                                          .processor_setting_count = self->processor_setting_count,
                                          .on_over = cluster_on_over});
    }
    if (status == STATUS_OK) {
        status = dev_control_open(&self->control, &self->cluster);
    }
    if (status != STATUS_OK) {
        dev_cluster_done(&self->cluster);
        return fail_directory(self, status);
    }
    (void)fprintf(stderr, "%u broker%s, %u processor%s in %s\n", self->plan.broker_count,
                  self->plan.broker_count == 1 ? "" : "s", self->plan.processor_count,
                  self->plan.processor_count == 1 ? "" : "s", self->directory);
    dev_cluster_start(&self->cluster);
    host_loop_run(&self->loop);
    bool has_failed = self->cluster.has_failed;
    dev_cluster_done(&self->cluster);
    return has_failed ? SHELL_FAILED : SHELL_DONE;
}

static enum shell_exit run_in_loop(struct session *self)
{
    enum shell_exit exit = read_settings(self);
    if (exit == SHELL_DONE) {
        exit = find_program(self, "millrace-broker", self->program);
    }
    if (exit == SHELL_DONE) {
        exit = check_alone(self);
    }
    if (exit == SHELL_DONE) {
        exit = make_plan(self);
    }
    if (exit == SHELL_DONE && self->plan.processor_count > 0) {
        exit = find_program(self, "millrace-processor", self->processor_program);
    }
    return exit == SHELL_DONE ? run_cluster(self) : exit;
}

static enum shell_exit dev_run(struct shell_call *call)
{
    struct session *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return shell_fail(call,
                          (struct shell_cause){"NO_MEMORY", "the system gives none",
                                               "free "
                                               "some"},
                          "there is no memory to begin with");
    }
    self->call = call;
    self->directory = directory_of(call);
    host_disk_init(&self->disk, &(struct host_disk_options){.trace = NULL});
    enum shell_exit exit = SHELL_FAILED;
    if (host_loop_init(&self->loop, &(struct host_loop_options){
                                        .name = "dev", .disk = &self->disk.disk}) == STATUS_OK) {
        exit = run_in_loop(self);
        host_loop_done(&self->loop);
    } else {
        exit = shell_fail(call,
                          (struct shell_cause){"NO_MEMORY", "the system gives no more",
                                               "end other programs, or raise ulimit -n"},
                          "no event loop can be made");
    }
    free(self);
    return exit;
}

static enum shell_exit print_done(const struct shell_call *call, const char *node,
                                  const char *state)
{
    if (call->format == SHELL_JSON) {
        return shell_output_json(call, json_pack("{s:s,s:s}", "node", node, "state", state));
    }
    printf("%s %s\n", node, state);
    return SHELL_DONE;
}

/* The answer is `error CODE: what; why; fix`, as the error that it becomes here. */
static enum shell_exit fail_as_answered(const struct shell_call *call, char *answer)
{
    char *parts[4] = {answer, NULL, NULL, NULL};
    static const char *const ends[] = {": ", "; ", "; "};
    if (strncmp(answer, "error ", 6) == 0) {
        parts[0] = answer + 6;
    }
    for (size_t i = 0; i + 1 < 4; i++) {
        char *end = strstr(parts[i], ends[i]);
        if (end == NULL) {
            return shell_fail(call,
                              (struct shell_cause){"BAD_ANSWER", "another version answers",
                                                   "use the millrace that runs the cluster"},
                              "the answer is not understood");
        }
        *end = '\0';
        parts[i + 1] = end + 2;
    }
    return shell_fail(call, (struct shell_cause){parts[0], parts[2], parts[3]}, "%s", parts[1]);
}

static enum shell_exit fail_call(const struct shell_call *call, enum status status)
{
    const char *directory = directory_of(call);
    if (status == STATUS_TIMEOUT) {
        return shell_fail(call,
                          (struct shell_cause){"TIMEOUT", "the node takes too long",
                                               "see its trace.log; millrace dev kill ends it"},
                          "no answer came in %d s", DEV_CALL_MS_MAX / 1000);
    }
    return shell_fail(call,
                      (struct shell_cause){"NOT_RUNNING", "no `millrace dev` answers for it",
                                           "name the folder of a running one with --dir"},
                      "no cluster runs on '%.300s'", directory);
}

static enum shell_exit call_node(struct shell_call *call, const char *verb, const char *state)
{
    const char *node = call->operands[0];
    struct host_disk disk;
    host_disk_init(&disk, &(struct host_disk_options){.trace = NULL});
    if (strpbrk(node, " \t\n") != NULL || node[0] == '\0') {
        return shell_fail(call,
                          (struct shell_cause){"USAGE",
                                               "nodes are called broker-1, processor-1, ...",
                                               "name one of them"},
                          "'%.60s' is not a node", node);
    }
    char answer[DEV_ANSWER_BYTES_MAX];
    enum status status = dev_call_make(&disk.disk, directory_of(call), verb, node, answer);
    if (status != STATUS_OK) {
        return fail_call(call, status);
    }
    return strcmp(answer, "ok") == 0 ? print_done(call, node, state)
                                     : fail_as_answered(call, answer);
}

static enum shell_exit start_run(struct shell_call *call)
{
    return call_node(call, "start", "serves");
}

static enum shell_exit stop_run(struct shell_call *call)
{
    return call_node(call, "stop", "stopped");
}

static enum shell_exit kill_run(struct shell_call *call)
{
    return call_node(call, "kill", "killed");
}

static const struct shell_option dev_options[] = {
    {"--brokers", "N", "how many brokers; 3 of them vote, or 1 of fewer than 3; 3", false},
    {"--processors", "N", "how many processors; 2", false},
    {"--port", "P", "port of broker-1, the next ones follow; 9092; 0: free ones", false},
    {"--dir", "DIR", "folder of the cluster; " DEFAULT_DIRECTORY, false},
    {"--set", "broker.KEY=V", "a setting of every broker, or processor.KEY=V of every processor",
     true},
    {NULL, NULL, NULL, false},
};

static const struct shell_option node_options[] = {
    {"--dir", "DIR", "folder of the running cluster; " DEFAULT_DIRECTORY, false},
    {NULL, NULL, NULL, false},
};

#define EXAMPLES(...) ((const char *const[]){__VA_ARGS__, NULL})

const struct shell_command shell_dev_commands[] = {
    {.words = "dev",
     .operands = "",
     .summary = "run a local cluster of real processes, until Ctrl-C",
     .notes = "Prints `ready bootstrap=HOST:PORT,...` when clients can produce and jobs can be\n"
              "submitted. Each node has a folder in DIR: broker-1/, processor-1/ with pid,\n"
              "trace.log, config.properties and data/.\n"
              "A second run on the same DIR finds its data and keeps its ports. A node that dies\n"
              "is told and not started again. Topics that a client names are created.",
     .options = dev_options,
     .examples = EXAMPLES("millrace dev", "millrace dev --brokers 1 --port 0 --dir cluster",
                          "millrace dev --brokers 1 --set broker.num.partitions=4"),
     .run = dev_run},
    {.words = "dev start",
     .operands = "NODE",
     .operand_count = 1,
     .summary = "start a node that is down; returns when it serves",
     .options = node_options,
     .examples = EXAMPLES("millrace dev start broker-1 --dir cluster"),
     .run = start_run},
    {.words = "dev stop",
     .operands = "NODE",
     .operand_count = 1,
     .summary = "stop a node in order; returns when it has left",
     .options = node_options,
     .examples = EXAMPLES("millrace dev stop broker-1 --dir cluster"),
     .run = stop_run},
    {.words = "dev kill",
     .operands = "NODE",
     .operand_count = 1,
     .summary = "kill a node as a crash would (SIGKILL); returns when it is gone",
     .options = node_options,
     .examples = EXAMPLES("millrace dev kill broker-1 --dir cluster"),
     .run = kill_run},
    {.words = NULL},
};
