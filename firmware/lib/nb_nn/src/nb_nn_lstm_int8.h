/* LiteRT's integer LSTM: int8 input and hidden state, int16 gates (steps of 2^-12) and cell state, int8 weights, zero points 0.
   Called by the C that nociband_convert.lstm_int8 generates; the same bits as LiteRT's reference kernel of
   UNIDIRECTIONAL_SEQUENCE_LSTM (tests/parity/test_nn_lstm_int8.py). What the generator proves, and this file relies on:
   accumulators times their left shift fit 32 bits, right shifts are at most 31.

   Everything is here, inline: with a constant nb_nn_lstm_int8_t the compiler turns shifts and sizes into immediates. The same
   with a variable one, for flash's sake, is nb_nn_lstm_int8 in nb_nn_lstm_int8.c. */
#ifndef NB_NN_LSTM_INT8_H
#define NB_NN_LSTM_INT8_H
#include <stdint.h>
#include <string.h>

#include "nb_nn_simd.h"

#define NB_NN_LSTM_INLINE static inline __attribute__((always_inline))

/* Gates in the order i, f, g, o. */
#define NB_NN_LSTM_GATES 4u

/* The curve both sigmoid and tanh are made of: 4096 * tanh(v / 2), v in steps of 2^-12, as LiteRT's arithmetic has it. From
   NB_NN_LSTM_CURVE_LAST on it is constant. A block of 128 steps has its line {start, slope in 2^-14}, a step what is added. */
#define NB_NN_LSTM_CURVE_LAST 37460u
#define NB_NN_LSTM_CURVE_BLOCK_BITS 7u

/* Times 2^left * multiplier / 2^32, rounded half up, then / 2^right, rounded half away from zero. */
typedef struct {
    int32_t multiplier;
    uint8_t left;
    uint8_t right;
} nb_nn_lstm_rescale_t;

typedef struct {
    uint32_t inputs;
    uint32_t hidden;
    uint32_t packed; /* recurrent weights are int8, four columns a word as SXTB16 wants them; else int16, two a word */
    /* A unit at a time: four biases; the words of its four gates for two inputs at once; the same for the hidden state. */
    const uint32_t *weights;
    nb_nn_lstm_rescale_t input[NB_NN_LSTM_GATES];
    nb_nn_lstm_rescale_t recurrent[NB_NN_LSTM_GATES];
    nb_nn_lstm_rescale_t output;
    uint8_t cell_right; /* i * g / 2^cell_right is on the cell state's scale: 30 + its exponent */
    uint8_t cell_left;  /* the cell state * 2^cell_left is on the curve's scale: 13 + its exponent */
    int16_t clip;       /* the cell state's limit, 0 for none */
    const int16_t *curve_lines; /* {start, slope}; start alone where the curve's steps are bytes */
    const uint8_t *curve_steps; /* a byte a step, or (packed) a nibble */
} nb_nn_lstm_int8_t;

/* Numbers of int16 of state that a run needs, aligned to 4 bytes. */
#define NB_NN_LSTM_COLUMNS(n) (((n) + 3u) / 4u * 4u)
#define NB_NN_LSTM_STATE(inputs, hidden) (3u * NB_NN_LSTM_COLUMNS(hidden) + NB_NN_LSTM_COLUMNS(inputs))

NB_NN_LSTM_INLINE int32_t nb_nn_lstm_curve(const nb_nn_lstm_int8_t *k, uint32_t v)
{
    const uint32_t block = v >> NB_NN_LSTM_CURVE_BLOCK_BITS;
    if (!k->packed) {
        return k->curve_lines[block] + k->curve_steps[v];
    }
    const uint32_t line = nb_simd_load(&k->curve_lines[2 * block]);
    const int32_t within = (int32_t)(v & ((1u << NB_NN_LSTM_CURVE_BLOCK_BITS) - 1u));
    const uint32_t nibbles = nb_simd_load(&k->curve_steps[v >> 3 << 2]);
    return nb_simd_low(line) + (nb_simd_high(line) * within >> 14) + (int32_t)(nibbles >> (v << 2 & 28u) & 15u);
}

