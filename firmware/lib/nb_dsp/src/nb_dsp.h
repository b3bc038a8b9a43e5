/* Fixed-point signal processing: 40 ms of ADC counts in, one feature frame out.

   Counts come from the front end by way of the band's sample ring; frames go to nb_window and onto the air. Everything is
   integer, so that the Cortex-M4F, the native band and nociband.dsp.Twin give the same bits. Filters, rates and scales are
   features.toml's (nb_features_spec.h); docs/dsp.md shows the stages, formats and errors. */
#ifndef NB_DSP_H
#define NB_DSP_H
#include <stdbool.h>
#include <stdint.h>

#include "nb_features_spec.h"

/* Fractional bits of the samples inside the filters. EMG: |x| <= 2^15, so 2^27 in and below 2^29 out, and forty squares stay
   below 2^63. EDA: x < 2^16, so 2^30 in and below 2^31 out. tests/unit/test_dsp_coefficients.py proves both from the
   coefficients. */
#define NB_DSP_EMG_FRACTION_BITS 12
#define NB_DSP_EDA_FRACTION_BITS 14

/* A second-order section in direct form I. `remainder` is what the last output left unsaid below its own unit (Q30); it is
   added to the next sum, so that rounding errors do not build up in slow filters. */
typedef struct {
    int32_t x1, x2, y1, y2;
    uint32_t remainder;
} nb_dsp_section_t;

/* All state. About 140 bytes, owned by the caller. */
typedef struct {
    bool started; /* false until the first block has set the filters to their steady state */
    nb_dsp_section_t emg_high_pass[NB_EMG_CHANNELS];
    nb_dsp_section_t emg_low_pass[NB_EMG_CHANNELS];
    int64_t emg_envelope[NB_EMG_CHANNELS]; /* sum of NB_EMG_PER_BLOCK squares, in counts^2 * 2^24 */
    nb_dsp_section_t eda_low_pass;
    nb_dsp_section_t eda_tonic;
} nb_dsp_t;

/* Forget everything: the next block starts a new epoch. */
void nb_dsp_reset(nb_dsp_t *dsp);

/* One block of counts to one feature frame, in the order and scales of features.toml, saturated to int16. */
void nb_dsp_block(nb_dsp_t *dsp, const int16_t emg[NB_EMG_PER_BLOCK][NB_EMG_CHANNELS], const uint16_t eda[NB_EDA_PER_BLOCK],
                  int16_t features[NB_FEATURES]);

/* log2(value) * 2^14, rounded down; at most 1.001 units below the true value. value > 0. */
#define NB_DSP_LOG2_Q 14
int32_t nb_dsp_log2(uint64_t value);

#endif
