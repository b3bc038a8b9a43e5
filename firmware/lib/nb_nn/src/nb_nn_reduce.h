/* Means and maxima over any dimensions; _s16 for the scheme int16x8, _s8 for int8. Gives LiteRT's MEAN and REDUCE_MAX.
   See nb_nn.h for what all kernels share. */
#ifndef NB_NN_REDUCE_H
#define NB_NN_REDUCE_H
#include "nb_nn_arithmetic.h"

/* The dimensions that stay and those that are reduced, neighbours merged, the inner one last: counts and steps in elements. */
typedef struct {
    uint32_t kept[2];
    uint32_t reduced[2];
    uint32_t kept_step[2];
    uint32_t reduced_step[2];
} nb_nn_reduction_t;

/* zero_sum: the zero point times the number of elements reduced, whose reciprocal is folded into `how`. */
void nb_nn_mean_s16(const int16_t *x, const nb_nn_reduction_t *over, const nb_nn_output_t *how, int16_t *y);
void nb_nn_mean_s8(const int8_t *x, const nb_nn_reduction_t *over, int32_t zero_sum, const nb_nn_output_t *how, int8_t *y);

void nb_nn_max_s16(const int16_t *x, const nb_nn_reduction_t *over, int16_t *y);
void nb_nn_max_s8(const int8_t *x, const nb_nn_reduction_t *over, int8_t *y);

#endif
