/* See nb_nn.h. Formulas follow LiteRT's published integer arithmetic: a product's rounding, the interpolated sigmoid table. */
#include "nb_nn.h"

#include <string.h>

#include "nb_nn_table.h"

_Static_assert((-3 >> 1) == -2, "right shifts of negative numbers must be arithmetic");

static int16_t clamp_int16(int64_t v)
{
    if (v > INT16_MAX) {
        return INT16_MAX;
    }
    return v < INT16_MIN ? INT16_MIN : (int16_t)v;
}

/* v * s->multiplier / 2^31, half away from zero (a doubling high product), then 2^shift, half away from zero. */
static int32_t rescale(int32_t v, const nb_nn_scale_t *s)
{
    const int32_t left = s->shift > 0 ? s->shift : 0;
    const int32_t right = s->shift < 0 ? -s->shift : 0;
    const int64_t product = (int64_t)(v * (1 << left)) * s->multiplier;
    const int64_t half = (int64_t)1 << 30;
    const int32_t high = (int32_t)((product + (product >= 0 ? half : 1 - half)) / ((int64_t)1 << 31));
    const int32_t mask = (int32_t)(((uint32_t)1 << right) - 1u);
    const int32_t threshold = (mask >> 1) + (high < 0 ? 1 : 0);
    return (high >> right) + ((high & mask) > threshold ? 1 : 0);
}

static int16_t rescale_once(int32_t v, const nb_nn_channel_t *c)
{
    return clamp_int16(((int64_t)v * c->multiplier + ((int64_t)1 << (c->right - 1))) >> c->right);
}

static int32_t dot(const int16_t *x, const int8_t *w, uint32_t n, int32_t sum)
{
    for (uint32_t i = 0; i < n; i++) {
        sum += (int32_t)x[i] * w[i];
    }
    return sum;
}

void nb_nn_fully_connected(const int16_t *x, uint32_t inputs, const int8_t *w, const int32_t *bias,
                           const nb_nn_channel_t *channel, uint32_t outputs, int16_t *y)
{
    for (uint32_t o = 0; o < outputs; o++) {
        y[o] = rescale_once(dot(x, w + o * inputs, inputs, bias[o]), &channel[o]);
    }
}

void nb_nn_conv(const int16_t *x, uint32_t frames, uint32_t channels, const int8_t *w, uint32_t kernel, const int32_t *bias,
                const nb_nn_channel_t *channel, uint32_t outputs, int16_t *y)
{
    const uint32_t before = (kernel - 1) / 2;
    for (uint32_t t = 0; t < frames; t++) {
        /* The taps [first, last) lie within the window; the others meet padding, which is 0. */
        const uint32_t first = t < before ? before - t : 0;
        const uint32_t last = t + kernel - before > frames ? frames + before - t : kernel;
        const int16_t *from = x + (t + first - before) * channels;
        for (uint32_t o = 0; o < outputs; o++) {
            const int8_t *taps = w + (o * kernel + first) * channels;
            y[t * outputs + o] = rescale_once(dot(from, taps, (last - first) * channels, bias[o]), &channel[o]);
        }
    }
}

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
        y[i] = clamp_int16(rescale((int32_t)a[i] * b[i], scale));
    }
}

void nb_nn_mul_rows(const int16_t *a, uint32_t rows, uint32_t columns, const int16_t *b, const nb_nn_scale_t *scale, int16_t *y)
{
    for (uint32_t r = 0; r < rows; r++) {
        const int32_t factor = b[r];
        for (uint32_t i = r * columns; i < (r + 1) * columns; i++) {
            y[i] = clamp_int16(rescale(a[i] * factor, scale));
        }
    }
}

void nb_nn_add(const int16_t *a, const int16_t *b, uint32_t n, const nb_nn_add_t *scale, int16_t *y)
{
    for (uint32_t i = 0; i < n; i++) {
        const int32_t sum = rescale(a[i] * (1 << 15), &scale->a) + rescale(b[i] * (1 << 15), &scale->b);
        y[i] = clamp_int16(rescale(sum, &scale->sum));
    }
}

void nb_nn_requantise(const int16_t *x, uint32_t n, const nb_nn_scale_t *scale, int16_t *y)
{
    for (uint32_t i = 0; i < n; i++) {
        y[i] = clamp_int16(rescale(x[i], scale));
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
            y[o * inner + i] = clamp_int16(rescale(sum, scale));
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
