/* What a local cluster is made of, and what of it a second run on the same folder must find again.
 *
 * `dev.json` in the folder keeps the numbers of nodes and their ports, because the nodes have
 * written both into their data. `dev.control` says where the running `millrace dev` listens for
 * `dev start|stop|kill`, with a secret, since any user of the machine can reach a loopback port.
 *
 *   dev.json      {"format":1,"brokers":3,"ports":[9092,9093,9094],"processors":2}
 *   dev.control   {"port":40123,"secret":"32 hex digits"}
 *
 * Processors keep nothing, so their number may be another one each time, and their ports are any.
 *
 * Owner: dev_cluster, or the caller of it. Loop: none. Limits: DEV_BROKERS_MAX,
 * DEV_PROCESSORS_MAX. */
#pragma once

#include "proto/sys/disk.h"

#include <stdbool.h>
#include <stdint.h>

#define DEV_BROKERS_MAX 16U
#define DEV_PROCESSORS_MAX 16U
#define DEV_VOTERS_MAX 3U
#define DEV_HOST "127.0.0.1"
#define DEV_SECRET_BYTES 33U
#define DEV_CONFIG_BYTES_MAX 16384U

struct dev_plan {
    uint32_t broker_count;
    uint32_t processor_count;
    uint16_t ports[DEV_BROKERS_MAX];
};

struct dev_control_point {
    uint16_t port;
    char secret[DEV_SECRET_BYTES];
};

/* Also the folders above it. */
MUST_USE enum status dev_plan_make_directory(struct disk *disk, const char *path);

/* NOT_FOUND: a new folder. CORRUPT: it is no plan. */
MUST_USE enum status dev_plan_load(struct disk *disk, const char *directory,
                                   struct dev_plan *out_plan);
MUST_USE enum status dev_plan_save(struct disk *disk, const char *directory,
                                   const struct dev_plan *plan);

/* NOT_FOUND: nothing runs there. CORRUPT: as above. */
MUST_USE enum status dev_plan_load_control(struct disk *disk, const char *directory,
                                           struct dev_control_point *out_point);
MUST_USE enum status dev_plan_save_control(struct disk *disk, const char *directory,
                                           const struct dev_control_point *point);
void dev_plan_remove_control(struct disk *disk, const char *directory);

/* How many of so many brokers vote in the metadata quorum. */
uint32_t dev_plan_voter_count(uint32_t broker_count);
/* The settings file of broker `number`; `settings` are KEY=VALUE, which beat ours. FULL: they do
 * not fit `text`, which holds DEV_CONFIG_BYTES_MAX. */
MUST_USE enum status dev_plan_broker_config(const struct dev_plan *plan, uint32_t number,
                                            const char *const *settings, uint32_t setting_count,
                                            char *text);
/* The same of any processor. */
MUST_USE enum status dev_plan_processor_config(const struct dev_plan *plan,
                                               const char *const *settings, uint32_t setting_count,
                                               char *text);
