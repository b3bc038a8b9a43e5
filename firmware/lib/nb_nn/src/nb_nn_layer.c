/* See nb_nn_layer.h. */
#include "nb_nn_layer.h"

int32_t nb_nn_scale_rarely(const nb_nn_layer_t *l, uint32_t o, int32_t v, bool twice)
{
    const nb_nn_channel_t *c = &l->channels[o];
    if (twice) {
        return nb_nn_rescale(v, &(nb_nn_scale_t){c->multiplier, 31 - c->right});
    }
    const int64_t fine = l->fine != NULL ? (int64_t)v * l->fine[o] >> 31 : 0;
    return (int32_t)(((int64_t)v * c->multiplier + fine + ((int64_t)1 << (c->right - 1))) >> c->right);
}

void nb_nn_finish4(const nb_nn_layer_t *l, uint32_t o, int32_t sum[4], bool twice)
{
    if (twice) {
        for (uint32_t k = 0; k < 4; k++) {
            sum[k] = nb_nn_finish(l, o + k, sum[k], true);
        }
        return;
    }
    for (uint32_t k = 0; k < 4; k++) {
        sum[k] = nb_nn_finish(l, o + k, sum[k], false);
    }
}
