/* TCP channels; see sockets.h. */
#define _POSIX_C_SOURCE 200809L
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool socket_open(socket_channel_t *s, const char *what, unsigned port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (s->fd < 0 || connect(s->fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        fprintf(stderr, "band: nobody listens for %s on 127.0.0.1:%u: %s\n", what, port, strerror(errno));
        return false;
    }
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* else a frame waits for the ACK of the one before */
    fcntl(s->fd, F_SETFL, O_NONBLOCK);
    return true;
}

static size_t channel_read(void *port, uint8_t *data, size_t capacity)
{
    socket_channel_t *s = port;
    const size_t bytes = s->in_used < capacity ? s->in_used : capacity;
    memcpy(data, s->in + s->in_start, bytes);
    s->in_start += bytes;
    s->in_used -= bytes;
    return bytes;
}

static bool channel_write(void *port, const uint8_t *data, size_t bytes)
{
    socket_channel_t *s = port;
    if (sizeof s->out - s->out_used < bytes)
        return false;
    memcpy(s->out + s->out_used, data, bytes);
    s->out_used += bytes;
    return true;
}

nb_channel_t socket_channel(socket_channel_t *s)
{
    return (nb_channel_t){.port = s, .read = channel_read, .write = channel_write};
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void pump_in(socket_channel_t *s)
{
    memmove(s->in, s->in + s->in_start, s->in_used);
    s->in_start = 0;
    if (s->in_used == sizeof s->in)
        return;
    const ssize_t got = recv(s->fd, s->in + s->in_used, sizeof s->in - s->in_used, 0);
    if (got > 0)
        s->in_used += (size_t)got;
    else if (got == 0 || !would_block())
        s->closed = true;
}

static void pump_out(socket_channel_t *s)
{
    if (!s->out_used)
        return;
    const ssize_t sent = send(s->fd, s->out, s->out_used, MSG_NOSIGNAL);
    if (sent > 0) {
        s->out_used -= (size_t)sent;
        memmove(s->out, s->out + sent, s->out_used);
    } else if (sent < 0 && !would_block()) {
        s->closed = true;
    }
}

void socket_pump(socket_channel_t *s)
{
    pump_out(s);
    pump_in(s);
}

short socket_events(const socket_channel_t *s)
{
    return (short)((s->in_used < sizeof s->in ? POLLIN : 0) | (s->out_used ? POLLOUT : 0));
}
