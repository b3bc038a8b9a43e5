/* Byte channels over TCP: the native band is the client of three ports that the emulator listens on. */
#ifndef SOCKETS_H
#define SOCKETS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nb_bridge.h"

#define SOCKET_BUFFER_BYTES 16384u

typedef struct {
    int fd;
    bool closed; /* the other end is gone */
    size_t in_start, in_used, out_used;
    uint8_t in[SOCKET_BUFFER_BYTES], out[SOCKET_BUFFER_BYTES];
} socket_channel_t;

/* Connect to 127.0.0.1:port. False, with the reason on stderr, when nobody listens there. */
bool socket_open(socket_channel_t *s, const char *what, unsigned port);
nb_channel_t socket_channel(socket_channel_t *s);

/* Move bytes between the buffers and the socket, as far as both allow. */
void socket_pump(socket_channel_t *s);

/* What poll(2) should wait for. */
short socket_events(const socket_channel_t *s);

#endif
