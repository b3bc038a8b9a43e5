/* Messages over a byte channel between an emulated band and its virtual board; see bridge.toml. Never on a real band.

   Each is 0xA5, type, length, payload, CRC-16. Bytes come from a UART (QEMU) or a socket (native) in pieces of any size; what
   does not check is skipped up to the next message that does, and counted. */
#ifndef NB_BRIDGE_H
#define NB_BRIDGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nb_bridge_spec.h"

#define NB_BRIDGE_HEAD_BYTES        4u /* start, type, length */
#define NB_BRIDGE_CRC_BYTES         2u
#define NB_BRIDGE_MESSAGE_BYTES_MAX (NB_BRIDGE_HEAD_BYTES + NB_BRIDGE_PAYLOAD_MAX + NB_BRIDGE_CRC_BYTES)

/* A port's byte channel. Neither call blocks. */
typedef struct {
    void *port;
    /* At most `capacity` bytes that have come; how many. */
    size_t (*read)(void *port, uint8_t *data, size_t capacity);
    /* All of `bytes` or nothing; false when there is no room. */
    bool (*write)(void *port, const uint8_t *data, size_t bytes);
} nb_channel_t;

/* A message, valid until the next call on its parser. */
typedef struct {
    uint8_t type;
    uint16_t bytes;
    const uint8_t *payload;
} nb_bridge_message_t;

typedef struct {
    const nb_channel_t *channel;
    uint32_t skipped_bytes; /* that belonged to no message */
    size_t start, used;     /* buffer[start] .. buffer[start + used - 1] */
    uint8_t buffer[NB_BRIDGE_MESSAGE_BYTES_MAX];
} nb_bridge_t;

void nb_bridge_init(nb_bridge_t *bridge, const nb_channel_t *channel);

/* The next message that has wholly come; false when there is none. Reads the channel only as far as it must, so that not
   calling this holds back the sender. */
bool nb_bridge_receive(nb_bridge_t *bridge, nb_bridge_message_t *message);

/* Send `head` followed by `rest` as one payload; false when it is too long or the channel has no room. */
bool nb_bridge_send(nb_bridge_t *bridge, uint8_t type, const void *head, size_t head_bytes, const void *rest, size_t rest_bytes);

#endif