/* z in steps of 2^-12 -> steps of 2^-15. The curve is odd, sigmoid(-z) = 1 - sigmoid(z), and 1 is 32767. */
NB_NN_LSTM_INLINE int32_t nb_nn_lstm_sigmoid(const nb_nn_lstm_int8_t *k, int32_t z)
{
    const int32_t sign = z >> 31;
    return ((2 * nb_nn_lstm_curve(k, (uint32_t)((z ^ sign) - sign))) ^ sign) + 16384;
}

/* z * 2^(left - 13) -> steps of 2^-15. */
NB_NN_LSTM_INLINE int32_t nb_nn_lstm_tanh(const nb_nn_lstm_int8_t *k, int32_t z, uint32_t left)
{
    const int32_t sign = z >> 31;
    const uint32_t v = (uint32_t)((z ^ sign) - sign) << left;
    const int32_t size = nb_ssat(4 * nb_nn_lstm_curve(k, v < NB_NN_LSTM_CURVE_LAST ? v : NB_NN_LSTM_CURVE_LAST), 16);
    return (size ^ sign) - sign;
}

/* Before the last shift, which is the caller's: it comes with a saturation or an addition in one instruction. `negative` has
   the sign of v, where v is not 0. */
NB_NN_LSTM_INLINE int32_t nb_nn_lstm_rescale(int32_t v, const nb_nn_lstm_rescale_t *s, int32_t negative)
{
    const int32_t high = v * (int32_t)(UINT32_C(1) << s->left);
    if (s->right == 0) {
        return nb_smmulr(high, s->multiplier);
    }
    return nb_smmlar(high, s->multiplier, INT32_C(1) << (s->right - 1)) + (negative >> 31);
}

/* The four gates' sums over `pairs` words of x; returns the weights behind those used. */
NB_NN_LSTM_INLINE const uint32_t *nb_nn_lstm_dot(const uint32_t *w, const int16_t *x, uint32_t pairs, int32_t sum[NB_NN_LSTM_GATES])
{
    for (uint32_t i = 0; i < pairs; i++, w += NB_NN_LSTM_GATES) {
        const uint32_t two = nb_simd_load(x + 2 * i);
#pragma GCC unroll 4
        for (uint32_t gate = 0; gate < NB_NN_LSTM_GATES; gate++) {
            sum[gate] = nb_smlad(w[gate], two, sum[gate]);
        }
    }
    return w;
}

/* The same with packed weights: a word is columns 0, 2, 1, 3. */
NB_NN_LSTM_INLINE const uint32_t *nb_nn_lstm_dot_packed(const uint32_t *w, const int16_t *x, uint32_t fours,
                                                        int32_t sum[NB_NN_LSTM_GATES])
{
    for (uint32_t i = 0; i < fours; i++, w += NB_NN_LSTM_GATES) {
        const uint32_t first = nb_simd_load(x + 4 * i);
        const uint32_t second = nb_simd_load(x + 4 * i + 2);
#pragma GCC unroll 4
        for (uint32_t gate = 0; gate < NB_NN_LSTM_GATES; gate++) {
            sum[gate] = nb_smlad(nb_sxtb16(w[gate]), first, sum[gate]);
            sum[gate] = nb_smlad(nb_sxtb16_ror8(w[gate]), second, sum[gate]);
        }
    }
    return w;
}

