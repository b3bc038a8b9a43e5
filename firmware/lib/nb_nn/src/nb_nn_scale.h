/* Scale factors as integers, and how values are multiplied by them: shared by every kernel of nb_nn.
   Formulas follow LiteRT's published integer arithmetic, so that results are the same to the bit. */
#ifndef NB_NN_SCALE_H
#define NB_NN_SCALE_H
#include "nb_nn_simd.h"

/* Times multiplier / 2^31 * 2^shift, rounded twice as LiteRT does for 32-bit values. multiplier is in [2^30, 2^31), or 0. */
typedef struct {
    int32_t multiplier;
    int32_t shift;
} nb_nn_scale_t;

/* Times multiplier / 2^right, rounded once: the scheme of matrix products. right is 1 to 62. */
typedef struct {
    int32_t multiplier;
    int32_t right;
} nb_nn_channel_t;

_Static_assert((-3 >> 1) == -2, "right shifts of negative numbers must be arithmetic");

static inline int16_t nb_nn_clamp_int16(int64_t v)
{
    if (v > INT16_MAX) {
        return INT16_MAX;
    }
    return v < INT16_MIN ? INT16_MIN : (int16_t)v;
}

/* v * s->multiplier / 2^31, half up (which is what LiteRT's doubling high product does), then 2^shift, half away from zero. */
static inline int32_t nb_nn_rescale(int32_t v, const nb_nn_scale_t *s)
{
    const int32_t left = s->shift > 0 ? s->shift : 0;
    const int32_t right = s->shift < 0 ? -s->shift : 0;
    const int32_t high = (int32_t)(((int64_t)(v * (1 << left)) * s->multiplier + ((int64_t)1 << 30)) >> 31);
    const int32_t mask = (int32_t)(((uint32_t)1 << right) - 1u);
    const int32_t threshold = (mask >> 1) + (high < 0 ? 1 : 0);
    return (high >> right) + ((high & mask) > threshold ? 1 : 0);
}

/* A nb_nn_scale_t taken apart before a loop. The generator proves that v << left fits 32 bits, and right is 30 at most. */
typedef struct {
    int32_t multiplier;
    uint32_t left; /* one more than the scale's, for the product's lost bit */
    uint32_t right;
    int32_t half;
    int32_t sign; /* all ones when there is something to round: then negative halves go down */
} nb_nn_ready_t;

static inline nb_nn_ready_t nb_nn_ready(const nb_nn_scale_t *s)
{
    const uint32_t right = s->shift < 0 ? (uint32_t)-s->shift : 0;
    return (nb_nn_ready_t){s->multiplier, 1 + (s->shift > 0 ? (uint32_t)s->shift : 0), right, right > 0 ? 1 << (right - 1) : 0,
                           right > 0 ? -1 : 0};
}

static inline int32_t nb_nn_shift_ready(int32_t v, const nb_nn_ready_t *r)
{
    return (v + r->half + ((v >> 31) & r->sign)) >> r->right;
}

/* As nb_nn_rescale. */
static inline int32_t nb_nn_rescale_ready(int32_t v, const nb_nn_ready_t *r)
{
    return nb_nn_shift_ready(nb_smmulr((int32_t)((uint32_t)v << r->left), r->multiplier), r);
}

#endif
