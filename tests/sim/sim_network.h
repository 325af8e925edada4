/* The inside of the simulated network: streams, their two ends, packets.
 *
 * Owner: the world. Loop: the world's thread. Limits: none of its own. */
#pragma once

#include "tests/sim/sim_socket.h"

enum sim_packet_kind {
    SIM_PACKET_HELLO, /* Connect. */
    SIM_PACKET_WELCOME,
    SIM_PACKET_DATA,
    SIM_PACKET_CREDIT, /* The reader consumed bytes. */
    SIM_PACKET_PROBE,  /* Is there still no room? */
    SIM_PACKET_END,    /* Nothing more will come. */
    SIM_PACKET_RESET,
};

struct sim_packet {
    enum sim_packet_kind kind;
    struct sim_end *to;
    uint64_t number;   /* On its way, from 0. */
    size_t byte_count; /* Of data; for credit the bytes consumed. */
    struct list link;  /* Among the held or the early ones of its way. */
    uint8_t bytes[];
};

struct sim_end {
    struct sim_stream *stream;
    struct sim_end *peer;
    struct sim_node *node;
    uint32_t incarnation;
    uint16_t port;
    struct socket *socket; /* The user's; NULL before adoption and after on_closed. */
    struct sim_loop *loop; /* Of the user. */
    bool is_gone;          /* No user, now and for ever. */
    bool is_connecting;
    bool has_connect_result;
    enum status connect_result;
    bool is_reading;
    bool is_closing;
    bool is_turn_planned;
    bool has_ended;    /* The peer sent its end. */
    bool is_broken;    /* Reset, or given up. */
    enum status why;   /* It broke. */
    uint8_t *received; /* Owned; bytes that wait for the reader. */
    size_t received_start;
    size_t received_count;
    size_t received_room;
    struct list writes;   /* Of the user; in order. */
    size_t write_done;    /* Bytes of the first write that have left. */
    struct list finished; /* Writes whose on_done is due. */
    size_t window;        /* Bytes that may be under way to, or unread at, the peer. */
    size_t unconsumed;
    int64_t arrival_ns_last; /* Of packets to the peer. */
    uint64_t number_sent;    /* Packets. */
    struct list held;        /* Packets to the peer that wait for a heal. */
    uint64_t number_next;    /* The packet that is taken next. */
    struct list early;       /* Packets from the peer that overtook held ones. */
    uint32_t tiny_reads_left;
    bool is_split;   /* Reads are cut at random places. */
    bool owes_reset; /* Answers with a reset when its host is up again. */
    bool is_reset_under_way;
    int64_t lost_ns; /* When the first packet met a host that is down. */
    /* Of bytes that wait for the peer's host to take them: */
    uint32_t under_way;  /* Packets of data. */
    int64_t progress_ns; /* When it last took some, or they began to wait. */
    int64_t limit_ns;    /* 0: patient for ever. */
    bool is_limit_planned;
    bool is_probe_planned;
    int64_t probe_ns; /* Until the next probe. */
};

struct sim_stream {
    struct sim_network *network;
    int64_t id;
    struct sim_end ends[2]; /* The connecting one first. */
    uint32_t packet_count;  /* Under way or held. */
    struct list link;
};

struct socket_listener {
    struct sim_network *network;
    struct sim_loop *loop;
    uint64_t id;
    uint16_t port;
    void (*on_accept)(void *context, struct socket_token token);
    void *context;
    struct list link;
};

struct sim_network {
    struct sim_world *world;
    struct prng *prng;
    struct sim_weather weather;
    bool cuts[SIM_WORLD_NODES_MAX + 1][SIM_WORLD_NODES_MAX + 1]; /* [from][to] */
    struct list streams;
    struct list listeners;
    int64_t stream_id_last;
    uint64_t listener_id_last;
    uint16_t port_last[SIM_WORLD_NODES_MAX + 1];
};

struct sim_stream *sim_network_stream_new(struct sim_network *self, struct sim_node *from,
                                          struct sim_node *to);
/* NULL: freed long ago. */
struct sim_stream *sim_network_stream_find(const struct sim_network *self, int64_t id);
struct socket_listener *sim_network_listener_find(const struct sim_network *self,
                                                  const struct sim_node *node, uint16_t port);
uint16_t sim_network_port_next(struct sim_network *self, const struct sim_node *node);
/* A stream's end as the value of an event, which may outlive it. */
uint64_t sim_network_ticket(const struct sim_end *end);
struct sim_end *sim_network_end_find(const struct sim_network *self, uint64_t ticket);
void sim_network_send(struct sim_end *from, enum sim_packet_kind kind, const void *bytes,
                      size_t byte_count);
/* Frees the stream when nobody can see it any more. */
void sim_network_release(struct sim_stream *stream);

/* The user's side (sim_socket.c). */
void sim_socket_plan_turn(struct sim_end *end);
/* Moves bytes of queued writes into packets, as far as the window goes. */
void sim_socket_pump(struct sim_end *end);
void sim_socket_break(struct sim_end *end, enum status why);
