/* Softmax along the last dimension; _s16 for the scheme int16x8, _s8 for int8. Gives LiteRT's SOFTMAX.
   See nb_nn.h for what all kernels share. */
#ifndef NB_NN_SOFTMAX_H
#define NB_NN_SOFTMAX_H
#include "nb_nn_scale.h"

/* `scale` takes a difference to steps of 10 / 65535. exp[513]: 2^15 e^v for v from -10 to 0; reciprocal[513]: 2^15 / (1 + v) for
   v from 0 to 1; both interpolated. */
typedef struct {
    nb_nn_scale_t scale;
    const int16_t *exp;
    const int16_t *reciprocal;
} nb_nn_softmax_t;

/* x[rows][columns] -> y[rows][columns] in steps of 2^-15. y may be x. */
void nb_nn_softmax_s16(const int16_t *x, uint32_t rows, uint32_t columns, const nb_nn_softmax_t *how, int16_t *y);

/* The same in steps of 2^-8 from -128. exp[steps]: 2^31 e^-v for v = 0, 1, ... in x's steps; beyond, e^-v is 0. y may be x. */
void nb_nn_softmax_s8(const int8_t *x, uint32_t rows, uint32_t columns, const int32_t *exp, uint32_t steps, int8_t *y);

#endif
