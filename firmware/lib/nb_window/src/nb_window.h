/* The model's window: the last 138 feature frames, the running baseline, and whether a score made of them may be trusted.

   Frames come from nb_dsp; nb_band asks once a second for `why`, `quality_percent` and the model's input. The twin is
   nociband.windows.WindowTwin, with the same bits. Rules and thresholds are features.toml's [window], [baseline], [trust];
   docs/dsp.md explains them. `electrode_site` is nb_band's to add: it knows the model's sites. */
#ifndef NB_WINDOW_H
#define NB_WINDOW_H
#include <stdbool.h>
#include <stdint.h>

#include "nb_features_spec.h"
#include "nb_wire_spec.h"

#define NB_WINDOW_SECOND_FRAMES (1000000u / NB_BLOCK_US)
#define NB_WINDOW_EDA_SECONDS   60u
#define NB_WINDOW_BASELINE_Q    15 /* |feature| <= 2^15, so that differences still fit 32 bits: one SDIV a feature */

/* Model input = (feature - baseline) * mult / 2^shift. `shift` is 0 to 46. From the model's manifest. */
typedef struct {
    int32_t mult;
    int32_t shift;
} nb_input_scale_t;

/* All state. About 2.4 kB, owned by the caller. */
typedef struct {
    uint32_t frames; /* since the epoch began */
    int16_t features[NB_WINDOW_FRAMES][NB_FEATURES];
    uint8_t trouble[NB_WINDOW_FRAMES];           /* bits, see nb_window.c */
    uint8_t saturated[NB_WINDOW_FRAMES];         /* samples at the rails */
    int32_t baseline[NB_FEATURES];               /* Q15 */
    uint32_t motion_mg[NB_WINDOW_SECOND_FRAMES]; /* the last second: sum of |magnitude - 1 g| of each frame */
    uint32_t motion_sum_mg;
    uint32_t eda_seconds[NB_WINDOW_EDA_SECONDS]; /* sums of the raw counts of whole seconds */
    uint32_t eda_sum;                            /* of the second under way */
} nb_window_t;

/* Forget everything: the next frame starts a new epoch. */
void nb_window_reset(nb_window_t *window);

/* Take one 40 ms block and its features; `underrun` when the front end had missed a sample of it. */
void nb_window_push(nb_window_t *window, const int16_t emg[NB_EMG_PER_BLOCK][NB_EMG_CHANNELS],
                    const uint16_t eda[NB_EDA_PER_BLOCK], const int16_t accel[NB_ACCEL_PER_BLOCK][NB_ACCEL_CHANNELS],
                    const int16_t features[NB_FEATURES], bool underrun);

/* True when the window has all its frames. */
bool nb_window_full(const nb_window_t *window);

/* Bits NB_NO_SCORE_*: every reason not to show a score; 0 when there is none. */
uint16_t nb_window_why(const nb_window_t *window);

/* Share of the window's frames without trouble, 0-100; halved while the EDA does not respond. */
uint8_t nb_window_quality_percent(const nb_window_t *window);

/* The model's input, oldest frame first, relative to the present baseline, halves away from zero, saturated to int16.
   Only for a full window: otherwise the frames not yet there are zeros at the end. */
void nb_window_input(const nb_window_t *window, const nb_input_scale_t scale[NB_FEATURES],
                     int16_t x[NB_WINDOW_FRAMES][NB_FEATURES]);

#endif
