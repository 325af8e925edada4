#include "client/shell/dev_cluster.h"

#include "proto/sys/check.h"
#include "proto/sys/list.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLUSTER_MAGIC 0xde7c1057U

/* There is one cluster in a process, and a node knows only itself. */
static struct dev_cluster *cluster;

static void stop_next(struct dev_cluster *self);

static void print_ready(const struct dev_cluster *self)
{
    (void)fputs("ready bootstrap=", stdout);
    for (uint32_t i = 0; i < self->plan->broker_count; i++) {
        printf("%s" DEV_HOST ":%u", i == 0 ? "" : ",", self->plan->ports[i]);
    }
    (void)putchar('\n');
    (void)fflush(stdout);
}

static void tell_watcher(struct dev_cluster *self, struct dev_node *node)
{
    if (self->watcher != NULL) {
        self->watcher->on_change(self->watcher, node);
    }
}

static void node_on_serving(struct dev_node *node)
{
    struct dev_cluster *self = cluster;
    tell_watcher(self, node);
    if (self->phase != DEV_PHASE_STARTING) {
        (void)fprintf(stderr, "%s serves\n", node->name);
        return;
    }
    for (uint32_t i = 0; i < self->node_count; i++) {
        if (self->nodes[i].state != DEV_NODE_SERVING) {
            return;
        }
    }
    self->phase = DEV_PHASE_RUNNING;
    print_ready(self);
}

static void print_end(const struct dev_node *node, const struct host_process_end *end)
{
    if (end->signal_number != 0) {
        (void)fprintf(stderr, "%s died: signal %d\n", node->name, end->signal_number);
    } else if (end->exit_code != 0 || node->state_before != DEV_NODE_STOPPING) {
        (void)fprintf(stderr, "%s died: exit %d\n", node->name, end->exit_code);
    } else {
        (void)fprintf(stderr, "%s stopped\n", node->name);
    }
}

static void print_start_failure(struct dev_node *node)
{
    char *tail = dev_node_trace_tail(node);
    (void)fprintf(stderr,
                  "error NODE_FAILED: %s ended before it served; its last words are below; "
                  "see %s/trace.log for all of them\n%s",
                  node->name, node->directory, tail == NULL ? "" : tail);
    free(tail);
}

static void begin_stop(struct dev_cluster *self)
{
    if (self->phase != DEV_PHASE_STOPPING) {
        self->phase = DEV_PHASE_STOPPING;
        stop_next(self);
    }
}

static void node_on_ended(struct dev_node *node, const struct host_process_end *end)
{
    struct dev_cluster *self = cluster;
    print_end(node, end);
    tell_watcher(self, node);
    if (self->phase == DEV_PHASE_STOPPING) {
        /* One that broke off while it was told to leave in order is no controlled stop. */
        bool is_asked = node->state_before == DEV_NODE_KILLED || end->signal_number == SIGTERM;
        self->has_failed |= !is_asked && (end->signal_number != 0 || end->exit_code != 0);
        stop_next(self);
    } else if (self->phase == DEV_PHASE_STARTING) {
        print_start_failure(node);
        self->has_failed = true;
        begin_stop(self);
    }
}

static const struct dev_node_events node_events = {.on_serving = node_on_serving,
                                                   .on_ended = node_on_ended};

/* The last node that is still there goes next; brokers last of all, the first one at the end. */
static struct dev_node *last_node(struct dev_cluster *self)
{
    for (uint32_t i = self->node_count; i > 0; i--) {
        if (self->nodes[i - 1].state != DEV_NODE_DOWN) {
            return &self->nodes[i - 1];
        }
    }
    return NULL;
}

static void stop_next(struct dev_cluster *self)
{
    struct dev_node *node = last_node(self);
    timer_stop(&self->stop_deadline);
    if (node == NULL) {
        self->on_over(self);
        return;
    }
    dev_node_stop(node);
    timer_start_after(&self->stop_deadline, DEV_STOP_MS_MAX * CLOCK_NS_PER_MS);
}

static void stop_on_deadline(struct timer *timer)
{
    struct dev_cluster *self = container_of(timer, struct dev_cluster, stop_deadline);
    struct dev_node *node = last_node(self);
    check(node != NULL);
    (void)fprintf(stderr, "%s does not stop within %d s and is killed\n", node->name,
                  DEV_STOP_MS_MAX / 1000);
    self->has_failed = true;
    dev_node_kill(node);
}

