/* See nb_nn_window.h. */
#include "nb_nn_window.h"

/* Taps begin at `at`, `apart` from each other; the first of `taps` that is in [0, size), and how many are. */
static uint32_t inside(int32_t at, uint32_t taps, uint32_t apart, uint32_t size, uint32_t *count)
{
    const uint32_t first = at < 0 ? ((uint32_t)-at + apart - 1) / apart : 0;
    const int32_t room = (int32_t)size - at;
    const uint32_t last = room <= 0 ? 0 : ((uint32_t)room + apart - 1) / apart;
    const uint32_t end = last < taps ? last : taps;
    *count = end > first ? end - first : 0;
    return first;
}

void nb_nn_each_patch(const void *x, uint32_t bytes, const nb_nn_window_t *g, nb_nn_visit_t *visit, const void *what, void *y)
{
    uint8_t *out = y;
    nb_nn_patch_t p;
    for (uint32_t r = 0; r < g->out_height; r++) {
        const int32_t row = (int32_t)(r * g->stride_height) - g->top;
        p.top = inside(row, g->kernel_height, g->dilation_height, g->height, &p.rows);
        for (uint32_t c = 0; c < g->out_width; c++, out += g->outputs * bytes) {
            const int32_t column = (int32_t)(c * g->stride_width) - g->left;
            p.left = inside(column, g->kernel_width, g->dilation_width, g->width, &p.columns);
            const uint32_t at_row = (uint32_t)(row + (int32_t)(p.top * g->dilation_height));
            const uint32_t at_column = (uint32_t)(column + (int32_t)(p.left * g->dilation_width));
            p.x = (const uint8_t *)x + (at_row * g->width + at_column) * g->channels * bytes;
            visit(&p, g, what, out);
        }
    }
}
