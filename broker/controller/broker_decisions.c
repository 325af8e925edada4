#include "broker/controller/broker_decisions.h"

#include "broker/controller/leader_election.h"
#include "proto/sys/check.h"

#include <string.h>

/* NULL when it is null, too long, has a NUL in it, or there is no memory. */
static const char *copy_text(struct decision *decision, struct wire_text text)
{
    if (text.byte_count < 0 || (uint32_t)text.byte_count > BROKER_DECISIONS_TEXT_BYTES_MAX) {
        return NULL;
    }
    for (int32_t i = 0; i < text.byte_count; i++) {
        if (text.bytes[i] == '\0') {
            return NULL;
        }
    }
    return arena_copy_text(decision->arena, text.bytes, (size_t)text.byte_count);
}

static bool register_describe(struct decision *decision, struct broker_decisions_register *request,
                              struct image_broker *out_broker)
{
    *out_broker = (struct image_broker){
        .id = request->broker_id,
        .incarnation_id = request->incarnation_id,
        .directory_id = request->directory_id,
        .is_fenced = true,
        .is_voter = request->is_voter,
        .endpoint_count = request->endpoint_count,
    };
    if (request->endpoint_count == 0 || request->endpoint_count > IMAGE_ENDPOINTS_MAX) {
        decision_refuse(&request->error, DECISION_REGISTRATION,
                        "a broker registers with 1 to %u endpoints", IMAGE_ENDPOINTS_MAX);
        return false;
    }
    for (uint32_t i = 0; i < request->endpoint_count; i++) {
        const struct broker_decisions_endpoint *endpoint = &request->endpoints[i];
        out_broker->endpoints[i] =
            (struct image_endpoint){.listener = copy_text(decision, endpoint->listener),
                                    .host = copy_text(decision, endpoint->host),
                                    .port = endpoint->port,
                                    .security = copy_text(decision, endpoint->security)};
        if (out_broker->endpoints[i].listener == NULL || out_broker->endpoints[i].host == NULL ||
            out_broker->endpoints[i].security == NULL) {
            decision_refuse(&request->error, DECISION_REGISTRATION,
                            "an endpoint has a listener, a host and a protocol of at most %u bytes",
                            BROKER_DECISIONS_TEXT_BYTES_MAX);
            return false;
        }
    }
    if (request->rack.byte_count > 0) {
        out_broker->rack = copy_text(decision, request->rack);
        if (out_broker->rack == NULL) {
            decision_refuse(&request->error, DECISION_REGISTRATION, "a rack has at most %u bytes",
                            BROKER_DECISIONS_TEXT_BYTES_MAX);
            return false;
        }
    }
    return true;
}

static bool register_check(const struct decision *decision,
                           struct broker_decisions_register *request,
                           const struct image_broker *old)
{
    const struct wire_uuid *cluster_id = image_cluster_id(decision->image);
    if (request->broker_id < 0) {
        decision_refuse(&request->error, DECISION_REGISTRATION, "a broker id is not negative");
        return false;
    }
    if (wire_uuid_is_zero(&request->incarnation_id) || wire_uuid_is_zero(&request->directory_id)) {
        decision_refuse(&request->error, DECISION_REGISTRATION,
                        "a broker registers with the ids of its process and of its data directory");
        return false;
    }
    if (!wire_uuid_is_zero(&request->cluster_id) &&
        !wire_uuid_equals(&request->cluster_id, cluster_id)) {
        decision_refuse(&request->error, DECISION_OTHER_CLUSTER,
                        "broker %d has data of another cluster; give it its own data directory",
                        request->broker_id);
        return false;
    }
    /* A process holds its directory's lock: who comes with the same one is its successor. But one
     * that speaks still is not dead, and what came with its directory has a copy. */
    bool is_successor = old != NULL && !request->is_session_heard &&
                        wire_uuid_equals(&old->directory_id, &request->directory_id);
    if (old != NULL && request->is_session_live && !old->is_fenced && !is_successor &&
        !wire_uuid_equals(&old->incarnation_id, &request->incarnation_id)) {
        decision_refuse(&request->error, DECISION_DUPLICATE_BROKER,
                        "another process is broker %d and lives; stop it or change node.id",
                        request->broker_id);
        return false;
    }
    return true;
}

/* Takes the earlier incarnation out of everything it was part of. False when that did not fit: the
 * new one must not be there before, or it could be elected with less than the old one had. */
