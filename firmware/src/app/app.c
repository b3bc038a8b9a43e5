/* The application; see app.h. */
#include "app.h"

#include <string.h>

#define BACKLOG_MAX (SAMPLER_BLOCKS * 3u / 4u) /* the rest is for the time that a prediction takes */

static uint64_t app_now_us(void *context)
{
    return ((const app_t *)context)->port.now_us();
}

static bool app_ready(void *context)
{
    return sampler_ready(&((const app_t *)context)->sampler);
}

static uint64_t app_start(void *context)
{
    app_t *app = context;
    const uint64_t t0_us = app->port.now_us();
    session_begin(&app->session, t0_us);
    sampler_start(&app->sampler, t0_us);
    return t0_us;
}

static void app_stop(void *context, bool discard)
{
    app_t *app = context;
    sampler_stop(&app->sampler);
    while (discard && sampler_peek(&app->sampler))
        sampler_take(&app->sampler);
}

static void app_counters(void *context, uint32_t *samples_taken, uint32_t *underruns)
{
    const app_t *app = context;
    *samples_taken = app->sampler.samples_taken;
    *underruns = app->sampler.underruns;
}

void app_init(app_t *app, const app_port_t *port)
{
    memset(app, 0, sizeof *app); /* not a compound literal: 25 kB must not pass over the stack */
    app->port = *port;
    app->callbacks = (nb_session_t){
        .app = app, .now_us = app_now_us, .ready = app_ready, .start = app_start, .stop = app_stop, .counters = app_counters};
    app->session = (session_t){.band = &app->band, .now_us = port->now_us};
    nb_band_init(&app->band, port->radio, port->nvm, &app->callbacks);
}

/* One block to records. While the radio has no room for them blocks wait, which costs no frame, as long as the sampler's
   queue has places left. */
static void work(app_t *app)
{
    const sampler_block_t *block = sampler_peek(&app->sampler);
    const bool wait = !nb_band_has_room(&app->band) && nb_band_may_wait(&app->band);
    if (wait && sampler_backlog(&app->sampler) < BACKLOG_MAX)
        return;
    if (!block) {
        nb_band_finish(&app->band);
        return;
    }
    session_block(&app->session, block);
    sampler_take(&app->sampler);
}

void app_poll(app_t *app)
{
    work(app);
    nb_band_poll(&app->band);
}

void app_timer(app_t *app)
{
    sampler_timer(&app->sampler, app->port.now_us());
}
