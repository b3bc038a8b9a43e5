/* A session; see session.h. The order of records within a block is fixed, so that every board sends the same frames. */
#include "session.h"

#include <string.h>

#include "nb_model.h"
#include "nb_wire_spec.h"

#define STATUS_EVERY_BLOCKS (1000000u / NB_BLOCK_US)
#define ACCEL_US            (1000000u / NB_ACCEL_RATE_HZ)

void session_begin(session_t *session, uint64_t t0_us)
{
    session->t0_us = t0_us;
    nb_dsp_reset(&session->dsp);
    nb_window_reset(&session->window);
    session->motion = (nb_wire_motion_t){0};
    session->features = (nb_wire_features_t){0};
}

/* Device time of something that comes every `every_us` of the session. */
static uint64_t time_of(const session_t *session, uint32_t index, uint32_t every_us)
{
    return session->t0_us + (uint64_t)index * every_us;
}

static void send_signals(session_t *session, const sampler_block_t *block)
{
    nb_signals_t record;
    nb_wire_signals(&record, block->index * NB_EMG_PER_BLOCK, block->emg, block->eda);
    nb_band_record(session->band, NB_KIND_SIGNALS, time_of(session, block->index, NB_BLOCK_US), &record, sizeof record);
}

static void send_motion(session_t *session, const sampler_block_t *block)
{
    for (uint32_t i = 0; i < NB_ACCEL_PER_BLOCK; i++)
        if (nb_wire_motion_add(&session->motion, block->accel_mg[i]))
            nb_band_record(session->band, NB_KIND_MOTION, time_of(session, session->motion.record.sample_index, ACCEL_US),
                           &session->motion.record, sizeof session->motion.record);
}

static void send_features(session_t *session, const int16_t features[NB_FEATURES])
{
    if (nb_wire_features_add(&session->features, features))
        nb_band_record(session->band, NB_KIND_FEATURES, time_of(session, session->features.record.frame_index, NB_BLOCK_US),
                       &session->features.record, sizeof session->features.record);
}

static void send_prediction(session_t *session, uint32_t frame_index)
{
    nb_prediction_t record = {.frame_index = frame_index,
                              .why = nb_window_why(&session->window),
                              .quality_percent = nb_window_quality_percent(&session->window)};
    if (!nb_band_sites_match(session->band))
        record.why |= NB_NO_SCORE_ELECTRODE_SITE;
    if (nb_window_full(&session->window)) {
        int16_t logits[NB_MODEL_OUTPUTS_MAX] = {0};
        _Static_assert(sizeof logits == sizeof record.logits, "logits go onto the air as they are");
        const uint64_t before_us = session->now_us();
        nb_window_input(&session->window, nb_model_info.input_scale, session->input);
        nb_model_run((const int16_t(*)[NB_FEATURES])session->input, logits);
        record.compute_us = (uint32_t)(session->now_us() - before_us);
        record.outputs = nb_model_info.outputs;
        memcpy(record.logits, logits, sizeof logits);
    }
    nb_band_record(session->band, NB_KIND_PREDICTION, time_of(session, frame_index, NB_BLOCK_US), &record, sizeof record);
}

void session_block(session_t *session, const sampler_block_t *block)
{
    int16_t features[NB_FEATURES];
    nb_dsp_block(&session->dsp, block->emg, block->eda, features);
    nb_window_push(&session->window, block->emg, block->eda, block->accel_mg, features, block->underruns != 0);
    send_signals(session, block);
    send_motion(session, block);
    send_features(session, features);
    if ((block->index + 1u) % NB_PREDICT_EVERY_FRAMES == 0)
        send_prediction(session, block->index);
    if ((block->index + 1u) % STATUS_EVERY_BLOCKS == 0)
        nb_band_send_status(session->band);
}
