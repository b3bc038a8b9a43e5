/* See nb_dsp.h. The twin is sdk/nociband/dsp/twin.py; change both together. */
#include "nb_dsp.h"

#include <string.h>

_Static_assert((-1 >> 1) == -1, "a right shift of a negative number must keep its sign");
_Static_assert(NB_EMG_PER_BLOCK == 40u, "LOG2_PER_BLOCK is log2(40)");
_Static_assert(NB_EDA_PER_BLOCK == 2u, "the EDA is decimated by keeping the second sample of a block");
_Static_assert(NB_EDA_COUNTS_PER_UNIT == 512u, "EDA_UNIT_BITS is log2(512)");

#define COEFFICIENT_Q  30
#define LOG2_PER_BLOCK 87194 /* log2(40) * 2^14 */
#define EDA_UNIT_BITS  9     /* counts a uS */
#define EMG_Q          11    /* q of the EMG features */

typedef struct {
    int32_t b0, b1, b2, a1, a2;
} section_t;

static const section_t EMG_HIGH_PASS = NB_SECTION_EMG_HIGH_PASS;
static const section_t EMG_LOW_PASS = NB_SECTION_EMG_LOW_PASS;
static const section_t EDA_LOW_PASS = NB_SECTION_EDA_LOW_PASS;
static const section_t EDA_TONIC = NB_SECTION_EDA_TONIC;
static const int FEATURE_Q[NB_FEATURES] = NB_FEATURE_Q;

/* One sample through one section. The sum is exact in 64 bits: five products of at most 2^31 * 2^31, bounded together. */
static inline int32_t section_step(const section_t *c, nb_dsp_section_t *s, int32_t x)
{
    int64_t sum = (int64_t)s->remainder;
    sum += (int64_t)c->b0 * x + (int64_t)c->b1 * s->x1 + (int64_t)c->b2 * s->x2;
    sum -= (int64_t)c->a1 * s->y1 + (int64_t)c->a2 * s->y2;
    int32_t y = (int32_t)(sum >> COEFFICIENT_Q);
    s->remainder = (uint32_t)sum & ((1u << COEFFICIENT_Q) - 1u);
    s->x2 = s->x1;
    s->x1 = x;
    s->y2 = s->y1;
    s->y1 = y;
    return y;
}

/* The state that a section would have reached had its input been x and its output y for ever. */
static void section_settle(nb_dsp_section_t *s, int32_t x, int32_t y)
{
    *s = (nb_dsp_section_t){.x1 = x, .x2 = x, .y1 = y, .y2 = y, .remainder = 0};
}

static int16_t saturate(int32_t v)
{
    return v > INT16_MAX ? INT16_MAX : v < INT16_MIN ? INT16_MIN : (int16_t)v;
}

/* v / 2^bits, halves upwards. */
static int32_t round_shift(int32_t v, int bits)
{
    return (int32_t)(((int64_t)v + ((int64_t)1 << (bits - 1))) >> bits);
}

/* Bit by bit: squaring a mantissa in [1, 2) doubles its logarithm, and the carry past 2 is the next bit. */
int32_t nb_dsp_log2(uint64_t value)
{
    int exponent = 63 - __builtin_clzll(value);
    uint32_t mantissa = (uint32_t)((value << (63 - exponent)) >> 32); /* Q31, in [1, 2) */
    int32_t result = exponent;
    for (int i = 0; i < NB_DSP_LOG2_Q; i++) {
        uint64_t square = ((uint64_t)mantissa * mantissa) >> 31; /* Q31, in [1, 4) */
        uint32_t carry = (uint32_t)(square >> 32);
        mantissa = (uint32_t)(square >> carry);
        result = result * 2 + (int32_t)carry;
    }
    return result;
}

