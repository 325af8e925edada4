/* The network between the nodes: proto/sys/socket.h with virtual delays, cuts, resets and windows.
 *
 * A stream has two ends. Bytes leave an end in packets while the peer's window has room, travel
 * with the delay of the link, in order, and wait in the peer's receive buffer until its user reads,
 * in pieces split at random places; what is read gives the window back. So a peer that does not
 * read stops its writer. A cut link holds what would arrive over it; after the heal it arrives
 * later, or the stream is reset. A killed process leaves its peers a close or a reset; a host
 * without power leaves silence until it is up again and answers with resets, as late as a sender
 * whose pauses double would ask. Who only listens hears of it by keep-alive, and a writer with a
 * limit (socket_limit_silence) gives up before. Hosts are named "node-<id>"; "localhost" and
 * "127.0.0.1" are the node itself.
 *
 * Owner: the world. Loop: the world's thread. Limits: windows of at most 256 KiB per direction. */
#pragma once

#include "tests/sim/sim_node.h"

struct sim_weather {
    int64_t delay_ns_min;
    int64_t delay_ns_max;
    double spike_chance; /* Of a packet that takes up to spike_ns_max longer. */
    int64_t spike_ns_max;
};

extern const struct sim_weather sim_weather_fair; /* What a world begins with. */

struct sim_socket_service {
    struct socket_service service;
    struct sim_loop *loop; /* Borrowed. */
};

void sim_socket_service_init(struct sim_socket_service *self, struct sim_loop *loop);

struct sim_network *sim_network_new(struct sim_world *world);
void sim_network_free(struct sim_network *self);
void sim_network_on_death(struct sim_network *self, struct sim_node *node,
                          enum sim_node_death death);
void sim_network_on_host_up(struct sim_network *self, struct sim_node *node);

void sim_network_set_weather(struct sim_world *world, const struct sim_weather *weather);
/* Nothing arrives from `from` at `to` until healed. Cutting twice is one cut. */
void sim_network_cut_one_way(struct sim_node *from, struct sim_node *to);
void sim_network_cut(struct sim_node *one, struct sim_node *other);
void sim_network_heal(struct sim_node *one, struct sim_node *other);
void sim_network_heal_all(struct sim_world *world);
bool sim_network_is_cut(const struct sim_node *from, const struct sim_node *to);
/* All streams between the two are reset on both sides now. */
void sim_network_break_streams(struct sim_node *one, struct sim_node *other);
/* Streams that have an end on a living node. */
uint32_t sim_network_stream_count(const struct sim_world *world);
