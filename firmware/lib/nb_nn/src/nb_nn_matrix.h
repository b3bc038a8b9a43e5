/* Matrix products: fully connected layers and convolutions. See nb_nn.h for what all kernels share. */
#ifndef NB_NN_MATRIX_H
#define NB_NN_MATRIX_H
#include "nb_nn_scale.h"

/* y[o] = clamp((bias[o] + sum_i w[o][i] x[i]) * channel[o]). Gives LiteRT's FULLY_CONNECTED. */
void nb_nn_fully_connected(const int16_t *x, uint32_t inputs, const int8_t *w, const int32_t *bias,
                           const nb_nn_channel_t *channel, uint32_t outputs, int16_t *y);

/* Convolution over time, stride 1, zero-padded to the same length: x[frames][channels], w[outputs][kernel][channels],
   y[frames][outputs]. Gives LiteRT's CONV_2D of height 1. */
void nb_nn_conv(const int16_t *x, uint32_t frames, uint32_t channels, const int8_t *w, uint32_t kernel, const int32_t *bias,
                const nb_nn_channel_t *channel, uint32_t outputs, int16_t *y);

#endif
