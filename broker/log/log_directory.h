/* The directory of a partition as a whole: whose it is, making it, putting it out of the way.
 *
 * The topic's id in `partition.metadata` tells two lives of one name apart. A deleted log's
 * directory is renamed first, so that the name is free at once, and removed later.
 *
 * Owner: none. Loop: any thread; synchronous. */
#pragma once

#include "broker/log/log_name.h"
#include "proto/sys/disk.h"
#include "proto/wire/reader.h"

/* NOT_FOUND: no such directory, or none that says whose it is; `out_exists` tells which. */
MUST_USE enum status log_directory_owner(struct disk *disk, const char *path,
                                         struct wire_uuid *out_topic_id, bool *out_exists);
/* Makes it unless it is there, and writes whose it is. Not durable yet. */
MUST_USE enum status log_directory_make(struct disk *disk, const char *path,
                                        const struct wire_uuid *topic_id);
/* Renames `path` (of that topic and partition) to its `-delete` name, whose path goes to
 * `out_path`. What has that name already is removed first. OK when `path` is not there. */
MUST_USE enum status log_directory_put_away(struct disk *disk, const char *root, const char *path,
                                            const struct wire_uuid *topic_id,
                                            char out_path[DISK_PATH_BYTES_MAX]);
/* With the files in it. OK when it is not there. */
MUST_USE enum status log_directory_remove(struct disk *disk, const char *path);
