/* See nb_nn_matrix.h. With the DSP extension four products take two multiplications, and four outputs are computed at a time, so
   that each activation is loaded and widened once for them; the loops for what is left over are the whole kernel elsewhere. */
#include "nb_nn_matrix.h"

#include <string.h>

#include "nb_nn_layer.h"
#include "nb_nn_simd.h"
#include "nb_nn_window.h"

/* --- matrix products: all outputs for one row of x --- */

#if NB_NN_DSP
/* Nothing at all, but only once `sum` is there: else the compiler loads all rows first, for which it has not the registers. */
#define AFTER(sum, row) __asm("" : "+r"(sum), "+r"(row))
#endif

/* Sums over n products more, of x with four rows of weights. Zero points are in the biases. */
static __attribute__((noinline)) void dot4_s8(const int8_t *x, const int8_t *w, uint32_t n, int32_t sum[4])
{
    const int8_t *w1 = w + n;
    const int8_t *w2 = w1 + n;
    const int8_t *w3 = w2 + n;
    int32_t a = sum[0];
    int32_t b = sum[1];
    int32_t c = sum[2];
    int32_t d = sum[3];
#if NB_NN_DSP
    for (const int8_t *end = x + (n & ~3u); x != end;) {
        const uint32_t values = nb_simd_load(x);
        const uint32_t even = nb_sxtb16(values);
        const uint32_t odd = nb_sxtb16_ror8(values);
        uint32_t weights = nb_simd_load(w);
        a = nb_smlad(odd, nb_sxtb16_ror8(weights), nb_smlad(even, nb_sxtb16(weights), a));
        AFTER(a, w1);
        weights = nb_simd_load(w1);
        b = nb_smlad(odd, nb_sxtb16_ror8(weights), nb_smlad(even, nb_sxtb16(weights), b));
        AFTER(b, w2);
        weights = nb_simd_load(w2);
        c = nb_smlad(odd, nb_sxtb16_ror8(weights), nb_smlad(even, nb_sxtb16(weights), c));
        AFTER(c, w3);
        weights = nb_simd_load(w3);
        d = nb_smlad(odd, nb_sxtb16_ror8(weights), nb_smlad(even, nb_sxtb16(weights), d));
        x += 4;
        w += 4;
        w1 += 4;
        w2 += 4;
        w3 += 4;
        AFTER(x, w);
    }
    n &= 3u;
#endif
    for (; n > 0; n--) {
        const int32_t value = *x++;
        a += value * *w++;
        b += value * *w1++;
        c += value * *w2++;
        d += value * *w3++;
    }
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
}

static __attribute__((noinline)) void dot4_s16(const int16_t *x, const int8_t *w, uint32_t n, int32_t sum[4])
{
    const int8_t *w1 = w + n;
    const int8_t *w2 = w1 + n;
    const int8_t *w3 = w2 + n;
    int32_t a = sum[0];
    int32_t b = sum[1];
    int32_t c = sum[2];
    int32_t d = sum[3];
#if NB_NN_DSP
    for (const int16_t *end = x + (n & ~3u); x != end;) {
        const uint32_t low = nb_simd_load(x);
        const uint32_t high = nb_simd_load(x + 2);
        const uint32_t even = nb_simd_pack((int32_t)low, (int32_t)high);
        const uint32_t odd = nb_simd_pack_high(low, high);
        uint32_t weights = nb_simd_load(w);
        a = nb_smlad(odd, nb_sxtb16_ror8(weights), nb_smlad(even, nb_sxtb16(weights), a));
        AFTER(a, w1);
        weights = nb_simd_load(w1);
        b = nb_smlad(odd, nb_sxtb16_ror8(weights), nb_smlad(even, nb_sxtb16(weights), b));
        AFTER(b, w2);
        weights = nb_simd_load(w2);
        c = nb_smlad(odd, nb_sxtb16_ror8(weights), nb_smlad(even, nb_sxtb16(weights), c));
        AFTER(c, w3);
        weights = nb_simd_load(w3);
        d = nb_smlad(odd, nb_sxtb16_ror8(weights), nb_smlad(even, nb_sxtb16(weights), d));
        x += 4;
        w += 4;
        w1 += 4;
        w2 += 4;
        w3 += 4;
        AFTER(x, w);
    }
    n &= 3u;
#endif
    for (; n > 0; n--) {
        const int32_t value = *x++;
        a += value * *w++;
        b += value * *w1++;
        c += value * *w2++;
        d += value * *w3++;
    }
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
}

