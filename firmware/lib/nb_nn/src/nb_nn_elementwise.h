/* What is done element by element, or along one dimension: activations, products, sums, means, joining. See nb_nn.h for what
   all kernels share. */
#ifndef NB_NN_ELEMENTWISE_H
#define NB_NN_ELEMENTWISE_H
#include "nb_nn_scale.h"

/* The scales of an addition: each input after << 15, then their sum. */
typedef struct {
    nb_nn_scale_t a;
    nb_nn_scale_t b;
    nb_nn_scale_t sum;
} nb_nn_add_t;

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
