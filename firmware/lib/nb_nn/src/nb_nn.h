/* Integer kernels of two schemes: int16x8 (_s16: int16 activations, int8 weights, zero points 0) and int8 (_s8: int8 activations
   with zero points, int8 weights). Called by the code that nociband_convert generates (firmware/models); every constant comes
   from there. Each kernel gives the same bits as LiteRT's reference kernel of the same operation (tests/parity/test_nn_*.py).
   What the generator proves, and the kernels rely on: 32-bit accumulators do not overflow, left shifts do not either.
   Tensors are dense and row-major; input and output do not overlap unless a kernel says so. */
#ifndef NB_NN_H
#define NB_NN_H
#include "nb_nn_activation.h"
#include "nb_nn_arithmetic.h"
#include "nb_nn_matrix.h"
#include "nb_nn_reduce.h"
#include "nb_nn_scale.h"
#include "nb_nn_shape.h"
#include "nb_nn_softmax.h"

#endif
