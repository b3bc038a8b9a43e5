/* The radio port (nb_radio.h) of emulated boards: every call is a message to the virtual radio, every event comes as one. */
#ifndef NB_BRIDGE_RADIO_H
#define NB_BRIDGE_RADIO_H
#include <stdint.h>

#include "nb_bridge.h"
#include "nb_radio.h"

typedef struct {
    nb_bridge_t bridge;
    nb_radio_events_t events;
    uint16_t credits;
    nb_radio_t radio;
} nb_bridge_radio_t;

/* `r->radio` is then the port; events come only from nb_bridge_radio_poll. */
void nb_bridge_radio_init(nb_bridge_radio_t *r, const nb_channel_t *channel);
void nb_bridge_radio_listen(nb_bridge_radio_t *r, const nb_radio_events_t *events);

/* Obey what has come from the virtual radio. */
void nb_bridge_radio_poll(nb_bridge_radio_t *r);

#endif
