/* The virtual board's other two channels: label, button and battery on one, what the converters would deliver on the other. */
#ifndef NB_BRIDGE_BOARD_H
#define NB_BRIDGE_BOARD_H
#include "nb_band.h"
#include "nb_bridge.h"

typedef struct {
    void *app;
    void (*identity)(void *app, const nb_identity_t *identity);
    void (*button)(void *app);
    void (*battery)(void *app, uint8_t percent);
    /* Is there room for 20 ms of samples? While there is not, the channel is not read: the sender waits. */
    bool (*samples_room)(void *app);
    void (*samples)(void *app, const nb_msg_samples_t *samples);
} nb_board_events_t;

typedef struct {
    nb_bridge_t board, front_end;
    nb_board_events_t events;
} nb_bridge_board_t;

/* Says `boot` on the board channel, with the board's name (at most 8 characters) and the size of the sample ring. */
void nb_bridge_board_init(nb_bridge_board_t *b, const nb_channel_t *board, const nb_channel_t *front_end,
                          const nb_board_events_t *events, const char *name, uint16_t ring_ms);

void nb_bridge_board_poll(nb_bridge_board_t *b);

#endif
