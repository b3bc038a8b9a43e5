/* Framing; see nb_bridge.h. */
#include "nb_bridge.h"

#include <string.h>

#include "nb_crc16.h"

void nb_bridge_init(nb_bridge_t *bridge, const nb_channel_t *channel)
{
    bridge->channel = channel;
    bridge->skipped_bytes = 0;
    bridge->start = bridge->used = 0;
}

static void skip(nb_bridge_t *bridge, size_t bytes)
{
    bridge->start += bytes;
    bridge->used -= bytes;
}

typedef enum { MESSAGE, INCOMPLETE, GARBAGE } look_t;

static uint16_t u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

/* What begins at the first byte of the buffer? */
static look_t look(const nb_bridge_t *bridge, nb_bridge_message_t *message)
{
    const uint8_t *p = bridge->buffer + bridge->start;
    if (bridge->used && p[0] != NB_BRIDGE_START)
        return GARBAGE;
    if (bridge->used < NB_BRIDGE_HEAD_BYTES)
        return INCOMPLETE;
    const uint16_t bytes = u16(p + 2);
    if (bytes > NB_BRIDGE_PAYLOAD_MAX)
        return GARBAGE;
    if (bridge->used < NB_BRIDGE_HEAD_BYTES + bytes + NB_BRIDGE_CRC_BYTES)
        return INCOMPLETE;
    if (nb_crc16(NB_CRC16_START, p + 1, NB_BRIDGE_HEAD_BYTES - 1u + bytes) != u16(p + NB_BRIDGE_HEAD_BYTES + bytes))
        return GARBAGE;
    *message = (nb_bridge_message_t){.type = p[1], .bytes = bytes, .payload = p + NB_BRIDGE_HEAD_BYTES};
    return MESSAGE;
}

/* More bytes from the channel; false when none came. An incomplete message always leaves room: it is shorter than the buffer. */
static bool fill(nb_bridge_t *bridge)
{
    memmove(bridge->buffer, bridge->buffer + bridge->start, bridge->used);
    bridge->start = 0;
    const size_t got =
        bridge->channel->read(bridge->channel->port, bridge->buffer + bridge->used, sizeof bridge->buffer - bridge->used);
    bridge->used += got;
    return got != 0;
}

bool nb_bridge_receive(nb_bridge_t *bridge, nb_bridge_message_t *message)
{
    for (;;) {
        switch (look(bridge, message)) {
        case MESSAGE:
            /* The payload stays where it is: only the next fill moves bytes. */
            skip(bridge, NB_BRIDGE_HEAD_BYTES + message->bytes + NB_BRIDGE_CRC_BYTES);
            return true;
        case GARBAGE:
            /* Only the first byte is known to be wrong: a whole message may begin at the second. */
            skip(bridge, 1);
            bridge->skipped_bytes++;
            break;
        case INCOMPLETE:
            if (!fill(bridge))
                return false;
        }
    }
}

bool nb_bridge_send(nb_bridge_t *bridge, uint8_t type, const void *head, size_t head_bytes, const void *rest, size_t rest_bytes)
{
    const size_t bytes = head_bytes + rest_bytes;
    if (bytes > NB_BRIDGE_PAYLOAD_MAX)
        return false;
    uint8_t message[NB_BRIDGE_MESSAGE_BYTES_MAX] = {NB_BRIDGE_START, type, (uint8_t)bytes, (uint8_t)(bytes >> 8)};
    uint8_t *p = message + NB_BRIDGE_HEAD_BYTES;
    if (head_bytes)
        memcpy(p, head, head_bytes);
    if (rest_bytes)
        memcpy(p + head_bytes, rest, rest_bytes);
    const uint16_t crc = nb_crc16(NB_CRC16_START, message + 1, NB_BRIDGE_HEAD_BYTES - 1u + bytes);
    p[bytes] = (uint8_t)crc;
    p[bytes + 1] = (uint8_t)(crc >> 8);
    return bridge->channel->write(bridge->channel->port, message, NB_BRIDGE_HEAD_BYTES + bytes + NB_BRIDGE_CRC_BYTES);
}
