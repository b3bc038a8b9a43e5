/* See nb_nn_branch.h. The parts are the readable forms; on a Cortex-M4F the generator's assembly of them runs instead. */
#include "nb_nn_branch.h"

#include <string.h>

#include "nb_nn_simd.h"

enum { SIGMOID_BITS = 11, WEIGHT = 1 << 17 /* 2^-15 as a factor of nb_smmulr */ };

void nb_nn_pool(const nb_nn_attention_t *a, const int16_t *h, uint32_t units, int16_t pooled[2])
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
    /* As nb_nn_rescale, for a sum below 2^30 and a right shift. */
    const int32_t half = (1 << (-a->mean.shift - 1)) + (sum >> 31);
    const int32_t mean = nb_smmlar(2 * sum, a->mean.multiplier, half) >> -a->mean.shift;
    nb_simd_store(pooled, nb_simd_pack(low > high ? low : high, nb_ssat(mean, 16)));
}

int32_t nb_nn_weight(const nb_nn_attention_t *a, const int16_t (*pooled)[2])
{
    int32_t sum = a->bias;
    for (uint32_t k = 0; k < a->kernel; k++) {
        sum = nb_smlad(nb_simd_load(pooled[k]), nb_simd_load(a->taps[k]), sum);
    }
    const int32_t right = a->convolution.right - 16;
    const int32_t scaled = nb_smmla(sum, a->convolution.multiplier << 16, 1 << (right - 1)) >> right;
    return a->sigmoid[nb_ssat(scaled, SIGMOID_BITS)];
}

/* value * weight / 2^15 from the product as LiteRT's MUL rounds it: to the nearest of 2^-1, halves up, then to the nearest of
   2^-14 of that, halves away from zero. Adding 1 in the product's direction before one rounding comes to the same. */
static inline int32_t weighted(int32_t product)
{
    return nb_smmulr(product + (1 | product >> 31), WEIGHT);
}

void nb_nn_gather(const int16_t *first, const int16_t *second, uint32_t weights, uint32_t units, int32_t *sum, int16_t *largest)
{
    for (uint32_t u = 0; u < units; u += 2) {
        const uint32_t a = nb_simd_load(first + u);
        const uint32_t b = nb_simd_load(second + u);
        const int32_t a_low = weighted(nb_simd_low(a) * nb_simd_low(weights));
        const int32_t a_high = weighted(nb_simd_high(a) * nb_simd_low(weights));
        const int32_t b_low = weighted(nb_simd_low(b) * nb_simd_high(weights));
        const int32_t b_high = weighted(nb_simd_high(b) * nb_simd_high(weights));
        sum[u] += a_low + b_low;
        sum[u + 1] += a_high + b_high;
        const uint32_t larger = nb_max16(nb_simd_pack(a_low, a_high), nb_simd_pack(b_low, b_high));
        nb_simd_store(largest + u, nb_max16(larger, nb_simd_load(largest + u)));
    }
}

static void start(const nb_nn_branch_t *b, const nb_nn_branch_memory_t *m, int16_t *maximum)
{
    memset(m->rows, 0, b->lstm->row * sizeof *m->rows);
    memset(m->pooled, 0, (b->frames + b->attention->kernel - 1u) * sizeof *m->pooled);
    memset(m->sum, 0, b->lstm->units * sizeof *m->sum);
    for (uint32_t u = 0; u < b->lstm->units; u++) {
        maximum[u] = INT16_MIN;
    }
}

/* The row that a step reads, x in it. The last row goes on as the first. */
static int16_t *next_row(const nb_nn_branch_t *b, const nb_nn_branch_memory_t *m, uint32_t t, const int16_t *x)
{
    const uint32_t row = b->lstm->row;
    const uint32_t at = t % NB_NN_BRANCH_ROWS;
    if (at == 0 && t > 0) {
        memcpy(m->rows, m->rows + NB_NN_BRANCH_ROWS * row, row * sizeof *m->rows);
    }
    for (uint32_t c = 0; c < b->channels; c += 2) {
        nb_simd_store(m->rows + at * row + c, nb_simd_load(x + c));
    }
    return m->rows + at * row;
}

/* Where h of step t lies. */
static const int16_t *hidden(const nb_nn_branch_t *b, const nb_nn_branch_memory_t *m, uint32_t t)
{
    return m->rows + (t % NB_NN_BRANCH_ROWS + 1) * b->lstm->row + b->lstm->inputs;
}

void nb_nn_branch(const nb_nn_branch_t *b, const int16_t *x, uint32_t stride, const nb_nn_branch_memory_t *m, int16_t *mean,
                  int16_t *maximum)
{
    const nb_nn_attention_t *a = b->attention;
    const uint32_t ahead = a->kernel / 2u;
    start(b, m, maximum);
    for (uint32_t t = 0; t < b->frames + ahead; t++) {
        if (t < b->frames) {
            b->step(b->lstm, next_row(b, m, t, x + t * stride));
            b->pool(a, hidden(b, m, t), b->lstm->units, m->pooled[t + ahead]);
        }
        if (t > ahead && (t - ahead) % 2 == 1) { /* two steps at a time, once all is known of them */
            const uint32_t first = t - ahead - 1;
            const int32_t low = b->weight(a, (const int16_t(*)[2])m->pooled[first]);
            const int32_t high = b->weight(a, (const int16_t(*)[2])m->pooled[first + 1]);
            b->gather(hidden(b, m, first), hidden(b, m, first + 1), nb_simd_pack(low, high), b->lstm->units, m->sum, maximum);
        }
    }
    for (uint32_t u = 0; u < b->lstm->units; u++) {
        mean[u] = nb_nn_clamp_int16(nb_nn_rescale(m->sum[u], &b->over_time));
    }
}