static bool register_settle(struct decision *decision,
                            const struct broker_decisions_register *request,
                            const struct image_broker *old)
{
    struct leader_election_view view;
    leader_election_view_init(&view, decision->image);
    view.fenced_id = old->id;
    if (!wire_uuid_equals(&old->directory_id, &request->directory_id)) {
        view.wiped_id = old->id;
    }
    if (request->previous_epoch != old->epoch) {
        view.unclean_id = old->id;
    }
    if (leader_election_decide(decision, &view)) {
        return true;
    }
    struct cluster_writer_change change = {.broker_id = old->id,
                                           .broker_epoch = old->epoch,
                                           .is_fenced = true,
                                           .is_shutting_down = old->is_shutting_down};
    cluster_writer_change_broker(decision->writer, &change);
    return false;
}

void broker_decisions_register(struct decision *decision, struct broker_decisions_register *request)
{
    const struct image_broker *old = image_broker_by_id(decision->image, request->broker_id);
    struct image_broker broker;
    request->error = (struct decision_error){.reason = DECISION_NONE};
    request->epoch = 0;
    request->is_partial = false;
    if (!register_check(decision, request, old) || !register_describe(decision, request, &broker)) {
        return;
    }
    if (old != NULL && wire_uuid_equals(&old->incarnation_id, &request->incarnation_id)) {
        request->epoch = old->epoch; /* It did not see the answer and asks again. */
        return;
    }
    if (old != NULL && !register_settle(decision, request, old)) {
        request->is_partial = true;
        return;
    }
    cluster_writer_register(decision->writer, &broker);
}

static bool heartbeat_check(const struct decision *decision,
                            struct broker_decisions_heartbeat *request,
                            const struct image_broker **out_broker)
{
    const struct image_broker *broker = image_broker_by_id(decision->image, request->broker_id);
    request->error = (struct decision_error){.reason = DECISION_NONE};
    request->is_caught_up = false;
    request->is_fenced = true;
    request->should_shut_down = false;
    request->is_partial = false;
    if (broker == NULL) {
        decision_refuse(&request->error, DECISION_UNKNOWN_BROKER,
                        "broker %d is not registered; it registers again", request->broker_id);
        return false;
    }
    if (broker->epoch != request->broker_epoch) {
        decision_refuse(&request->error, DECISION_STALE_BROKER,
                        "broker %d has registered again since", request->broker_id);
        return false;
    }
    *out_broker = broker;
    return true;
}

/* False when repairs must follow. */
static bool change_broker(struct decision *decision, const struct image_broker *broker,
                          bool is_fenced, bool is_shutting_down)
{
    struct cluster_writer_change change = {.broker_id = broker->id,
                                           .broker_epoch = broker->epoch,
                                           .is_fenced = is_fenced,
                                           .is_shutting_down = is_shutting_down};
    struct leader_election_view view;
    leader_election_view_init(&view, decision->image);
    cluster_writer_change_broker(decision->writer, &change);
    if (is_fenced) {
        view.fenced_id = broker->id;
    } else if (is_shutting_down) {
        view.leaving_id = broker->id;
    } else {
        view.unfenced_id = broker->id;
    }
    return leader_election_decide(decision, &view);
}

static void heartbeat_shut_down(struct decision *decision,
                                struct broker_decisions_heartbeat *request,
                                const struct image_broker *broker)
{
    if (broker->is_fenced) {
        request->should_shut_down = true;
        return;
    }
    request->is_fenced = false;
    if (!broker->is_shutting_down) {
        request->is_partial = !change_broker(decision, broker, false, true);
        return;
    }
    if (request->is_shutdown_known) {
        request->is_partial = !change_broker(decision, broker, true, true);
        request->is_fenced = true;
        request->should_shut_down = true;
    }
}

void broker_decisions_heartbeat(struct decision *decision,
                                struct broker_decisions_heartbeat *request)
{
    const struct image_broker *broker = NULL;
    if (!heartbeat_check(decision, request, &broker)) {
        return;
    }
    request->is_caught_up = request->applied_index >= (uint64_t)broker->epoch;
    if (request->wants_shut_down) {
        heartbeat_shut_down(decision, request, broker);
        return;
    }
    request->is_fenced = broker->is_fenced;
    if (broker->is_fenced && !request->wants_fence && request->is_caught_up &&
        !broker->is_shutting_down) {
        request->is_partial = !change_broker(decision, broker, false, false);
        request->is_fenced = false;
    } else if (!broker->is_fenced && request->wants_fence) {
        request->is_partial = !change_broker(decision, broker, true, broker->is_shutting_down);
        request->is_fenced = true;
    }
}

bool broker_decisions_fence(struct decision *decision, int32_t broker_id, int64_t broker_epoch)
{
    const struct image_broker *broker = image_broker_by_id(decision->image, broker_id);
    if (broker == NULL || broker->is_fenced ||
        (broker_epoch != -1 && broker->epoch != broker_epoch)) {
        return true;
    }
    return change_broker(decision, broker, true, broker->is_shutting_down);
}
