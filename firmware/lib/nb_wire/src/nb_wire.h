/* Frames of the stream: the header that every one begins with, and the records that gather several samples or frames.

   nb_band sends what is built here; nociband.wire takes it apart. Layouts are wire.toml's, as packed structs in
   nb_wire_spec.h; both our CPUs are little-endian, which the assertion below holds them to. */
#ifndef NB_WIRE_H
#define NB_WIRE_H
#include <stdbool.h>
#include <stdint.h>

#include "nb_features_spec.h"
#include "nb_wire_spec.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "wire.toml is little-endian and the structs are sent as they lie");

#define NB_FRAME_BYTES_MAX (NB_FRAME_HEADER_BYTES + NB_SIGNALS_BYTES) /* signals is the longest record */
#define NB_ATT_OVERHEAD    3u                                         /* opcode and handle of a notification */
_Static_assert(NB_FRAME_BYTES_MAX + NB_ATT_OVERHEAD <= NB_ATT_MTU_SIGNALS_MIN, "a signals frame must fit att_mtu_signals_min");

#define NB_MOTION_SAMPLES  (sizeof((nb_motion_t *)0)->accel_mg / (2u * NB_ACCEL_CHANNELS))
#define NB_FEATURES_FRAMES (sizeof((nb_features_t *)0)->features / (2u * NB_FEATURES))

typedef struct {
    uint16_t bytes;
    uint8_t data[NB_FRAME_BYTES_MAX];
} nb_frame_t;

/* Header and record into `frame`. False, with nothing written, when the record does not fit. */
bool nb_wire_frame(nb_frame_t *frame, uint8_t kind, uint8_t epoch, uint32_t seq, uint64_t t_us, const void *record,
                   uint16_t record_bytes);

/* 40 ms of counts into a signals record. */
void nb_wire_signals(nb_signals_t *record, uint32_t sample_index, const int16_t emg[NB_EMG_PER_BLOCK][NB_EMG_CHANNELS],
                     const uint16_t eda[NB_EDA_PER_BLOCK]);

/* Gathers accelerometer samples. Zero-initialised it is empty. */
typedef struct {
    uint32_t taken; /* in this epoch */
    nb_motion_t record;
} nb_wire_motion_t;

/* One sample; true when the record is complete and should be sent before the next call. */
bool nb_wire_motion_add(nb_wire_motion_t *motion, const int16_t accel_mg[NB_ACCEL_CHANNELS]);

/* Gathers feature frames. Zero-initialised it is empty. */
typedef struct {
    uint32_t taken; /* in this epoch */
    nb_features_t record;
} nb_wire_features_t;

/* One feature frame; true when the record is complete and should be sent before the next call. */
bool nb_wire_features_add(nb_wire_features_t *gathered, const int16_t features[NB_FEATURES]);

#endif
