/* See nb_nn_elementwise.h. */
#include "nb_nn_elementwise.h"

#include <string.h>

void nb_nn_mul(const int16_t *a, const int16_t *b, uint32_t n, const nb_nn_scale_t *scale, int16_t *y)
{
    for (uint32_t i = 0; i < n; i++) {
        y[i] = nb_nn_clamp_int16(nb_nn_rescale((int32_t)a[i] * b[i], scale));
    }
}

void nb_nn_mul_rows(const int16_t *a, uint32_t rows, uint32_t columns, const int16_t *b, const nb_nn_scale_t *scale, int16_t *y)
{
    for (uint32_t r = 0; r < rows; r++) {
        const int32_t factor = b[r];
        for (uint32_t i = r * columns; i < (r + 1) * columns; i++) {
            y[i] = nb_nn_clamp_int16(nb_nn_rescale(a[i] * factor, scale));
        }
    }
}

void nb_nn_add(const int16_t *a, const int16_t *b, uint32_t n, const nb_nn_add_t *scale, int16_t *y)
{
    for (uint32_t i = 0; i < n; i++) {
        const int32_t sum = nb_nn_rescale(a[i] * (1 << 15), &scale->a) + nb_nn_rescale(b[i] * (1 << 15), &scale->b);
        y[i] = nb_nn_clamp_int16(nb_nn_rescale(sum, &scale->sum));
    }
}

void nb_nn_requantise(const int16_t *x, uint32_t n, const nb_nn_scale_t *scale, int16_t *y)
{
    for (uint32_t i = 0; i < n; i++) {
        y[i] = nb_nn_clamp_int16(nb_nn_rescale(x[i], scale));
    }
}

void nb_nn_mean(const int16_t *x, uint32_t outer, uint32_t reduced, uint32_t inner, const nb_nn_scale_t *scale, int16_t *y)
{
    for (uint32_t o = 0; o < outer; o++) {
        for (uint32_t i = 0; i < inner; i++) {
            int32_t sum = 0;
            for (uint32_t r = 0; r < reduced; r++) {
                sum += x[(o * reduced + r) * inner + i];
            }
            y[o * inner + i] = nb_nn_clamp_int16(nb_nn_rescale(sum, scale));
        }
    }
}

void nb_nn_reduce_max(const int16_t *x, uint32_t outer, uint32_t reduced, uint32_t inner, int16_t *y)
{
    for (uint32_t o = 0; o < outer; o++) {
        for (uint32_t i = 0; i < inner; i++) {
            int16_t largest = INT16_MIN;
            for (uint32_t r = 0; r < reduced; r++) {
                const int16_t v = x[(o * reduced + r) * inner + i];
                largest = v > largest ? v : largest;
            }
            y[o * inner + i] = largest;
        }
    }
}

void nb_nn_concatenate(const int16_t *a, uint32_t a_columns, const int16_t *b, uint32_t b_columns, uint32_t rows, int16_t *y)
{
    for (uint32_t r = 0; r < rows; r++) {
        memcpy(y, a + r * a_columns, a_columns * sizeof *y);
        memcpy(y + a_columns, b + r * b_columns, b_columns * sizeof *y);
        y += a_columns + b_columns;
    }
}
