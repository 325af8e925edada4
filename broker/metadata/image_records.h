/* One protobuf record held against a draft and applied to it: shared by commands and snapshots.
 *
 * Owner: the caller, for one call. Loop: any. */
#pragma once

#include "broker/metadata/image_draft.h"
#include "proto/internal/cluster_record.pb-c.h"

struct image_records_options {
    uint64_t index;   /* Of the entry; the epoch of brokers that register in it. */
    bool is_snapshot; /* States are given as they are, not as steps from an older one. */
};

/* STATUS_INVALID: it does not fit, `out_refusal` says why and the draft must be thrown away.
 * STATUS_UNSUPPORTED: a kind of record that this version does not know. */
MUST_USE enum status image_records_apply(struct image_draft *draft,
                                         const Millrace__Cluster__Record *record,
                                         const struct image_records_options *options,
                                         const char **out_refusal);
