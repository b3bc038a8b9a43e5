/* Builds one frame of each kind with nb_wire, for test_wire_c.py. The 64-bit fields come as arguments, arrays as pointers. */
#include <string.h>

#include "nb_wire.h"

static uint16_t finish(uint8_t kind, uint8_t epoch, uint32_t seq, uint64_t t_us, const void *record, uint16_t bytes, uint8_t *out)
{
    nb_frame_t frame;
    if (!nb_wire_frame(&frame, kind, epoch, seq, t_us, record, bytes))
        return 0;
    memcpy(out, frame.data, frame.bytes);
    return frame.bytes;
}

uint16_t shim_signals(uint8_t epoch, uint32_t seq, uint64_t t_us, uint32_t index, const uint16_t *eda, const int16_t (*emg)[2],
                      uint8_t *out)
{
    nb_signals_t record;
    nb_wire_signals(&record, index, emg, eda);
    return finish(NB_KIND_SIGNALS, epoch, seq, t_us, &record, sizeof record, out);
}

uint16_t shim_motion(uint8_t epoch, uint32_t seq, uint64_t t_us, uint32_t index, const int16_t (*accel)[3], uint8_t *out)
{
    nb_wire_motion_t motion = {.taken = index};
    for (unsigned i = 0; i < NB_MOTION_SAMPLES; i++)
        if (nb_wire_motion_add(&motion, accel[i]) != (i + 1 == NB_MOTION_SAMPLES))
            return 0;
    return finish(NB_KIND_MOTION, epoch, seq, t_us, &motion.record, sizeof motion.record, out);
}

uint16_t shim_features(uint8_t epoch, uint32_t seq, uint64_t t_us, uint32_t index, const int16_t (*features)[NB_FEATURES],
                       uint8_t *out)
{
    nb_wire_features_t gathered = {.taken = index};
    for (unsigned i = 0; i < NB_FEATURES_FRAMES; i++)
        if (nb_wire_features_add(&gathered, features[i]) != (i + 1 == NB_FEATURES_FRAMES))
            return 0;
    return finish(NB_KIND_FEATURES, epoch, seq, t_us, &gathered.record, sizeof gathered.record, out);
}

uint16_t shim_prediction(uint8_t epoch, uint32_t seq, uint64_t t_us, const uint32_t *v, const int16_t *logits, uint8_t *out)
{
    nb_prediction_t record = {.frame_index = v[0], .why = (uint16_t)v[1], .quality_percent = (uint8_t)v[2],
                              .outputs = (uint8_t)v[3], .compute_us = v[4]};
    memcpy(record.logits, logits, sizeof record.logits);
    return finish(NB_KIND_PREDICTION, epoch, seq, t_us, &record, sizeof record, out);
}

uint16_t shim_status(uint8_t epoch, uint32_t seq, uint64_t t_us, const uint32_t *v, uint8_t *out)
{
    const nb_status_t record = {.state = (uint8_t)v[0], .battery_percent = (uint8_t)v[1], .flags = (uint16_t)v[2],
                                .samples_taken = v[3], .underruns = v[4], .frames_sent = v[5], .frames_dropped = v[6],
                                .predictions = v[7]};
    return finish(NB_KIND_STATUS, epoch, seq, t_us, &record, sizeof record, out);
}
