/* Control operations of wire.toml; see nb_control.h. */
#include "nb_control.h"

#include <string.h>

#include "nb_wire_spec.h"

#define CLOSING_US  1000000ull /* how long `forget` waits for a credit before it closes the link without a response */
#define STOPPING_US 3000000ull /* how long `stop` waits for credits before frames are dropped */

typedef struct {
    uint8_t bytes[NB_CONTROL_RESPONSE_HEAD + NB_START_RESPONSE_BYTES]; /* start's is the longest */
    uint16_t used;
} response_t;

static void answer(response_t *response, const void *results, uint16_t bytes)
{
    memcpy(response->bytes + NB_CONTROL_RESPONSE_HEAD, results, bytes);
    response->used = (uint16_t)(NB_CONTROL_RESPONSE_HEAD + bytes);
}

static uint8_t get_time(nb_band_t *band, response_t *response)
{
    const nb_get_time_response_t r = {.t_us = band->session->now_us(band->session->app)};
    answer(response, &r, sizeof r);
    return NB_RESULT_OK;
}

static uint8_t start(nb_band_t *band, response_t *response)
{
    if (band->running)
        return NB_RESULT_WRONG_STATE;
    if (!band->identified || !band->session->ready(band->session->app))
        return NB_RESULT_NOT_READY;
    nb_stream_begin(&band->stream, (uint8_t)(band->stream.epoch + 1u));
    band->predictions = 0;
    const nb_start_response_t r = {.epoch = band->stream.epoch, .t_us = band->session->start(band->session->app)};
    band->running = true;
    answer(response, &r, sizeof r);
    return NB_RESULT_OK;
}

/* The response follows when everything sampled has been handed over: nb_control_stopped. */
static uint8_t stop(nb_band_t *band)
{
    if (!band->running || band->stopping)
        return NB_RESULT_WRONG_STATE;
    band->session->stop(band->session->app, false);
    band->stopping = band->stop_unanswered = true;
    band->stopping_until_us = band->session->now_us(band->session->app) + STOPPING_US;
    return NB_RESULT_OK;
}

static uint8_t forget(nb_band_t *band)
{
    band->session->stop(band->session->app, true);
    band->running = band->stopping = band->stop_unanswered = false;
    nb_stream_clear(&band->stream);
    nb_bonds_clear(&band->bonds);
    band->closing = true;
    band->closing_until_us = band->session->now_us(band->session->app) + CLOSING_US;
    return NB_RESULT_OK;
}

static uint8_t obey(nb_band_t *band, uint8_t op, response_t *response)
{
    switch (op) {
    case NB_OP_GET_TIME:
        return get_time(band, response);
    case NB_OP_START:
        return start(band, response);
    case NB_OP_STOP:
        return stop(band);
    case NB_OP_FORGET:
        return forget(band);
    default:
        return NB_RESULT_UNKNOWN_OP;
    }
}

uint8_t nb_control_write(nb_band_t *band, const uint8_t *request, uint16_t bytes)
{
    if (bytes == 0)
        return NB_ATT_BAD_LENGTH;
    /* Room first, so that nothing is obeyed that cannot be answered. */
    if (band->stream.count >= NB_STREAM_QUEUE)
        return NB_ATT_BUSY;
    response_t response = {.used = NB_CONTROL_RESPONSE_HEAD};
    response.bytes[0] = request[0];
    const bool known = request[0] >= NB_OP_GET_TIME && request[0] <= NB_OP_FORGET;
    /* None of the operations takes arguments. */
    response.bytes[1] = known && bytes != 1 ? NB_RESULT_BAD_LENGTH : obey(band, request[0], &response);
    if (request[0] == NB_OP_STOP && response.bytes[1] == NB_RESULT_OK)
        return NB_ATT_OK;
    nb_stream_response(&band->stream, response.bytes, response.used);
    return NB_ATT_OK;
}

void nb_control_stopped(nb_band_t *band)
{
    uint32_t samples_taken, underruns;
    band->session->counters(band->session->app, &samples_taken, &underruns);
    const nb_stop_response_t r = {.samples_taken = samples_taken};
    response_t response = {.bytes = {NB_OP_STOP, NB_RESULT_OK}};
    answer(&response, &r, sizeof r);
    nb_stream_response(&band->stream, response.bytes, response.used);
}
