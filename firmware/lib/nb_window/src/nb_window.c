/* See nb_window.h. The twin is sdk/nociband/windows.py; change both together. */
#include "nb_window.h"

#include <string.h>

#include "nb_dsp.h"

/* Trouble of a single frame. */
#define EDA_OFF   (1u << 0)
#define EMG1_FLAT (1u << 1)
#define EMG2_FLAT (1u << 2)
#define SATURATED (1u << 3)
#define MOTION    (1u << 4)
#define UNDERRUN  (1u << 5)

#define ONE_G_MG             1000
#define EMG_Q                11 /* q of the EMG features */
#define EDA_SECOND_SAMPLES   (NB_WINDOW_SECOND_FRAMES * NB_EDA_PER_BLOCK)
#define ACCEL_SECOND_SAMPLES (NB_WINDOW_SECOND_FRAMES * NB_ACCEL_PER_BLOCK)

static const uint8_t USES_BASELINE[NB_FEATURES] = NB_FEATURE_BASELINE;

static uint32_t frames_held(const nb_window_t *w)
{
    return w->frames < NB_WINDOW_FRAMES ? w->frames : NB_WINDOW_FRAMES;
}

/* Integer square root, digit by digit (rounded down). */
static uint32_t square_root(uint32_t v)
{
    uint32_t root = 0;
    for (uint32_t bit = 1u << 30; bit != 0; bit >>= 2) {
        uint32_t trial = root + bit;
        root >>= 1;
        if (v >= trial) {
            v -= trial;
            root += bit;
        }
    }
    return root;
}

static uint32_t motion_of(const int16_t accel[NB_ACCEL_PER_BLOCK][NB_ACCEL_CHANNELS])
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < NB_ACCEL_PER_BLOCK; i++) {
        uint32_t squares = 0; /* at most 3 * 2^30 */
        for (unsigned axis = 0; axis < NB_ACCEL_CHANNELS; axis++)
            squares += (uint32_t)((int32_t)accel[i][axis] * accel[i][axis]);
        int32_t deviation = (int32_t)square_root(squares) - ONE_G_MG;
        sum += (uint32_t)(deviation < 0 ? -deviation : deviation);
    }
    return sum;
}

static unsigned saturated_of(const int16_t emg[][NB_EMG_CHANNELS], const uint16_t eda[])
{
    unsigned n = 0;
    for (unsigned i = 0; i < NB_EMG_PER_BLOCK; i++)
        for (unsigned c = 0; c < NB_EMG_CHANNELS; c++)
            n += emg[i][c] >= NB_EMG_SATURATION_COUNTS || emg[i][c] <= -NB_EMG_SATURATION_COUNTS;
    for (unsigned i = 0; i < NB_EDA_PER_BLOCK; i++)
        n += eda[i] >= NB_EDA_SATURATION_COUNTS;
    return n;
}

/* The second that ends with this frame moved too much; a second that is not whole yet counts as still. */
static bool push_motion(nb_window_t *w, uint32_t motion_mg)
{
    uint32_t *slot = &w->motion_mg[w->frames % NB_WINDOW_SECOND_FRAMES];
    w->motion_sum_mg += motion_mg - *slot;
    *slot = motion_mg;
    return w->motion_sum_mg > NB_TRUST_MOTION_DEVIATION_MG * ACCEL_SECOND_SAMPLES;
}

static void push_eda_second(nb_window_t *w, const uint16_t eda[NB_EDA_PER_BLOCK])
{
    for (unsigned i = 0; i < NB_EDA_PER_BLOCK; i++)
        w->eda_sum += eda[i];
    if ((w->frames + 1) % NB_WINDOW_SECOND_FRAMES != 0)
        return;
    w->eda_seconds[w->frames / NB_WINDOW_SECOND_FRAMES % NB_WINDOW_EDA_SECONDS] = w->eda_sum;
    w->eda_sum = 0;
}

/* Running mean of all frames so far, exponential once there are NB_BASELINE_MEMORY_FRAMES. The division truncates. */
static void push_baseline(nb_window_t *w, const int16_t features[NB_FEATURES])
{
    int32_t n = (int32_t)(w->frames + 1 < NB_BASELINE_MEMORY_FRAMES ? w->frames + 1 : NB_BASELINE_MEMORY_FRAMES);
    for (unsigned k = 0; k < NB_FEATURES; k++)
        w->baseline[k] += (features[k] * (1 << NB_WINDOW_BASELINE_Q) - w->baseline[k]) / n;
}

void nb_window_reset(nb_window_t *w)
{
    memset(w, 0, sizeof *w);
}

