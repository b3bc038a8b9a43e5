/* Functions of one value: the sigmoid and the hyperbolic tangent of an int16, and any function of an int8. Gives LiteRT's
   LOGISTIC and TANH, and in int8 also QUANTIZE, RELU and its like. See nb_nn.h for what all kernels share. */
#ifndef NB_NN_ACTIVATION_H
#define NB_NN_ACTIVATION_H
#include <stdint.h>

/* y = sigmoid(x) and y = tanh(x) in steps of 2^-15. `multiplier` >> `right` (rounded) takes x to steps of 1/12288.
   y may be x. */
void nb_nn_logistic(const int16_t *x, uint32_t n, int32_t multiplier, uint32_t right, int16_t *y);
void nb_nn_tanh(const int16_t *x, uint32_t n, int32_t multiplier, uint32_t right, int16_t *y);

/* y = table[x + 128]. y may be x. */
void nb_nn_lookup_s8(const int8_t *x, uint32_t n, const int8_t table[256], int8_t *y);

#endif
