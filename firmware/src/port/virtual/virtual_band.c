/* Emulated boards; see virtual_band.h. */
#include "virtual_band.h"

#include <string.h>

#include "nb_bridge_board.h"
#include "nb_bridge_radio.h"

static app_t app;
static nb_bridge_radio_t radio;
static nb_bridge_board_t board_side;

static void on_identity(void *context, const nb_identity_t *identity)
{
    nb_band_identify(context, identity);
}

static void on_button(void *context)
{
    nb_band_button(context);
}

static void on_battery(void *context, uint8_t percent)
{
    nb_band_battery(context, percent);
}

static bool samples_room(void *context)
{
    (void)context;
    return sampler_has_room(&app.sampler);
}

static void on_samples(void *context, const nb_msg_samples_t *samples)
{
    (void)context;
    sampler_slot_t slot = {.eda = samples->eda_counts};
    _Static_assert(sizeof slot.emg == sizeof samples->emg_counts && sizeof slot.accel_mg == sizeof samples->accel_mg, "20 ms");
    memcpy(slot.accel_mg, samples->accel_mg, sizeof slot.accel_mg);
    memcpy(slot.emg, samples->emg_counts, sizeof slot.emg);
    sampler_put(&app.sampler, &slot);
}

void virtual_band_init(const virtual_board_t *board)
{
    nb_bridge_radio_init(&radio, &board->radio);
    app_init(&app, &(app_port_t){.now_us = board->now_us, .radio = &radio.radio, .nvm = board->nvm});
    const nb_radio_events_t radio_events = nb_band_events(&app.band);
    nb_bridge_radio_listen(&radio, &radio_events);
    const nb_board_events_t events = {.app = &app.band,
                                      .identity = on_identity,
                                      .button = on_button,
                                      .battery = on_battery,
                                      .samples_room = samples_room,
                                      .samples = on_samples};
    nb_bridge_board_init(&board_side, &board->board, &board->front_end, &events, board->name, SAMPLER_RING_MS);
}

void virtual_band_poll(void)
{
    nb_bridge_board_poll(&board_side);
    nb_bridge_radio_poll(&radio);
    app_poll(&app);
}

void virtual_band_timer(void)
{
    app_timer(&app);
}
