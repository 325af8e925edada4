#include "processor/plan/plan_settings.h"

#include "processor/text/time_text.h"
#include "proto/sys/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH_US_DEFAULT INT64_C(100000)
#define EPOCH_US_MIN INT64_C(1000)
#define EPOCH_US_MAX INT64_C(3600000000)
#define US_PER_DAY INT64_C(86400000000)
#define COUNT_DEFAULT 4U
#define COUNT_MAX 256U /* Buckets: more partitions or tasks would stay empty. */

static const char *const names[] = {"job.name", "job.output_mode", "job.epoch",
                                    "job.route_partitions", "job.tasks"};
static const char *const modes[] = {"append", "update"};

void plan_settings_init(struct plan_settings *self)
{
    *self = (struct plan_settings){.output_mode = MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_APPEND,
                                   .epoch_us = EPOCH_US_DEFAULT,
                                   .route_partition_count = COUNT_DEFAULT,
                                   .task_count_max = COUNT_DEFAULT};
}

bool plan_settings_is_job_name(const char *name)
{
    size_t byte_count = strnlen(name, PLAN_SETTINGS_NAME_BYTES_MAX + 1);
    size_t good = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    bool is_dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    return byte_count > 0 && byte_count <= PLAN_SETTINGS_NAME_BYTES_MAX && good == byte_count &&
           !is_dots;
}

static enum status refuse(struct plan_fault *fault, const Millrace__Plan__Setting *setting,
                          const char *why, const char *fix)
{
    return plan_fault_raise(
        fault, &(struct plan_fault_text){.code = "BAD_SETTING",
                                         .position = setting->position,
                                         .what = plan_fault_print(fault, "%s cannot be '%s'",
                                                                  setting->name, setting->value),
                                         .why = why,
                                         .fix = fix});
}

static enum status apply_name(struct plan_settings *self, const Millrace__Plan__Setting *setting,
                              struct plan_fault *fault)
{
    if (setting->value[0] == '\0') {
        self->job_name[0] = '\0';
        return STATUS_OK;
    }
    if (!plan_settings_is_job_name(setting->value)) {
        return refuse(fault, setting,
                      "topics are named after the job: letters, digits, '.', '_' and '-', at most "
                      "128 of them",
                      "write SET job.name = 'my-job'");
    }
    (void)snprintf(self->job_name, sizeof self->job_name, "%s", setting->value);
    self->job_name_position = setting->position;
    return STATUS_OK;
}

static enum status apply_mode(struct plan_settings *self, const Millrace__Plan__Setting *setting,
                              struct plan_fault *fault)
{
    if (setting->value[0] == '\0' || strcmp(setting->value, "append") == 0) {
        self->output_mode = MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_APPEND;
    } else if (strcmp(setting->value, "update") == 0) {
        self->output_mode = MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_UPDATE;
    } else {
        return refuse(fault, setting,
                      "append gives a window once, when it is closed; update gives it whenever it "
                      "has changed",
                      plan_fault_choices(fault, setting->value, modes, 2));
    }
    return STATUS_OK;
}

static enum status apply_epoch(struct plan_settings *self, const Millrace__Plan__Setting *setting,
                               struct plan_fault *fault)
{
    struct interval interval = {.micros = EPOCH_US_DEFAULT};
    const char *why = "an epoch takes 1 ms to 1 hour";
    if (setting->value[0] != '\0' &&
        time_text_parse_interval(setting->value, strlen(setting->value), &interval) != STATUS_OK) {
        return refuse(fault, setting, why, "write SET job.epoch = '100 ms'");
    }
    bool is_short = interval.months == 0 && interval.days == 0;
    if (!is_short || interval.micros < EPOCH_US_MIN || interval.micros > EPOCH_US_MAX) {
        return refuse(fault, setting, why, "write SET job.epoch = '100 ms'");
    }
    self->epoch_us = interval.micros;
    return STATUS_OK;
}

static enum status apply_count(const Millrace__Plan__Setting *setting, struct plan_fault *fault,
                               uint32_t *target)
{
    if (setting->value[0] == '\0') {
        *target = COUNT_DEFAULT;
        return STATUS_OK;
    }
    char *end = NULL;
    errno = 0;
    long count = strtol(setting->value, &end, 10);
    if (errno != 0 || *end != '\0' || count < 1 || count > (long)COUNT_MAX) {
        return refuse(fault, setting, "it is a number from 1 to 256",
                      plan_fault_print(fault, "write SET %s = 4", setting->name));
    }
    *target = (uint32_t)count;
    return STATUS_OK;
}

enum status plan_settings_apply(struct plan_settings *self, const Millrace__Plan__Setting *setting,
                                struct plan_fault *fault)
{
    check(self->task_count_max > 0);
    if (strcmp(setting->name, "job.name") == 0) {
        return apply_name(self, setting, fault);
    }
    if (strcmp(setting->name, "job.output_mode") == 0) {
        return apply_mode(self, setting, fault);
    }
    if (strcmp(setting->name, "job.epoch") == 0) {
        return apply_epoch(self, setting, fault);
    }
    if (strcmp(setting->name, "job.route_partitions") == 0) {
        return apply_count(setting, fault, &self->route_partition_count);
    }
    if (strcmp(setting->name, "job.tasks") == 0) {
        return apply_count(setting, fault, &self->task_count_max);
    }
    return plan_fault_raise(
        fault, &(struct plan_fault_text){
                   .code = "UNKNOWN_SETTING",
                   .position = setting->position,
                   .what = plan_fault_print(fault, "there is no setting %s", setting->name),
                   .why = "settings say how the next job runs",
                   .fix = plan_fault_choices(fault, setting->name, names,
                                             sizeof names / sizeof names[0])});
}

void plan_settings_next_job(struct plan_settings *self)
{
    check(self->task_count_max > 0);
    self->job_name[0] = '\0';
    self->job_name_position = 0;
}
