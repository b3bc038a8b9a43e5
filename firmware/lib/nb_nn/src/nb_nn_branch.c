/* See nb_nn_branch.h. */
#include "nb_nn_branch.h"

#include <string.h>

#include "nb_nn_elementwise.h"
#include "nb_nn_simd.h"

/* The largest of h[units], and the mean. */
static void pool(const nb_nn_attention_t *a, const int16_t *h, uint32_t units, int16_t pooled[2])
{
    uint32_t largest = nb_simd_load(h);
    int32_t sum = 0;
    for (uint32_t u = 0; u < units; u += 2) {
        const uint32_t two = nb_simd_load(h + u);
        sum = nb_smlad(two, 0x00010001u, sum);
        largest = nb_max16(two, largest);
    }
    const int32_t low = nb_simd_low(largest);
    const int32_t high = nb_simd_high(largest);
    pooled[0] = (int16_t)(low > high ? low : high);
    pooled[1] = nb_nn_clamp_int16(nb_nn_rescale(sum, &a->mean));
}

/* The weight of a step in steps of 2^-15, from the pooled values around it. */
static int32_t weight(const nb_nn_attention_t *a, const int16_t (*pooled)[2])
{
    int32_t sum = a->bias;
    for (uint32_t k = 0; k < a->kernel; k++) {
        sum = nb_smlad(nb_simd_load(pooled[k]), nb_simd_load(a->taps[k]), sum);
    }
    int16_t y = nb_nn_rescale_once(sum, &a->convolution);
    nb_nn_logistic(&y, 1, a->logistic_multiplier, a->logistic_right, &y);
    return y;
}

/* value * weight / 2^15 as LiteRT's MUL rounds it (to the nearest of 2^-1, then of 2^-14 of that, halves away from zero).
   Adding 1 in the value's direction before one rounding comes to the same. */
static int32_t weighted(int32_t value, int32_t weight)
{
    const int32_t product = value * weight;
    return nb_smmulr(product + (1 | product >> 31), 1 << 17);
}

/* Adds weight * h[units] to `sum`, and keeps the largest of it. */
static void gather(const int16_t *h, int32_t weight, uint32_t units, int32_t *sum, int16_t *largest)
{
    for (uint32_t u = 0; u < units; u += 2) {
        const uint32_t two = nb_simd_load(h + u);
        const int32_t low = weighted(nb_simd_low(two), weight);
        const int32_t high = weighted(nb_simd_high(two), weight);
        sum[u] += low;
        sum[u + 1] += high;
        nb_simd_store(largest + u, nb_max16(nb_simd_pack(low, high), nb_simd_load(largest + u)));
    }
}

void nb_nn_branch(const nb_nn_branch_t *b, const int16_t *x, uint32_t stride, const nb_nn_branch_memory_t *m, int16_t *mean,
                  int16_t *maximum)
{
    const nb_nn_lstm_t *l = b->lstm;
    const uint32_t units = l->units;
    const uint32_t ahead = b->attention->kernel / 2u;
    memset(m->rows, 0, l->row * sizeof *m->rows);
    memset(m->pooled, 0, (b->frames + 2u * ahead) * sizeof *m->pooled);
    memset(m->sum, 0, units * sizeof *m->sum);
    for (uint32_t u = 0; u < units; u++) {
        maximum[u] = INT16_MIN;
    }
    uint32_t at = 0; /* the row that holds the last h */
    for (uint32_t t = 0; t < b->frames + ahead; t++) {
        if (at == NB_NN_BRANCH_ROWS && t < b->frames) {
            memcpy(m->rows, m->rows + at * l->row, l->row * sizeof *m->rows);
            at = 0;
        }
        int16_t *row = m->rows + at * l->row;
        if (t < b->frames) {
            memcpy(row, x + t * stride, b->channels * sizeof *x);
            b->step(l, row);
            pool(b->attention, row + l->row + l->inputs, units, m->pooled[t + ahead]);
            at++;
        }
        if (t >= ahead) {
            const uint32_t behind = t < b->frames ? ahead : b->frames + ahead - 1u - t;
            const uint32_t then = at >= behind + 1u ? at - behind : at + NB_NN_BRANCH_ROWS - behind;
            gather(m->rows + then * l->row + l->inputs, weight(b->attention, (const int16_t(*)[2])m->pooled[t - ahead]), units,
                   m->sum, maximum);
        }
    }
    for (uint32_t u = 0; u < units; u++) {
        mean[u] = nb_nn_clamp_int16(nb_nn_rescale(m->sum[u], &b->over_time));
    }
}
