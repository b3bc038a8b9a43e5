/* See nb_nn_lstm.h. This is the readable form; on a Cortex-M4F the generator's assembly of the same steps runs instead. */
#include "nb_nn_lstm.h"

#include "nb_nn_simd.h"

enum { GATES = 4, SIGMOID_BITS = 11, TANH_BITS = 10, TABLE_BITS = 17 };

/* sum[gate] += weights * values over the whole row; returns where the stream goes on. */
static const uint32_t *products(const nb_nn_lstm_t *l, const uint32_t *w, const int16_t *row, int32_t sum[GATES])
{
    for (uint32_t k = 0; k < l->words; k++, w += GATES) {
        const uint32_t first = nb_simd_load(row);
        row += 2;
        if (!l->packed) {
            for (uint32_t g = 0; g < GATES; g++) {
                sum[g] = nb_smlad(first, w[g], sum[g]);
            }
            continue;
        }
        const uint32_t second = nb_simd_load(row);
        row += 2;
        for (uint32_t g = 0; g < GATES; g++) {
            sum[g] = nb_smlad(second, nb_sxtb16_ror8(w[g]), nb_smlad(first, nb_sxtb16(w[g]), sum[g]));
        }
    }
    return w;
}

static int32_t gate(const nb_nn_lstm_t *l, int32_t sum, int32_t multiplier)
{
    const int64_t half = (int64_t)1 << (15 + l->right);
    return (int32_t)(((int64_t)sum * multiplier + half) >> (16 + l->right));
}

/* tanh of a cell in steps of 2^-15. */
static int32_t cell_tanh(const nb_nn_lstm_t *l, int32_t c)
{
    const int32_t v = nb_ssat(c * l->cell_factor, TABLE_BITS);
    const int32_t *line = l->cell_tanh[v >> 8];
    return (int32_t)((uint32_t)line[0] + (uint32_t)line[1] * (uint32_t)v) >> 16;
}

void nb_nn_lstm_step(const nb_nn_lstm_t *l, int16_t *row)
{
    static const nb_nn_scale_t keeps_scale = {1 << 30, -14}; /* 2^-15: what a sigmoid's step is */
    const uint32_t *w = l->stream;
    const int16_t *cells = row + l->inputs + l->units;
    int16_t *h_next = row + l->row + l->inputs;
    int16_t *c_next = h_next + l->units;
    for (uint32_t u = 0; u < l->units; u++) {
        int32_t sum[GATES] = {(int32_t)w[0], (int32_t)w[1], (int32_t)w[2], (int32_t)w[3]};
        w = products(l, w + GATES, row, sum);
        const int32_t i = l->sigmoid[nb_ssat(gate(l, sum[0], nb_simd_low(w[0])), SIGMOID_BITS)];
        const int32_t f = l->sigmoid[nb_ssat(gate(l, sum[1], nb_simd_high(w[0])), SIGMOID_BITS)];
        const int32_t g = l->tanh[nb_ssat(gate(l, sum[2], nb_simd_low(w[1])), TANH_BITS)];
        const int32_t o = l->sigmoid[nb_ssat(gate(l, sum[3], nb_simd_high(w[1])), SIGMOID_BITS)];
        w += 2;
        const int32_t kept = nb_nn_rescale(f * cells[u], &keeps_scale);
        const int16_t c = nb_nn_clamp_int16(kept + nb_nn_rescale(i * g, &l->added));
        c_next[u] = c;
        h_next[u] = nb_nn_clamp_int16(nb_nn_rescale(o * cell_tanh(l, c), &l->hidden));
    }
}