/* The first signal ends all in order, the next one at once. */
static void signal_on_signal(struct host_signal *signal, int number)
{
    (void)signal;
    (void)number;
    struct dev_cluster *self = cluster;
    if (self->phase != DEV_PHASE_STOPPING) {
        begin_stop(self);
        return;
    }
    for (uint32_t i = 0; i < self->node_count; i++) {
        if (self->nodes[i].state != DEV_NODE_DOWN) {
            dev_node_kill(&self->nodes[i]);
        }
    }
}

enum status dev_cluster_init(struct dev_cluster *self, const struct dev_cluster_options *options)
{
    check(cluster == NULL);

    *self = (struct dev_cluster){.magic = CLUSTER_MAGIC,
                                 .loop = options->loop,
                                 .plan = options->plan,
                                 .directory = options->directory,
                                 .broker_settings = options->broker_settings,
                                 .broker_setting_count = options->broker_setting_count,
                                 .processor_settings = options->processor_settings,
                                 .processor_setting_count = options->processor_setting_count,
                                 .on_over = options->on_over};
    cluster = self;
    timer_init(&self->stop_deadline, &self->loop->loop.timers, stop_on_deadline);
    for (uint32_t i = 0; i < options->plan->broker_count + options->plan->processor_count; i++) {
        bool is_broker = i < options->plan->broker_count;
        TRY(dev_node_init(&self->nodes[i],
                          &(struct dev_node_options){
                              .kind = is_broker ? "broker" : "processor",
                              .number = is_broker ? i + 1 : i + 1 - options->plan->broker_count,
                              .program = is_broker ? options->program : options->processor_program,
                              .directory = options->directory,
                              .loop = options->loop,
                              .events = &node_events}));
        self->node_count += 1;
    }
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        TRY(host_signal_open(&self->signals[i], self->loop, numbers[i], signal_on_signal));
    }
    return STATUS_OK;
}

void dev_cluster_done(struct dev_cluster *self)
{
    if (self->magic != CLUSTER_MAGIC) {
        return;
    }
    for (uint32_t i = 0; i < self->node_count; i++) {
        dev_node_done(&self->nodes[i]);
    }
    for (size_t i = 0; i < sizeof self->signals / sizeof self->signals[0]; i++) {
        host_signal_close(&self->signals[i]);
    }
    timer_done(&self->stop_deadline);
    self->magic = 0;
    cluster = NULL;
}

enum status dev_cluster_start_node(struct dev_cluster *self, struct dev_node *node)
{
    char *config = malloc(DEV_CONFIG_BYTES_MAX);
    if (config == NULL) {
        return STATUS_NO_MEMORY;
    }
    bool is_broker = node < self->nodes + self->plan->broker_count;
    enum status status =
        is_broker ? dev_plan_broker_config(self->plan, node->number, self->broker_settings,
                                           self->broker_setting_count, config)
                  : dev_plan_processor_config(self->plan, self->processor_settings,
                                              self->processor_setting_count, config);
    if (status == STATUS_OK) {
        status = dev_node_start(node, config);
    }
    free(config);
    return status;
}

void dev_cluster_start(struct dev_cluster *self)
{
    check(self->magic == CLUSTER_MAGIC);
    for (uint32_t i = 0; i < self->node_count; i++) {
        enum status status = dev_cluster_start_node(self, &self->nodes[i]);
        if (status != STATUS_OK) {
            (void)fprintf(stderr,
                          "error NODE_FAILED: %s cannot be started; %s; is %s there and %s/%s "
                          "writable?\n",
                          self->nodes[i].name, status_text(status), self->nodes[i].program,
                          self->directory, self->nodes[i].name);
            self->has_failed = true;
            begin_stop(self);
            return;
        }
    }
}

struct dev_node *dev_cluster_find(struct dev_cluster *self, const char *name)
{
    for (uint32_t i = 0; i < self->node_count; i++) {
        if (strcmp(self->nodes[i].name, name) == 0) {
            return &self->nodes[i];
        }
    }
    return NULL;
}