static int32_t dot_s8(const int8_t *x, const int8_t *w, uint32_t n, int32_t sum)
{
#if NB_NN_DSP
    for (const int8_t *end = x + (n & ~3u); x < end; x += 4, w += 4) {
        const uint32_t values = nb_simd_load(x);
        const uint32_t weights = nb_simd_load(w);
        sum = nb_smlad(nb_sxtb16(values), nb_sxtb16(weights), sum);
        sum = nb_smlad(nb_sxtb16_ror8(values), nb_sxtb16_ror8(weights), sum);
    }
    n &= 3u;
#endif
    for (; n > 0; n--) {
        sum += *x++ * *w++;
    }
    return sum;
}

static int32_t dot_s16(const int16_t *x, const int8_t *w, uint32_t n, int32_t sum)
{
#if NB_NN_DSP
    for (const int16_t *end = x + (n & ~3u); x < end; x += 4, w += 4) {
        const uint32_t low = nb_simd_load(x);
        const uint32_t high = nb_simd_load(x + 2);
        const uint32_t weights = nb_simd_load(w);
        sum = nb_smlad(nb_simd_pack((int32_t)low, (int32_t)high), nb_sxtb16(weights), sum);
        sum = nb_smlad(nb_simd_pack_high(low, high), nb_sxtb16_ror8(weights), sum);
    }
    n &= 3u;
#endif
    for (; n > 0; n--) {
        sum += *x++ * *w++;
    }
    return sum;
}

/* All outputs for one row. */
typedef void products_t(const void *row, const nb_nn_layer_t *l, void *y);

static void products_s8(const void *row, const nb_nn_layer_t *l, bool twice, int8_t *y)
{
    const int8_t *w = l->weights;
    uint32_t o = 0;
    for (; o + 4 <= l->outputs; o += 4, w += 4 * l->products) {
        int32_t sum[4] = {l->bias[o], l->bias[o + 1], l->bias[o + 2], l->bias[o + 3]};
        dot4_s8(row, w, l->products, sum);
        nb_nn_finish4(l, o, sum, twice);
        for (uint32_t k = 0; k < 4; k++) {
            y[o + k] = (int8_t)sum[k];
        }
    }
    for (; o < l->outputs; o++, w += l->products) {
        y[o] = (int8_t)nb_nn_finish(l, o, dot_s8(row, w, l->products, l->bias[o]), twice);
    }
}

static void products_s8_once(const void *row, const nb_nn_layer_t *l, void *y)
{
    products_s8(row, l, false, y);
}

static void products_s8_twice(const void *row, const nb_nn_layer_t *l, void *y)
{
    products_s8(row, l, true, y);
}

static void products_s16(const void *row, const nb_nn_layer_t *l, void *y)
{
    const int8_t *w = l->weights;
    int16_t *out = y;
    uint32_t o = 0;
    for (; o + 4 <= l->outputs; o += 4, w += 4 * l->products) {
        int32_t sum[4] = {l->bias[o], l->bias[o + 1], l->bias[o + 2], l->bias[o + 3]};
        dot4_s16(row, w, l->products, sum);
        nb_nn_finish4(l, o, sum, false);
        for (uint32_t k = 0; k < 4; k++) {
            out[o + k] = (int16_t)sum[k];
        }
    }
    for (; o < l->outputs; o++, w += l->products) {
        out[o] = (int16_t)nb_nn_finish(l, o, dot_s16(row, w, l->products, l->bias[o]), false);
    }
}

