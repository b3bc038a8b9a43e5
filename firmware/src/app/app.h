/* The application: wires sampler, session and band together. A port calls it and gives it a clock, a radio and some memory. */
#ifndef APP_H
#define APP_H
#include "nb_band.h"
#include "sampler.h"
#include "session.h"

/* What a port provides. */
typedef struct {
    uint64_t (*now_us)(void); /* monotonic since boot; callable from the timer's interrupt too */
    const nb_radio_t *radio;
    const nb_nvm_t *nvm;
} app_port_t;

typedef struct {
    app_port_t port;
    sampler_t sampler;
    session_t session;
    nb_session_t callbacks;
    nb_band_t band;
} app_t;

/* After this, point the radio's events at nb_band_events(&app->band) and tell the band who it is. */
void app_init(app_t *app, const app_port_t *port);

/* From the main loop, as often as there may be something to do. */
void app_poll(app_t *app);

/* From the timer's interrupt, once a millisecond. */
void app_timer(app_t *app);

#endif
