/* A session: every block of samples becomes records on the stream; once a second a window becomes a prediction.

   Blocks come from the sampler, features from nb_dsp, trust and the model's input from nb_window, logits from nb_model;
   records go to nb_band, which decides whether anybody may have them. */
#ifndef SESSION_H
#define SESSION_H
#include <stdint.h>

#include "nb_band.h"
#include "nb_dsp.h"
#include "nb_window.h"
#include "nb_wire.h"
#include "sampler.h"

typedef struct {
    nb_band_t *band;
    uint64_t (*now_us)(void);
    uint64_t t0_us; /* device time of sample 0 */
    nb_dsp_t dsp;
    nb_window_t window;
    nb_wire_motion_t motion;
    nb_wire_features_t features;
    int16_t input[NB_WINDOW_FRAMES][NB_FEATURES];
} session_t;

/* Filters, baseline and indices start anew. */
void session_begin(session_t *session, uint64_t t0_us);

void session_block(session_t *session, const sampler_block_t *block);

#endif
