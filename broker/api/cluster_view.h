/* What clients are told of the cluster: its id as text, the brokers that serve, who answers for the
 * controller. Shared by Metadata and DescribeCluster. */
#pragma once

#include "broker/api/dispatch.h"

#define CLUSTER_VIEW_ID_BYTES 23U

/* 22 characters of URL base64 and a NUL. */
void cluster_view_id_text(const struct wire_uuid *id, char out_text[CLUSTER_VIEW_ID_BYTES]);
/* The endpoint that clients of this listener shall use; NULL: the broker has none. */
const struct image_endpoint *cluster_view_endpoint(const struct image_broker *broker);
/* Is the broker there for clients? */
bool cluster_view_is_live(const struct image *image, int32_t broker_id);
/* A broker that takes admin requests; any live one does, since it hands them on. */
int32_t cluster_view_controller(const struct api_node *node, const struct image *image);
