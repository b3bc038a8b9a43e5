/* Builds frames; see nb_wire.h. Records are packed, so arrays are copied as bytes: a pointer into one may be unaligned. */
#include "nb_wire.h"

#include <stddef.h>
#include <string.h>

bool nb_wire_frame(nb_frame_t *frame, uint8_t kind, uint8_t epoch, uint32_t seq, uint64_t t_us, const void *record,
                   uint16_t record_bytes)
{
    if (record_bytes > NB_FRAME_BYTES_MAX - NB_FRAME_HEADER_BYTES)
        return false;
    const nb_frame_header_t header = {.kind = kind, .epoch = epoch, .seq = seq, .t_us = t_us};
    memcpy(frame->data, &header, sizeof header);
    memcpy(frame->data + sizeof header, record, record_bytes);
    frame->bytes = (uint16_t)(sizeof header + record_bytes);
    return true;
}

void nb_wire_signals(nb_signals_t *record, uint32_t sample_index, const int16_t emg[NB_EMG_PER_BLOCK][NB_EMG_CHANNELS],
                     const uint16_t eda[NB_EDA_PER_BLOCK])
{
    _Static_assert(sizeof record->emg_counts == sizeof(int16_t[NB_EMG_PER_BLOCK][NB_EMG_CHANNELS]), "one block a record");
    _Static_assert(sizeof record->eda_counts == sizeof(uint16_t[NB_EDA_PER_BLOCK]), "one block a record");
    record->sample_index = sample_index;
    memcpy(record->eda_counts, eda, sizeof record->eda_counts);
    memcpy(record->emg_counts, emg, sizeof record->emg_counts);
}

bool nb_wire_motion_add(nb_wire_motion_t *motion, const int16_t accel_mg[NB_ACCEL_CHANNELS])
{
    const size_t row_bytes = NB_ACCEL_CHANNELS * sizeof(int16_t);
    const uint32_t at = motion->taken % NB_MOTION_SAMPLES;
    if (at == 0)
        motion->record.sample_index = motion->taken;
    memcpy((uint8_t *)&motion->record + offsetof(nb_motion_t, accel_mg) + at * row_bytes, accel_mg, row_bytes);
    motion->taken++;
    return at + 1 == NB_MOTION_SAMPLES;
}

bool nb_wire_features_add(nb_wire_features_t *gathered, const int16_t features[NB_FEATURES])
{
    const size_t row_bytes = NB_FEATURES * sizeof(int16_t);
    const uint32_t at = gathered->taken % NB_FEATURES_FRAMES;
    if (at == 0)
        gathered->record.frame_index = gathered->taken;
    memcpy((uint8_t *)&gathered->record + offsetof(nb_features_t, features) + at * row_bytes, features, row_bytes);
    gathered->taken++;
    return at + 1 == NB_FEATURES_FRAMES;
}
