/* Sums, differences, products and changes of scale, element by element; _s16 for the scheme int16x8, _s8 for int8. Gives LiteRT's
   ADD, SUB, MUL, QUANTIZE and RELU (with its like). See nb_nn.h for what all kernels share. */
#ifndef NB_NN_ARITHMETIC_H
#define NB_NN_ARITHMETIC_H
#include "nb_nn_scale.h"

/* How a sum or a product becomes an output: on its scale, plus its zero point, clamped. */
typedef struct {
    nb_nn_scale_t scale;
    int32_t zero;
    int32_t low;
    int32_t high;
} nb_nn_output_t;

static inline int32_t nb_nn_output(int32_t v, const nb_nn_output_t *o)
{
    const int32_t y = nb_nn_rescale(v, &o->scale) + o->zero;
    return y < o->low ? o->low : y > o->high ? o->high : y;
}

/* Which elements of a and b meet: in up to three loops, by how many elements each moves on (0 where it is repeated). y is dense.
 */
typedef struct {
    uint32_t count[3];
    int32_t a[3];
    int32_t b[3];
} nb_nn_pairs_t;

/* A sum: each input without its zero point, << left, on the common scale; `sign` is -1 for a - b. */
typedef struct {
    int32_t a_zero;
    int32_t b_zero;
    uint32_t left;
    int32_t sign;
    nb_nn_scale_t a;
    nb_nn_scale_t b;
    nb_nn_output_t sum;
} nb_nn_sum_t;

typedef struct {
    int32_t a_zero;
    int32_t b_zero;
    nb_nn_output_t product;
} nb_nn_product_t;

/* y may be an input that is not repeated. */
void nb_nn_sum_s16(const int16_t *a, const int16_t *b, const nb_nn_pairs_t *pairs, const nb_nn_sum_t *how, int16_t *y);
void nb_nn_sum_s8(const int8_t *a, const int8_t *b, const nb_nn_pairs_t *pairs, const nb_nn_sum_t *how, int8_t *y);
void nb_nn_product_s16(const int16_t *a, const int16_t *b, const nb_nn_pairs_t *pairs, const nb_nn_product_t *how, int16_t *y);
void nb_nn_product_s8(const int8_t *a, const int8_t *b, const nb_nn_pairs_t *pairs, const nb_nn_product_t *how, int8_t *y);

/* y = x on another scale, within other limits. y may be x. In int8 this is a table, see nb_nn_activation.h. */
void nb_nn_requantise_s16(const int16_t *x, uint32_t n, const nb_nn_output_t *how, int16_t *y);

#endif
