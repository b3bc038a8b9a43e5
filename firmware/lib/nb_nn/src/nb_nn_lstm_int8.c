/* See nb_nn_lstm_int8.h. */
#include "nb_nn_lstm_int8.h"

#include <string.h>

#include "nb_nn_simd.h"

static int32_t curve(const nb_nn_lstm_int8_t *lstm, uint32_t v)
{
    const uint32_t block = v >> NB_NN_LSTM_CURVE_BLOCK_BITS;
    if (!lstm->packed) {
        return lstm->curve_lines[block] + lstm->curve_steps[v];
    }
    const int16_t *line = &lstm->curve_lines[2 * block];
    const int32_t within = (int32_t)(v & ((1u << NB_NN_LSTM_CURVE_BLOCK_BITS) - 1u));
    const int32_t step = lstm->curve_steps[v / 2] >> 4 * (v % 2) & 15;
    return line[0] + (line[1] * within >> NB_NN_LSTM_CURVE_SLOPE_BITS) + step;
}

/* z in steps of 2^-12 -> steps of 2^-15. sigmoid(-z) is 1 - sigmoid(z), and 1 is 32767. */
static int32_t sigmoid(const nb_nn_lstm_int8_t *lstm, int32_t z)
{
    const int32_t sign = z >> 31;
    return (2 * curve(lstm, (uint32_t)((z ^ sign) - sign)) ^ sign) + 16384;
}

/* z in steps of 2^(left - 13) -> steps of 2^-15. */
static int32_t hyperbolic_tangent(const nb_nn_lstm_int8_t *lstm, int32_t z, uint32_t left)
{
    const int32_t sign = z >> 31;
    const uint32_t v = (uint32_t)((z ^ sign) - sign) << left;
    const int32_t size = nb_ssat(4 * curve(lstm, v < NB_NN_LSTM_CURVE_LAST ? v : NB_NN_LSTM_CURVE_LAST), 16);
    return (size ^ sign) - sign;
}

/* Half away from zero is half up of 1 less if negative. */
static int32_t rescale(int32_t v, const nb_nn_lstm_rescale_t *s)
{
    const int32_t high = nb_smmulr(v * (int32_t)(UINT32_C(1) << s->left), s->multiplier);
    return s->right == 0 ? high : (high + (INT32_C(1) << (s->right - 1)) + (high >> 31)) >> s->right;
}

static int32_t dot(const uint32_t *w, const int16_t *x, uint32_t pairs)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < pairs; i++) {
        sum = nb_smlad(w[NB_NN_LSTM_GATES * i], nb_simd_load(x + 2 * i), sum);
    }
    return sum;
}

static int32_t dot_packed(const uint32_t *w, const int16_t *x, uint32_t fours)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < fours; i++) {
        const uint32_t four = w[NB_NN_LSTM_GATES * i];
        sum = nb_smlad(nb_sxtb16(four), nb_simd_load(x + 4 * i), sum);
        sum = nb_smlad(nb_sxtb16_ror8(four), nb_simd_load(x + 4 * i + 2), sum);
    }
    return sum;
}

/* One gate in steps of 2^-12. LiteRT saturates after the input, and again with the hidden state added. */
static int32_t gate(const nb_nn_lstm_int8_t *lstm, const uint32_t *w, const int16_t *state, uint32_t which)
{
    const uint32_t columns = NB_NN_LSTM_COLUMNS(lstm->hidden);
    const uint32_t words = columns / (lstm->packed ? 4u : 2u);
    const uint32_t *bias = w + NB_NN_LSTM_GATES * words;
    const int32_t h = lstm->packed ? dot_packed(w, state, words) : dot(w, state, words);
    const int32_t x = (int32_t)*bias + dot(bias + NB_NN_LSTM_GATES, state + columns, NB_NN_LSTM_INPUTS(lstm->inputs) / 2);
    const int32_t z = nb_ssat(rescale(x, &lstm->input[which]), 16);
    return nb_ssat(z + rescale(h, &lstm->recurrent[which]), 16);
}

static int32_t half_away(int32_t v, uint32_t right)
{
    return (v + (INT32_C(1) << (right - 1)) + (v >> 31)) >> right;
}

void nb_nn_lstm_int8_step(const nb_nn_lstm_int8_t *lstm, int16_t *state)
{
    const uint32_t columns = NB_NN_LSTM_COLUMNS(lstm->hidden);
    const uint32_t words = columns / (lstm->packed ? 4u : 2u) + 1u + NB_NN_LSTM_INPUTS(lstm->inputs) / 2;
    int16_t *c = state + columns + NB_NN_LSTM_INPUTS(lstm->inputs);
    const uint32_t *w = lstm->stream;
    for (uint32_t u = 0; u < lstm->hidden; u++, w += NB_NN_LSTM_GATES * words) {
        const int32_t i = sigmoid(lstm, gate(lstm, w, state, 0));
        const int32_t f = sigmoid(lstm, gate(lstm, w + 1, state, 1));
        const int32_t g = hyperbolic_tangent(lstm, gate(lstm, w + 2, state, 2), 1);
        const int32_t o = sigmoid(lstm, gate(lstm, w + 3, state, 3));
        int32_t cell = nb_ssat(half_away(f * c[u], 15) + half_away(i * g, lstm->cell_right), 16);
        if (lstm->clip > 0) {
            cell = cell > lstm->clip ? lstm->clip : cell < -lstm->clip ? -lstm->clip : cell;
        }
        c[u] = (int16_t)cell;
        c[columns + u] = (int16_t)nb_ssat(rescale(o * hyperbolic_tangent(lstm, cell, lstm->cell_left), &lstm->output), 8);
    }
}

/* The next h becomes h, and a row of hs. Padding stays 0. */
static void take_over(const int16_t *next, uint32_t hidden, int16_t *h, int8_t *hs)
{
    uint32_t u = 0;
    for (; u + 4 <= hidden; u += 4) {
        const uint32_t a = nb_simd_load(next + u);
        const uint32_t b = nb_simd_load(next + u + 2);
        nb_simd_store(h + u, a);
        nb_simd_store(h + u + 2, b);
        const uint32_t low = (a & 0xFFu) | (a >> 8 & 0xFF00u);
        const uint32_t high = (b & 0xFFu) | (b >> 8 & 0xFF00u);
        nb_simd_store(hs + u, low | high << 16);
    }
    for (; u < hidden; u++) {
        h[u] = next[u];
        hs[u] = (int8_t)next[u];
    }
}

void nb_nn_lstm_int8(const nb_nn_lstm_int8_t *lstm, nb_nn_lstm_int8_step_t *step, const int16_t *x, uint32_t stride,
                     uint32_t steps, int16_t *state, int8_t *hs)
{
    const uint32_t columns = NB_NN_LSTM_COLUMNS(lstm->hidden);
    int16_t *row = state + columns;
    const int16_t *next = row + NB_NN_LSTM_INPUTS(lstm->inputs) + columns;
    memset(state, 0, NB_NN_LSTM_STATE(lstm->inputs, lstm->hidden) * sizeof *state);
    for (uint32_t t = 0; t < steps; t++, x += stride, hs += lstm->hidden) {
        for (uint32_t i = 0; i < lstm->inputs; i++) {
            row[i] = (int16_t)nb_ssat(x[i], 8);
        }
        step(lstm, state);
        take_over(next, lstm->hidden, state, hs);
    }
}
