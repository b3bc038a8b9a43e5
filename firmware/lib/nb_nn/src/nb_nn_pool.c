/* Average and maximum pooling; see nb_nn_matrix.h. */
#include "nb_nn_layer.h"
#include "nb_nn_window.h"

typedef struct {
    int32_t least;
    int32_t greatest;
    uint32_t bytes; /* an element */
} pool_t;

static int32_t element(const uint8_t *x, uint32_t at, uint32_t bytes)
{
    return bytes == 1 ? ((const int8_t *)x)[at] : ((const int16_t *)(const void *)x)[at];
}

static void put(void *y, uint32_t at, int32_t v, const pool_t *pool)
{
    v = nb_nn_limit(v, pool->least, pool->greatest);
    if (pool->bytes == 1) {
        ((int8_t *)y)[at] = (int8_t)v;
    } else {
        ((int16_t *)y)[at] = (int16_t)v;
    }
}

static void average(const nb_nn_patch_t *p, const nb_nn_window_t *g, const void *what, void *y)
{
    const pool_t *pool = what;
    const int32_t count = (int32_t)(p->rows * p->columns);
    for (uint32_t c = 0; c < g->channels; c++) {
        int32_t sum = 0;
        for (uint32_t r = 0; r < p->rows; r++) {
            for (uint32_t k = 0; k < p->columns; k++) {
                sum += element(p->x, (r * g->width + k) * g->channels + c, pool->bytes);
            }
        }
        put(y, c, (sum > 0 ? sum + count / 2 : sum - count / 2) / count, pool);
    }
}

static void maximum(const nb_nn_patch_t *p, const nb_nn_window_t *g, const void *what, void *y)
{
    const pool_t *pool = what;
    for (uint32_t c = 0; c < g->channels; c++) {
        int32_t largest = INT16_MIN;
        for (uint32_t r = 0; r < p->rows; r++) {
            for (uint32_t k = 0; k < p->columns; k++) {
                const int32_t v = element(p->x, (r * g->width + k) * g->channels + c, pool->bytes);
                largest = v > largest ? v : largest;
            }
        }
        put(y, c, largest, pool);
    }
}

void nb_nn_average_pool_s8(const int8_t *x, const nb_nn_window_t *window, int32_t least, int32_t greatest, int8_t *y)
{
    nb_nn_each_patch(x, sizeof *x, window, average, &(pool_t){least, greatest, sizeof *x}, y);
}

void nb_nn_average_pool_s16(const int16_t *x, const nb_nn_window_t *window, int32_t least, int32_t greatest, int16_t *y)
{
    nb_nn_each_patch(x, sizeof *x, window, average, &(pool_t){least, greatest, sizeof *x}, y);
}

void nb_nn_max_pool_s8(const int8_t *x, const nb_nn_window_t *window, int32_t least, int32_t greatest, int8_t *y)
{
    nb_nn_each_patch(x, sizeof *x, window, maximum, &(pool_t){least, greatest, sizeof *x}, y);
}

void nb_nn_max_pool_s16(const int16_t *x, const nb_nn_window_t *window, int32_t least, int32_t greatest, int16_t *y)
{
    nb_nn_each_patch(x, sizeof *x, window, maximum, &(pool_t){least, greatest, sizeof *x}, y);
}
