/* See nb_nn_activation.h. The sigmoid table and its interpolation are LiteRT's. */
#include "nb_nn_activation.h"

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

void nb_nn_lookup_s8(const int8_t *x, uint32_t n, const int8_t table[256], int8_t *y)
{
    for (uint32_t i = 0; i < n; i++) {
        y[i] = table[x[i] + 128];
    }
}
