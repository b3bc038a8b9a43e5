/* Board and front-end channels; see nb_bridge_board.h. Messages of an unknown type or a wrong length are ignored. */
#include "nb_bridge_board.h"

#include <string.h>

void nb_bridge_board_init(nb_bridge_board_t *b, const nb_channel_t *board, const nb_channel_t *front_end,
                          const nb_board_events_t *events, const char *name, uint16_t ring_ms)
{
    nb_bridge_init(&b->board, board);
    nb_bridge_init(&b->front_end, front_end);
    b->events = *events;
    nb_msg_boot_t m = {.ring_ms = ring_ms};
    for (size_t i = 0; i < sizeof m.board && name[i]; i++)
        m.board[i] = (uint8_t)name[i];
    nb_bridge_send(&b->board, NB_MSG_BOOT, &m, sizeof m, NULL, 0);
}

static void on_identity(nb_bridge_board_t *b, const uint8_t *payload)
{
    nb_msg_identity_t m;
    memcpy(&m, payload, sizeof m);
    nb_identity_t identity = {.passkey = m.passkey};
    _Static_assert(sizeof identity.serial == sizeof m.serial && sizeof identity.sites == sizeof m.sites, "the label's fields");
    memcpy(identity.serial, m.serial, sizeof identity.serial);
    memcpy(identity.sites, m.sites, sizeof identity.sites);
    b->events.identity(b->events.app, &identity);
}

static void poll_board(nb_bridge_board_t *b)
{
    nb_bridge_message_t m;
    while (nb_bridge_receive(&b->board, &m)) {
        if (m.type == NB_MSG_IDENTITY && m.bytes == NB_MSG_IDENTITY_BYTES)
            on_identity(b, m.payload);
        else if (m.type == NB_MSG_BUTTON && m.bytes == 0)
            b->events.button(b->events.app);
        else if (m.type == NB_MSG_BATTERY && m.bytes == NB_MSG_BATTERY_BYTES)
            b->events.battery(b->events.app, m.payload[0]);
    }
}

void nb_bridge_board_poll(nb_bridge_board_t *b)
{
    nb_bridge_message_t m;
    poll_board(b);
    while (b->events.samples_room(b->events.app) && nb_bridge_receive(&b->front_end, &m)) {
        nb_msg_samples_t samples;
        if (m.type != NB_MSG_SAMPLES || m.bytes != sizeof samples)
            continue;
        memcpy(&samples, m.payload, sizeof samples);
        b->events.samples(b->events.app, &samples);
    }
}