/* log2 of the RMS in counts, from the sum of a block's squares in counts^2 * 2^(2 * NB_DSP_EMG_FRACTION_BITS); at least 0. */
static int16_t log2_rms(int64_t sum_of_squares)
{
    if (sum_of_squares <= 0)
        return 0;
    const int32_t unit = LOG2_PER_BLOCK + 2 * NB_DSP_EMG_FRACTION_BITS * (1 << NB_DSP_LOG2_Q);
    int32_t log2_mean = nb_dsp_log2((uint64_t)sum_of_squares) - unit;
    /* the root halves the logarithm: one more bit to drop */
    return log2_mean <= 0 ? 0 : saturate(round_shift(log2_mean, NB_DSP_LOG2_Q + 1 - EMG_Q));
}

static void emg_block(nb_dsp_t *dsp, unsigned channel, const int16_t emg[][NB_EMG_CHANNELS], int16_t *rms, int16_t *envelope)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < NB_EMG_PER_BLOCK; i++) {
        int32_t x = emg[i][channel] * (1 << NB_DSP_EMG_FRACTION_BITS);
        int32_t y = section_step(&EMG_LOW_PASS, &dsp->emg_low_pass[channel],
                                 section_step(&EMG_HIGH_PASS, &dsp->emg_high_pass[channel], x));
        sum += (int64_t)y * y;
    }
    if (!dsp->started)
        dsp->emg_envelope[channel] = sum;
    dsp->emg_envelope[channel] += (sum - dsp->emg_envelope[channel]) >> NB_EMG_ENVELOPE_SHIFT;
    *rms = log2_rms(sum);
    *envelope = log2_rms(dsp->emg_envelope[channel]);
}

static void eda_block(nb_dsp_t *dsp, const uint16_t eda[NB_EDA_PER_BLOCK], int16_t *tonic, int16_t *phasic)
{
    int32_t filtered = 0;
    for (unsigned i = 0; i < NB_EDA_PER_BLOCK; i++) /* the last one is kept: 50 Hz to 25 Hz */
        filtered = section_step(&EDA_LOW_PASS, &dsp->eda_low_pass, (int32_t)eda[i] * (1 << NB_DSP_EDA_FRACTION_BITS));
    if (!dsp->started)
        section_settle(&dsp->eda_tonic, filtered, filtered);
    int32_t level = section_step(&EDA_TONIC, &dsp->eda_tonic, filtered);
    const int unit_bits = NB_DSP_EDA_FRACTION_BITS + EDA_UNIT_BITS;
    *tonic = saturate(round_shift(level, unit_bits - FEATURE_Q[NB_FEATURE_EDA_TONIC]));
    *phasic = saturate(round_shift(filtered - level, unit_bits - FEATURE_Q[NB_FEATURE_EDA_PHASIC]));
}

static void start(nb_dsp_t *dsp, const int16_t emg[NB_EMG_CHANNELS], uint16_t eda)
{
    for (unsigned c = 0; c < NB_EMG_CHANNELS; c++)
        section_settle(&dsp->emg_high_pass[c], emg[c] * (1 << NB_DSP_EMG_FRACTION_BITS), 0);
    int32_t x = (int32_t)eda * (1 << NB_DSP_EDA_FRACTION_BITS);
    section_settle(&dsp->eda_low_pass, x, x);
}

void nb_dsp_reset(nb_dsp_t *dsp)
{
    memset(dsp, 0, sizeof *dsp);
}

void nb_dsp_block(nb_dsp_t *dsp, const int16_t emg[NB_EMG_PER_BLOCK][NB_EMG_CHANNELS], const uint16_t eda[NB_EDA_PER_BLOCK],
                  int16_t features[NB_FEATURES])
{
    if (!dsp->started)
        start(dsp, emg[0], eda[0]);
    eda_block(dsp, eda, &features[NB_FEATURE_EDA_TONIC], &features[NB_FEATURE_EDA_PHASIC]);
    emg_block(dsp, 0, emg, &features[NB_FEATURE_EMG1_RMS], &features[NB_FEATURE_EMG1_ENV]);
    emg_block(dsp, 1, emg, &features[NB_FEATURE_EMG2_RMS], &features[NB_FEATURE_EMG2_ENV]);
    dsp->started = true;
}
