/* See nb_nn_elementwise.h. The sigmoid table and its interpolation are LiteRT's. */
#include "nb_nn_elementwise.h"

#include <string.h>

#include "nb_nn_table.h"

static int32_t to_table_steps(int16_t x, int32_t multiplier, uint32_t right)
{
    const int32_t round = right > 0 ? 1 << (right - 1) : 0;
    return (x * multiplier + round) >> right;
}

void nb_nn_logistic(const int16_t *x, uint32_t n, int32_t multiplier, uint32_t right, int16_t *y)
{
    for (uint32_t i = 0; i < n; i++) {
        const int32_t v = to_table_steps(x[i], multiplier, right);
        const uint32_t magnitude = (uint32_t)(v < 0 ? -v : v);
        const uint32_t index = magnitude >> 9;
        uint32_t r = (uint32_t)INT16_MAX << 10;
        if (index < NB_NN_SIGMOID_LAST) {
            const uint32_t base = nb_nn_sigmoid[index];
            r = (base << 9) + (magnitude & 0x1FFu) * (nb_nn_sigmoid[index + 1] - base);
        }
        /* sigmoid(-v) = 1 - sigmoid(v) */
        r = v >= 0 ? r + (1u << 9) : (1u << 25) - r + (1u << 9) - 1u;
        y[i] = (int16_t)(r >> 10);
    }
}

void nb_nn_tanh(const int16_t *x, uint32_t n, int32_t multiplier, uint32_t right, int16_t *y)
{
    for (uint32_t i = 0; i < n; i++) {
        const int32_t v = to_table_steps(x[i], multiplier, right);
        const uint32_t magnitude = (uint32_t)(v < 0 ? -v : v);
        const uint32_t index = magnitude >> 8;
        int32_t r = 0xFFFF << 8;
        if (index < NB_NN_SIGMOID_LAST) {
            const int32_t base = nb_nn_sigmoid[index];
            r = (base << 8) + (int32_t)(magnitude & 0xFFu) * (nb_nn_sigmoid[index + 1] - base);
        }
        /* tanh(v) = 2 sigmoid(2v) - 1, and odd */
        r = v >= 0 ? r - (1 << 23) + (1 << 7) : -r + (1 << 23) + (1 << 7) - 1;
        y[i] = (int16_t)(r >> 8);
    }
}

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
