/* Integer kernels of the int16x8 scheme: int16 activations, int8 weights, zero points 0.
   Called by the code that nociband_convert generates (firmware/models); every constant comes from there. Each kernel
   gives the same bits as LiteRT's reference kernel of the same operation (tests/parity/test_nn_ops.py).
   What the generator proves, and the kernels rely on: 32-bit accumulators do not overflow, left shifts do not either.
   Tensors are dense and row-major; input and output do not overlap unless a kernel says so. */
#ifndef NB_NN_H
#define NB_NN_H
#include <stdint.h>

/* Times multiplier / 2^31 * 2^shift, rounded twice as LiteRT does for 32-bit values. multiplier is in [2^30, 2^31), or 0. */
typedef struct {
    int32_t multiplier;
    int32_t shift;
} nb_nn_scale_t;

/* Times multiplier / 2^right, rounded once: the scheme of matrix products. right is 1 to 62. */
typedef struct {
    int32_t multiplier;
    int32_t right;
} nb_nn_channel_t;

/* The scales of an addition: each input after << 15, then their sum. */
typedef struct {
    nb_nn_scale_t a;
    nb_nn_scale_t b;
    nb_nn_scale_t sum;
} nb_nn_add_t;

/* y[o] = clamp((bias[o] + sum_i w[o][i] x[i]) * channel[o]). Gives LiteRT's FULLY_CONNECTED. */
void nb_nn_fully_connected(const int16_t *x, uint32_t inputs, const int8_t *w, const int32_t *bias,
                           const nb_nn_channel_t *channel, uint32_t outputs, int16_t *y);

/* Convolution over time, stride 1, zero-padded to the same length: x[frames][channels], w[outputs][kernel][channels],
   y[frames][outputs]. Gives LiteRT's CONV_2D of height 1. */
void nb_nn_conv(const int16_t *x, uint32_t frames, uint32_t channels, const int8_t *w, uint32_t kernel, const int32_t *bias,
                const nb_nn_channel_t *channel, uint32_t outputs, int16_t *y);

/* y = sigmoid(x) and y = tanh(x) in steps of 2^-15. `multiplier` >> `right` (rounded) takes x to steps of 1/12288.
   y may be x. */
void nb_nn_logistic(const int16_t *x, uint32_t n, int32_t multiplier, uint32_t right, int16_t *y);
void nb_nn_tanh(const int16_t *x, uint32_t n, int32_t multiplier, uint32_t right, int16_t *y);

/* y = a * b, element by element; and a[rows][columns] * b[rows]. y may be a or b. */
void nb_nn_mul(const int16_t *a, const int16_t *b, uint32_t n, const nb_nn_scale_t *scale, int16_t *y);
void nb_nn_mul_rows(const int16_t *a, uint32_t rows, uint32_t columns, const int16_t *b, const nb_nn_scale_t *scale, int16_t *y);

/* y = a + b, element by element. y may be a or b. */
void nb_nn_add(const int16_t *a, const int16_t *b, uint32_t n, const nb_nn_add_t *scale, int16_t *y);

/* y = x on another scale. y may be x. */
void nb_nn_requantise(const int16_t *x, uint32_t n, const nb_nn_scale_t *scale, int16_t *y);

/* x[outer][reduced][inner] -> y[outer][inner]: the mean (1 / reduced is folded into the scale) and the maximum. */
void nb_nn_mean(const int16_t *x, uint32_t outer, uint32_t reduced, uint32_t inner, const nb_nn_scale_t *scale, int16_t *y);
void nb_nn_reduce_max(const int16_t *x, uint32_t outer, uint32_t reduced, uint32_t inner, int16_t *y);

/* a[rows][a_columns] and b[rows][b_columns] side by side. */
void nb_nn_concatenate(const int16_t *a, uint32_t a_columns, const int16_t *b, uint32_t b_columns, uint32_t rows, int16_t *y);

#endif
