/* Depthwise convolution; see nb_nn_matrix.h. With the DSP extension four neighbouring channels are computed at a time. */
#include "nb_nn_layer.h"
#include "nb_nn_simd.h"
#include "nb_nn_window.h"

/* Where a patch's taps are, in elements: the first weight, and the steps from a row or column of taps to the next. */
typedef struct {
    const int8_t *w;
    uint32_t x_row;
    uint32_t x_column;
    uint32_t w_row;
    uint32_t w_column;
} taps_t;

static taps_t taps_of(const nb_nn_patch_t *p, const nb_nn_window_t *g, const nb_nn_layer_t *l)
{
    return (taps_t){
        .w = l->weights + (p->top * g->kernel_width + p->left) * g->outputs,
        .x_row = (uint32_t)g->dilation_height * g->width * g->channels,
        .x_column = (uint32_t)g->dilation_width * g->channels,
        .w_row = (uint32_t)g->kernel_width * g->outputs,
        .w_column = g->outputs,
    };
}

#if NB_NN_DSP
/* Four neighbouring channels. */
static inline void depth4_s8(const int8_t *x, int32_t zero, const int8_t *w, const taps_t *t, const nb_nn_patch_t *p,
                             int32_t sum[4])
{
    const uint32_t minus = nb_simd_pack(-zero, -zero);
    int32_t a = sum[0];
    int32_t b = sum[1];
    int32_t c = sum[2];
    int32_t d = sum[3];
    for (uint32_t r = p->rows; r > 0; r--, x += t->x_row, w += t->w_row) {
        const int8_t *from = x;
        const int8_t *weight = w;
        for (uint32_t k = p->columns; k > 0; k--, from += t->x_column, weight += t->w_column) {
            const uint32_t values = nb_simd_load(from);
            const uint32_t weights = nb_simd_load(weight);
            const uint32_t even = nb_sxtab16(minus, values);
            const uint32_t odd = nb_sxtab16_ror8(minus, values);
            const uint32_t w_even = nb_sxtb16(weights);
            const uint32_t w_odd = nb_sxtb16_ror8(weights);
            a = nb_smlabb(even, w_even, a);
            b = nb_smlabb(odd, w_odd, b);
            c = nb_smlatt(even, w_even, c);
            d = nb_smlatt(odd, w_odd, d);
        }
    }
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
}

static inline void depth4_s16(const int16_t *x, const int8_t *w, const taps_t *t, const nb_nn_patch_t *p, int32_t sum[4])
{
    int32_t a = sum[0];
    int32_t b = sum[1];
    int32_t c = sum[2];
    int32_t d = sum[3];
    for (uint32_t r = p->rows; r > 0; r--, x += t->x_row, w += t->w_row) {
        const int16_t *from = x;
        const int8_t *weight = w;
        for (uint32_t k = p->columns; k > 0; k--, from += t->x_column, weight += t->w_column) {
            const uint32_t low = nb_simd_load(from);
            const uint32_t high = nb_simd_load(from + 2);
            const uint32_t weights = nb_simd_load(weight);
            const uint32_t w_even = nb_sxtb16(weights);
            const uint32_t w_odd = nb_sxtb16_ror8(weights);
            a = nb_smlabb(low, w_even, a);
            b = nb_smlatb(low, w_odd, b);
            c = nb_smlabt(high, w_even, c);
            d = nb_smlatt(high, w_odd, d);
        }
    }
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
}
#endif

static void depthwise_s8(const nb_nn_patch_t *p, const nb_nn_window_t *g, const void *what, void *y)
{
    const nb_nn_layer_t *l = what;
    const taps_t t = taps_of(p, g, l);
    const int8_t *x = (const int8_t *)p->x;
    const uint32_t times = g->outputs / g->channels;
    int8_t *out = y;
    uint32_t o = 0;
#if NB_NN_DSP
    for (; times == 1 && o + 4 <= g->outputs; o += 4) {
        int32_t sum[4] = {l->bias[o], l->bias[o + 1], l->bias[o + 2], l->bias[o + 3]};
        depth4_s8(x + o, l->x_zero, t.w + o, &t, p, sum);
        nb_nn_finish4(l, o, sum, true);
        for (uint32_t k = 0; k < 4; k++) {
            out[o + k] = (int8_t)sum[k];
        }
    }
#endif
    for (; o < g->outputs; o++) {
        int32_t sum = l->bias[o];
        for (uint32_t r = 0; r < p->rows; r++) {
            for (uint32_t c = 0; c < p->columns; c++) {
                sum += (x[o / times + r * t.x_row + c * t.x_column] - l->x_zero) * t.w[o + r * t.w_row + c * t.w_column];
            }
        }
        out[o] = (int8_t)nb_nn_finish(l, o, sum, true);
    }
}

static void depthwise_s16(const nb_nn_patch_t *p, const nb_nn_window_t *g, const void *what, void *y)
{
    const nb_nn_layer_t *l = what;
    const taps_t t = taps_of(p, g, l);
    const int16_t *x = (const int16_t *)(const void *)p->x;
    const uint32_t times = g->outputs / g->channels;
    int16_t *out = y;
    uint32_t o = 0;
#if NB_NN_DSP
    for (; times == 1 && o + 4 <= g->outputs; o += 4) {
        int32_t sum[4] = {l->bias[o], l->bias[o + 1], l->bias[o + 2], l->bias[o + 3]};
        depth4_s16(x + o, t.w + o, &t, p, sum);
        nb_nn_finish4(l, o, sum, false);
        for (uint32_t k = 0; k < 4; k++) {
            out[o + k] = (int16_t)sum[k];
        }
    }
#endif
    for (; o < g->outputs; o++) {
        int32_t sum = l->bias[o];
        for (uint32_t r = 0; r < p->rows; r++) {
            for (uint32_t c = 0; c < p->columns; c++) {
                sum += x[o / times + r * t.x_row + c * t.x_column] * t.w[o + r * t.w_row + c * t.w_column];
            }
        }
        out[o] = (int16_t)nb_nn_finish(l, o, sum, false);
    }
}

static void depthwise_wide(const nb_nn_patch_t *p, const nb_nn_window_t *g, const void *what, void *y)
{
    const nb_nn_layer_t *l = what;
    const taps_t t = taps_of(p, g, l);
    const int16_t *x = (const int16_t *)(const void *)p->x;
    const uint32_t times = g->outputs / g->channels;
    for (uint32_t o = 0; o < g->outputs; o++) {
        int64_t sum = l->wide_bias[o];
        for (uint32_t r = 0; r < p->rows; r++) {
            for (uint32_t c = 0; c < p->columns; c++) {
                sum += x[o / times + r * t.x_row + c * t.x_column] * t.w[o + r * t.w_row + c * t.w_column];
            }
        }
        ((int16_t *)y)[o] = nb_nn_finish_wide(l, o, sum);
    }
}

void nb_nn_depthwise_s8(const int8_t *x, const nb_nn_window_t *window, const nb_nn_layer_t *layer, int8_t *y)
{
    nb_nn_each_patch(x, sizeof *x, window, depthwise_s8, layer, y);
}

void nb_nn_depthwise_s16(const int16_t *x, const nb_nn_window_t *window, const nb_nn_layer_t *layer, int16_t *y)
{
    nb_nn_each_patch(x, sizeof *x, window, depthwise_s16, layer, y);
}

void nb_nn_depthwise_s16_wide(const int16_t *x, const nb_nn_window_t *window, const nb_nn_layer_t *layer, int16_t *y)
{
    nb_nn_each_patch(x, sizeof *x, window, depthwise_wide, layer, y);
}
