/* How a layer's sums of products become its outputs: shared by the kernels of nb_nn_matrix.h, not for use outside. */
#ifndef NB_NN_LAYER_H
#define NB_NN_LAYER_H
#include <stdbool.h>

#include "nb_nn_matrix.h"
#include "nb_nn_simd.h"

static inline int32_t nb_nn_limit(int32_t v, int32_t least, int32_t greatest)
{
    return v < least ? least : v > greatest ? greatest : v;
}

/* v * multiplier / 2^right, half up; the generator proves that it fits. Beyond 32 the low word has no say in the rounding. */
static inline int32_t nb_nn_scale_once(int32_t v, const nb_nn_channel_t *c)
{
    return (nb_smmul(v, c->multiplier) + (1 << (c->right - 33))) >> (c->right - 32);
}

/* v * multiplier / 2^31, half up, / 2^(right - 31), half away from zero. */
static inline int32_t nb_nn_scale_twice(int32_t v, const nb_nn_channel_t *c)
{
    const int32_t high = nb_smmulr(v * 2, c->multiplier);
    return (high + (high >> 31) + (1 << (c->right - 32))) >> (c->right - 31);
}

/* What the two above do not cover: factors of 1/4 or more, and multipliers of more than 31 bits (once, half up). */
__attribute__((pure)) int32_t nb_nn_scale_rarely(const nb_nn_layer_t *l, uint32_t o, int32_t v, bool twice);

/* The output that a sum becomes. */
static inline int32_t nb_nn_finish(const nb_nn_layer_t *l, uint32_t o, int32_t sum, bool twice)
{
    const nb_nn_channel_t *c = &l->channels[o];
    int32_t v;
    if (c->right <= 32 || l->fine != NULL) {
        v = nb_nn_scale_rarely(l, o, sum, twice);
    } else {
        v = twice ? nb_nn_scale_twice(sum, c) : nb_nn_scale_once(sum, c);
    }
    return nb_nn_limit(v + l->y_zero, l->least, l->greatest);
}

/* The same for outputs o to o + 3, in place. */
void nb_nn_finish4(const nb_nn_layer_t *l, uint32_t o, int32_t sum[4], bool twice);

/* (multiplier + fine / 2^31) / 2^right of |v| below 2^40, half up, in two parts of 20 bits; right is 21 to 62. */
static inline int16_t nb_nn_finish_wide(const nb_nn_layer_t *l, uint32_t o, int64_t v)
{
    const nb_nn_channel_t *c = &l->channels[o];
    const int64_t fine = l->fine ? l->fine[o] : 0;
    const int64_t high = v >> 20;
    const int64_t low = v & 0xFFFFF;
    const int64_t rest = low * c->multiplier + ((high * fine + (low * fine >> 20)) >> 11);
    const int64_t y = (high * c->multiplier + ((rest + ((int64_t)1 << (c->right - 1))) >> 20)) >> (c->right - 20);
    return (int16_t)(y < l->least ? l->least : y > l->greatest ? l->greatest : y);
}

#endif
