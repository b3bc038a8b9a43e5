/* Feeds standard input to nb_bridge in pieces of argv[1] bytes and prints each message as "type payload-in-hex". */
#include <stdio.h>
#include <stdlib.h>

#include "nb_bridge.h"

static size_t piece;

static size_t read_piece(void *port, uint8_t *data, size_t capacity)
{
    (void)port;
    return fread(data, 1, piece < capacity ? piece : capacity, stdin);
}

static bool write_out(void *port, const uint8_t *data, size_t bytes)
{
    (void)port;
    return fwrite(data, 1, bytes, stdout) == bytes;
}

int main(int argc, char **argv)
{
    const nb_channel_t channel = {.read = read_piece, .write = write_out};
    nb_bridge_t bridge;
    nb_bridge_message_t message;
    piece = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    nb_bridge_init(&bridge, &channel);
    while (nb_bridge_receive(&bridge, &message)) {
        printf("%u ", message.type);
        for (unsigned i = 0; i < message.bytes; i++)
            printf("%02x", message.payload[i]);
        puts("");
    }
    printf("skipped %u\n", (unsigned)bridge.skipped_bytes);
    if (argc > 2) { /* and one back: the longest that fits, then one too long */
        static const uint8_t payload[NB_BRIDGE_PAYLOAD_MAX + 1] = {1, 2, 3};
        const bool longest = nb_bridge_send(&bridge, 7, payload, 100, payload, NB_BRIDGE_PAYLOAD_MAX - 100);
        const bool too_long = nb_bridge_send(&bridge, 7, payload, 1, payload, NB_BRIDGE_PAYLOAD_MAX);
        return longest && !too_long ? 0 : 1;
    }
    return 0;
}
