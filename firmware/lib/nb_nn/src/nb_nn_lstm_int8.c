/* See nb_nn_lstm_int8.h: one compiled body for all LSTMs of a model that is to be small. */
#include "nb_nn_lstm_int8.h"

void nb_nn_lstm_int8(const nb_nn_lstm_int8_t *k, const int16_t *x, uint32_t stride, uint32_t frames, int16_t *state, int8_t *hs)
{
    nb_nn_lstm_int8_run(k, x, stride, frames, state, hs);
}
