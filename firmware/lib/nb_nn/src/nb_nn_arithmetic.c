/* See nb_nn_arithmetic.h. Both widths are made from the same loops, which the compiler specialises; scales are taken
   apart before the loop. */
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

/* A nb_nn_output_t ready for a loop. */
typedef struct {
    nb_nn_ready_t scale;
    int32_t zero;
    int32_t low;
    int32_t high;
} output_t;

SPECIALISED output_t output(const nb_nn_output_t *o)
{
    return (output_t){nb_nn_ready(&o->scale), o->zero, o->low, o->high};
}

SPECIALISED int32_t clamp(int32_t v, const output_t *o)
{
    const int32_t y = v + o->zero;
    return y < o->low ? o->low : y > o->high ? o->high : y;
}

typedef struct {
    int32_t a_zero;
    int32_t b_zero;
    int32_t sign;
    nb_nn_ready_t a;
    nb_nn_ready_t b;
    output_t sum;
} adding_t;

SPECIALISED adding_t adding(const nb_nn_sum_t *s)
{
    adding_t here = {s->a_zero, s->b_zero, s->sign, nb_nn_ready(&s->a), nb_nn_ready(&s->b), output(&s->sum)};
    here.a.left += s->left;
    here.b.left += s->left;
    return here;
}

SPECIALISED int32_t add(int32_t a, int32_t b, const void *how)
{
    const adding_t *s = how;
    const int32_t first = nb_nn_rescale_ready(a - s->a_zero, &s->a);
    const int32_t second = nb_nn_rescale_ready(b - s->b_zero, &s->b);
    return clamp(nb_nn_rescale_ready(first + s->sign * second, &s->sum.scale), &s->sum);
}

typedef struct {
    int32_t a_zero;
    int32_t b_zero;
    output_t product;
} multiplying_t;

SPECIALISED multiplying_t multiplying(const nb_nn_product_t *p)
{
    return (multiplying_t){p->a_zero, p->b_zero, output(&p->product)};
}

SPECIALISED int32_t multiply_s8(int32_t a, int32_t b, const void *how)
{
    const multiplying_t *p = how;
    return clamp(nb_nn_rescale_ready((a - p->a_zero) * (b - p->b_zero), &p->product.scale), &p->product);
}

/* The product of two int16 can be 2^30, so that there is no bit to shift it left; its scale is below 1. */
SPECIALISED int32_t multiply_s16(int32_t a, int32_t b, const void *how)
{
    const multiplying_t *p = how;
    const int32_t high = (int32_t)(((int64_t)(a * b) * p->product.scale.multiplier + (1 << 30)) >> 31);
    return clamp(nb_nn_shift_ready(high, &p->product.scale), &p->product);
}

void nb_nn_sum_s16(const int16_t *a, const int16_t *b, const nb_nn_pairs_t *pairs, const nb_nn_sum_t *how, int16_t *y)
{
    const adding_t here = adding(how);
    each_pair(a, b, pairs, add, &here, y, sizeof *y);
}

void nb_nn_sum_s8(const int8_t *a, const int8_t *b, const nb_nn_pairs_t *pairs, const nb_nn_sum_t *how, int8_t *y)
{
    const adding_t here = adding(how);
    each_pair(a, b, pairs, add, &here, y, sizeof *y);
}

void nb_nn_product_s16(const int16_t *a, const int16_t *b, const nb_nn_pairs_t *pairs, const nb_nn_product_t *how, int16_t *y)
{
    const multiplying_t here = multiplying(how);
    each_pair(a, b, pairs, multiply_s16, &here, y, sizeof *y);
}

/* One factor for a row, as a gate has it: (a - zero) * factor << left is a multiplication and an addition. */
static void product_row_s8(const int8_t *a, int32_t factor, uint32_t n, const multiplying_t *how, int8_t *y)
{
    const output_t o = how->product;
    const int32_t shifted = factor * (1 << o.scale.left);
    const int32_t start = -how->a_zero * shifted;
    for (uint32_t i = 0; i < n; i++) {
        const int32_t high = nb_smmulr(start + a[i] * shifted, o.scale.multiplier);
        y[i] = (int8_t)clamp(nb_nn_shift_ready(high, &o.scale), &o);
    }
}

void nb_nn_product_s8(const int8_t *a, const int8_t *b, const nb_nn_pairs_t *pairs, const nb_nn_product_t *how, int8_t *y)
{
    const multiplying_t here = multiplying(how);
    if (pairs->a[2] != 1 || pairs->b[2] != 0) {
        each_pair(a, b, pairs, multiply_s8, &here, y, sizeof *y);
        return;
    }
    for (uint32_t i = 0; i < pairs->count[0]; i++) {
        for (uint32_t j = 0; j < pairs->count[1]; j++, y += pairs->count[2]) {
            const int8_t *row = a + (int32_t)i * pairs->a[0] + (int32_t)j * pairs->a[1];
            const int8_t *factor = b + (int32_t)i * pairs->b[0] + (int32_t)j * pairs->b[1];
            product_row_s8(row, *factor - here.b_zero, pairs->count[2], &here, y);
        }
    }
}

void nb_nn_requantise_s16(const int16_t *x, uint32_t n, const nb_nn_output_t *how, int16_t *y)
{
    const output_t here = output(how);
    for (uint32_t i = 0; i < n; i++) {
        y[i] = (int16_t)clamp(nb_nn_rescale_ready(x[i], &here.scale), &here);
    }
}