static void products_wide(const void *row, const nb_nn_layer_t *l, void *y)
{
    int16_t *out = y;
    const int8_t *w = l->weights;
    for (uint32_t o = 0; o < l->outputs; o++) {
        const int16_t *x = row;
        int64_t sum = l->wide_bias[o];
        for (uint32_t n = l->products; n > 0; n--) {
            sum += *x++ * *w++;
        }
        out[o] = nb_nn_finish_wide(l, o, sum);
    }
}

void nb_nn_fully_connected_s8(const int8_t *x, uint32_t rows, const nb_nn_layer_t *layer, int8_t *y)
{
    for (; rows > 0; rows--, x += layer->products, y += layer->outputs) {
        products_s8_once(x, layer, y);
    }
}

void nb_nn_fully_connected_s16(const int16_t *x, uint32_t rows, const nb_nn_layer_t *layer, int16_t *y)
{
    for (; rows > 0; rows--, x += layer->products, y += layer->outputs) {
        products_s16(x, layer, y);
    }
}

void nb_nn_fully_connected_s16_wide(const int16_t *x, uint32_t rows, const nb_nn_layer_t *layer, int16_t *y)
{
    for (; rows > 0; rows--, x += layer->products, y += layer->outputs) {
        products_wide(x, layer, y);
    }
}

/* --- convolution --- */

typedef struct {
    products_t *products;
    const nb_nn_layer_t *layer;
    uint8_t *patch;
    uint32_t bytes;
} conv_t;

static void conv_patch(const nb_nn_patch_t *p, const nb_nn_window_t *g, const void *what, void *y)
{
    const conv_t *conv = what;
    const uint32_t tap = g->channels * conv->bytes;
    const uint32_t row = g->kernel_width * tap;
    if (p->rows == g->kernel_height && p->columns == g->kernel_width && (g->kernel_width == 1 || g->dilation_width == 1) &&
        (g->kernel_height == 1 || (g->kernel_width == g->width && g->dilation_height == 1))) {
        conv->products(p->x, conv->layer, y);
        return;
    }
    memset(conv->patch, conv->layer->x_zero & 0xFF, g->kernel_height * row);
    for (uint32_t r = 0; r < p->rows; r++) {
        const uint8_t *from = p->x + r * g->dilation_height * g->width * tap;
        uint8_t *to = conv->patch + (p->top + r) * row + p->left * tap;
        if (g->dilation_width == 1) {
            memcpy(to, from, p->columns * tap);
            continue;
        }
        for (uint32_t c = 0; c < p->columns; c++) {
            memcpy(to + c * tap, from + c * g->dilation_width * tap, tap);
        }
    }
    conv->products(conv->patch, conv->layer, y);
}

void nb_nn_conv_s8(const int8_t *x, const nb_nn_window_t *window, const nb_nn_layer_t *layer, int8_t *patch, int8_t *y)
{
    const conv_t conv = {products_s8_twice, layer, (uint8_t *)patch, sizeof *x};
    nb_nn_each_patch(x, sizeof *x, window, conv_patch, &conv, y);
}

void nb_nn_conv_s16(const int16_t *x, const nb_nn_window_t *window, const nb_nn_layer_t *layer, int16_t *patch, int16_t *y)
{
    const conv_t conv = {products_s16, layer, (uint8_t *)patch, sizeof *x};
    nb_nn_each_patch(x, sizeof *x, window, conv_patch, &conv, y);
}

void nb_nn_conv_s16_wide(const int16_t *x, const nb_nn_window_t *window, const nb_nn_layer_t *layer, int16_t *patch, int16_t *y)
{
    const conv_t conv = {products_wide, layer, (uint8_t *)patch, sizeof *x};
    nb_nn_each_patch(x, sizeof *x, window, conv_patch, &conv, y);
}