void nb_window_push(nb_window_t *w, const int16_t emg[NB_EMG_PER_BLOCK][NB_EMG_CHANNELS], const uint16_t eda[NB_EDA_PER_BLOCK],
                    const int16_t accel[NB_ACCEL_PER_BLOCK][NB_ACCEL_CHANNELS], const int16_t features[NB_FEATURES],
                    bool underrun)
{
    const uint32_t at = w->frames % NB_WINDOW_FRAMES;
    const int32_t flat = nb_dsp_log2(NB_TRUST_EMG_OFF_BELOW_RMS_COUNTS) >> (NB_DSP_LOG2_Q - EMG_Q);
    unsigned trouble = 0;
    for (unsigned i = 0; i < NB_EDA_PER_BLOCK; i++)
        trouble |= eda[i] < NB_TRUST_EDA_OFF_BELOW_COUNTS ? EDA_OFF : 0;
    trouble |= features[NB_FEATURE_EMG1_RMS] <= flat ? EMG1_FLAT : 0;
    trouble |= features[NB_FEATURE_EMG2_RMS] <= flat ? EMG2_FLAT : 0;
    w->saturated[at] = (uint8_t)saturated_of(emg, eda);
    trouble |= w->saturated[at] ? SATURATED : 0;
    trouble |= push_motion(w, motion_of(accel)) ? MOTION : 0;
    trouble |= underrun ? UNDERRUN : 0;
    w->trouble[at] = (uint8_t)trouble;
    memcpy(w->features[at], features, sizeof w->features[at]);
    push_eda_second(w, eda);
    push_baseline(w, features);
    w->frames++;
}

bool nb_window_full(const nb_window_t *w)
{
    return w->frames >= NB_WINDOW_FRAMES;
}

/* The means of whole seconds, over the last 60 s at most, lie closer together than the threshold. Seconds are compared, not
   samples, so that converter noise does not pass for a response. Silent until the baseline could be finished. */
static bool eda_not_responding(const nb_window_t *w)
{
    uint32_t seconds = w->frames / NB_WINDOW_SECOND_FRAMES, low = UINT32_MAX, high = 0;
    if (w->frames < NB_BASELINE_MIN_FRAMES)
        return false;
    for (uint32_t i = 0; i < seconds && i < NB_WINDOW_EDA_SECONDS; i++) {
        low = w->eda_seconds[i] < low ? w->eda_seconds[i] : low;
        high = w->eda_seconds[i] > high ? w->eda_seconds[i] : high;
    }
    return high - low < NB_TRUST_EDA_NOT_RESPONDING_COUNTS * EDA_SECOND_SAMPLES;
}

uint16_t nb_window_why(const nb_window_t *w)
{
    unsigned any = 0, all = EMG1_FLAT | EMG2_FLAT, why = 0;
    uint32_t saturated = 0, held = frames_held(w);
    for (uint32_t i = 0; i < held; i++) {
        any |= w->trouble[i];
        all &= w->trouble[i];
        saturated += w->saturated[i];
    }
    why |= w->frames < NB_BASELINE_MIN_FRAMES ? NB_NO_SCORE_BASELINE_UNFINISHED : 0;
    why |= held < NB_WINDOW_FRAMES ? NB_NO_SCORE_WINDOW_INCOMPLETE : 0;
    why |= any & EDA_OFF ? NB_NO_SCORE_EDA_ELECTRODE_OFF : 0;
    why |= held && all ? NB_NO_SCORE_EMG_ELECTRODE_OFF : 0;
    why |= saturated > NB_TRUST_SATURATED_SAMPLES_MAX ? NB_NO_SCORE_SATURATION : 0;
    why |= any & MOTION ? NB_NO_SCORE_MOTION : 0;
    why |= eda_not_responding(w) ? NB_NO_SCORE_EDA_NOT_RESPONDING : 0;
    why |= any & UNDERRUN ? NB_NO_SCORE_UNDERRUN : 0;
    return (uint16_t)why;
}

uint8_t nb_window_quality_percent(const nb_window_t *w)
{
    uint32_t good = 0, held = frames_held(w);
    for (uint32_t i = 0; i < held; i++)
        good += w->trouble[i] == 0;
    return (uint8_t)(100u * good / NB_WINDOW_FRAMES / (eda_not_responding(w) ? 2u : 1u));
}

static int16_t scaled(int32_t difference, nb_input_scale_t scale)
{
    int64_t product = (int64_t)difference * scale.mult; /* |product| <= 2^62 */
    int bits = scale.shift + NB_WINDOW_BASELINE_Q;
    int64_t size = ((product < 0 ? -product : product) + ((int64_t)1 << (bits - 1))) >> bits;
    if (product < 0)
        return size > -(int64_t)INT16_MIN ? INT16_MIN : (int16_t)-size;
    return size > INT16_MAX ? INT16_MAX : (int16_t)size;
}

void nb_window_input(const nb_window_t *w, const nb_input_scale_t scale[NB_FEATURES], int16_t x[NB_WINDOW_FRAMES][NB_FEATURES])
{
    uint32_t held = frames_held(w), at = held < NB_WINDOW_FRAMES ? 0 : w->frames % NB_WINDOW_FRAMES;
    memset(x, 0, sizeof(int16_t[NB_WINDOW_FRAMES][NB_FEATURES]));
    for (uint32_t t = 0; t < held; t++) {
        for (unsigned k = 0; k < NB_FEATURES; k++) {
            int32_t f = w->features[at][k] * (1 << NB_WINDOW_BASELINE_Q);
            x[t][k] = scaled(USES_BASELINE[k] ? f - w->baseline[k] : f, scale[k]);
        }
        at = at + 1 < NB_WINDOW_FRAMES ? at + 1 : 0;
    }
}