/* The gates of one hidden unit before their curves. */
NB_NN_LSTM_INLINE const uint32_t *nb_nn_lstm_gates(const nb_nn_lstm_int8_t *k, const uint32_t *w, const int16_t *x,
                                                   const int16_t *h, int32_t z[NB_NN_LSTM_GATES])
{
    int32_t sum[NB_NN_LSTM_GATES];
#pragma GCC unroll 4
    for (uint32_t gate = 0; gate < NB_NN_LSTM_GATES; gate++) {
        sum[gate] = (int32_t)w[gate];
    }
    w = nb_nn_lstm_dot(w + NB_NN_LSTM_GATES, x, (k->inputs + 1) / 2, sum);
#pragma GCC unroll 4
    for (uint32_t gate = 0; gate < NB_NN_LSTM_GATES; gate++) {
        z[gate] = nb_ssat(nb_nn_lstm_rescale(sum[gate], &k->input[gate], sum[gate]) >> k->input[gate].right, 16);
        sum[gate] = 0;
    }
    const uint32_t columns = NB_NN_LSTM_COLUMNS(k->hidden);
    w = k->packed ? nb_nn_lstm_dot_packed(w, h, columns / 4, sum) : nb_nn_lstm_dot(w, h, columns / 2, sum);
#pragma GCC unroll 4
    for (uint32_t gate = 0; gate < NB_NN_LSTM_GATES; gate++) {
        const int32_t recurrent = nb_nn_lstm_rescale(sum[gate], &k->recurrent[gate], sum[gate]);
        z[gate] = nb_ssat(z[gate] + (recurrent >> k->recurrent[gate].right), 16);
    }
    return w;
}

/* f * c + i * g. Sigmoids are positive: the products have the signs of c and g. */
NB_NN_LSTM_INLINE int32_t nb_nn_lstm_cell(const nb_nn_lstm_int8_t *k, int32_t i, int32_t f, int32_t g, int32_t c)
{
    const int32_t kept = f * c + (1 << 14) + (c >> 31);
    const int32_t added = i * g + (INT32_C(1) << (k->cell_right - 1)) + (g >> 31);
    const int32_t sum = nb_ssat((kept >> 15) + (added >> k->cell_right), 16);
    if (k->clip == 0) {
        return sum;
    }
    return sum > k->clip ? k->clip : sum < -k->clip ? -k->clip : sum;
}

/* One hidden unit in one step: its cell state is brought forward, its hidden state returned. */
NB_NN_LSTM_INLINE int32_t nb_nn_lstm_unit(const nb_nn_lstm_int8_t *k, const int32_t z[NB_NN_LSTM_GATES], int16_t *cell)
{
    const int32_t i = nb_nn_lstm_sigmoid(k, z[0]);
    const int32_t f = nb_nn_lstm_sigmoid(k, z[1]);
    const int32_t g = nb_nn_lstm_tanh(k, z[2], 1);
    const int32_t c = nb_nn_lstm_cell(k, i, f, g, *cell);
    *cell = (int16_t)c;
    const int32_t o = nb_nn_lstm_sigmoid(k, z[3]);
    const int32_t h = nb_nn_lstm_rescale(o * nb_nn_lstm_tanh(k, c, k->cell_left), &k->output, c);
    return nb_ssat(h >> k->output.right, 8);
}

/* A window from zero state: rows of x `stride` apart, clamped to int8, to hs[frames][hidden]. */
NB_NN_LSTM_INLINE void nb_nn_lstm_int8_run(const nb_nn_lstm_int8_t *k, const int16_t *x, uint32_t stride, uint32_t frames,
                                           int16_t *state, int8_t *hs)
{
    const uint32_t columns = NB_NN_LSTM_COLUMNS(k->hidden);
    int16_t *c = state + 2 * columns;
    int16_t *row = c + columns;
    memset(state, 0, NB_NN_LSTM_STATE(k->inputs, k->hidden) * sizeof *state);
    for (uint32_t t = 0; t < frames; t++, x += stride) {
        for (uint32_t i = 0; i < k->inputs; i++) {
            row[i] = (int16_t)nb_ssat(x[i], 8);
        }
        const int16_t *h = state + (t & 1u ? columns : 0);
        int16_t *next = state + (t & 1u ? 0 : columns);
        const uint32_t *w = k->weights;
        for (uint32_t u = 0; u < k->hidden; u++) {
            int32_t z[NB_NN_LSTM_GATES];
            w = nb_nn_lstm_gates(k, w, row, h, z);
            const int32_t value = nb_nn_lstm_unit(k, z, &c[u]);
            next[u] = (int16_t)value;
            *hs++ = (int8_t)value;
        }
    }
}

/* The same, not inline. */
void nb_nn_lstm_int8(const nb_nn_lstm_int8_t *k, const int16_t *x, uint32_t stride, uint32_t frames, int16_t *state, int8_t *hs);

#endif
