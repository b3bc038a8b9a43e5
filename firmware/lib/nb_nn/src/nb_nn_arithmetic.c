/* See nb_nn_arithmetic.h. Both widths are made from the same loops, which the compiler specialises. */
#include "nb_nn_arithmetic.h"

#define SPECIALISED static inline __attribute__((always_inline))

typedef int32_t combine_t(int32_t a, int32_t b, const void *how);

SPECIALISED int32_t read(const void *x, int32_t at, uint32_t bytes)
{
    return bytes == 1 ? ((const int8_t *)x)[at] : ((const int16_t *)x)[at];
}

SPECIALISED void write(void *y, uint32_t at, int32_t v, uint32_t bytes)
{
    if (bytes == 1) {
        ((int8_t *)y)[at] = (int8_t)v;
    } else {
        ((int16_t *)y)[at] = (int16_t)v;
    }
}

SPECIALISED void each_pair(const void *a, const void *b, const nb_nn_pairs_t *p, combine_t *combine, const void *how, void *y,
                           uint32_t bytes)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < p->count[0]; i++) {
        for (uint32_t j = 0; j < p->count[1]; j++) {
            int32_t a_at = (int32_t)i * p->a[0] + (int32_t)j * p->a[1];
            int32_t b_at = (int32_t)i * p->b[0] + (int32_t)j * p->b[1];
            for (uint32_t k = 0; k < p->count[2]; k++, a_at += p->a[2], b_at += p->b[2], at++) {
                write(y, at, combine(read(a, a_at, bytes), read(b, b_at, bytes), how), bytes);
            }
        }
    }
}

SPECIALISED int32_t add(int32_t a, int32_t b, const void *how)
{
    const nb_nn_sum_t *s = how;
    const int32_t first = nb_nn_rescale((a - s->a_zero) * (1 << s->left), &s->a);
    const int32_t second = nb_nn_rescale((b - s->b_zero) * (1 << s->left), &s->b);
    return nb_nn_output(first + s->sign * second, &s->sum);
}

SPECIALISED int32_t multiply(int32_t a, int32_t b, const void *how)
{
    const nb_nn_product_t *p = how;
    return nb_nn_output((a - p->a_zero) * (b - p->b_zero), &p->product);
}

void nb_nn_sum_s16(const int16_t *a, const int16_t *b, const nb_nn_pairs_t *pairs, const nb_nn_sum_t *how, int16_t *y)
{
    each_pair(a, b, pairs, add, how, y, sizeof *y);
}

void nb_nn_sum_s8(const int8_t *a, const int8_t *b, const nb_nn_pairs_t *pairs, const nb_nn_sum_t *how, int8_t *y)
{
    each_pair(a, b, pairs, add, how, y, sizeof *y);
}

void nb_nn_product_s16(const int16_t *a, const int16_t *b, const nb_nn_pairs_t *pairs, const nb_nn_product_t *how, int16_t *y)
{
    each_pair(a, b, pairs, multiply, how, y, sizeof *y);
}

void nb_nn_product_s8(const int8_t *a, const int8_t *b, const nb_nn_pairs_t *pairs, const nb_nn_product_t *how, int8_t *y)
{
    each_pair(a, b, pairs, multiply, how, y, sizeof *y);
}

void nb_nn_requantise_s16(const int16_t *x, uint32_t n, const nb_nn_output_t *how, int16_t *y)
{
    for (uint32_t i = 0; i < n; i++) {
        y[i] = (int16_t)nb_nn_output(x[i], how);
    }
}
