/* See nb_nn_matrix.h. */
#include "nb_nn_matrix.h"

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
        y[o] = nb_nn_rescale_once(dot(x, w + o * inputs, inputs, bias[o]), &channel[o]);
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
            y[t * outputs + o] = nb_nn_rescale_once(dot(from, taps, (last - first) * channels, bias[o]), &channel[o]);
        }
    }
}

