/* The one writable stage of an image: what a command touches is copied once, the rest stays shared.
 *
 * A command is applied record by record to a draft; when all fit, image_draft_finish() builds the
 * next image from the touched nodes, else the draft is thrown away and nothing happened.
 *
 * Owner: image_delta or image_snapshot, for one call. Loop: any. Limits: those of one command. */
#pragma once

#include "broker/metadata/image_state.h"

struct image_draft;

struct image_draft *image_draft_new(const struct image *base);
void image_draft_free(struct image_draft *self); /* Accepts NULL. */
/* The next image, with one reference for the caller; the draft is freed. */
struct image *image_draft_finish(struct image_draft *self, uint64_t index);

/* The header of the next image: index, cluster id, producer ids, tokens. */
struct image *image_draft_head(struct image_draft *self);

/* NULL when there is none now. What is returned may be written until the draft is finished. */
struct image_state_topic *image_draft_topic(struct image_draft *self, const struct wire_uuid *id);
struct image_state_topic *image_draft_topic_by_name(struct image_draft *self, const char *name);
/* Neither its id nor its name is there now. */
void image_draft_add_topic(struct image_draft *self, const char *name, const struct wire_uuid *id,
                           bool is_internal);
/* True when a topic of this id was removed through this very draft. */
bool image_draft_was_removed(const struct image_draft *self, const struct wire_uuid *id);
void image_draft_remove_topic(struct image_draft *self, const struct wire_uuid *id); /* Is there. */

/* NULL when there is none now. */
const struct image_broker *image_draft_broker(const struct image_draft *self, int32_t id);
/* Adds or replaces; texts are copied. */
void image_draft_put_broker(struct image_draft *self, const struct image_broker *broker);
void image_draft_remove_broker(struct image_draft *self, int32_t id);

/* Made empty when it is not there; one that ends empty is not kept. */
struct image_state_resource *image_draft_resource(struct image_draft *self,
                                                  enum image_config_kind kind, const char *name);
/* Level 0 removes it. */
void image_draft_put_feature(struct image_draft *self, const char *name, int32_t level);
