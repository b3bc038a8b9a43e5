/* What moves elements without computing: joining, cutting, padding. For any element type. See nb_nn.h for what all kernels share.
 */
#ifndef NB_NN_SHAPE_H
#define NB_NN_SHAPE_H
#include <stdint.h>

/* A block of runs in up to three loops: how often, how many bytes from one run to the next, and a run's bytes. */
typedef struct {
    uint32_t count[3];
    int32_t from[3];
    int32_t to[3];
    uint32_t bytes;
} nb_nn_block_t;

/* Copies a block from x to y, which do not overlap. Joins (one call an input), cuts with any stride, fills in what is padded. */
void nb_nn_copy(const void *x, const nb_nn_block_t *block, void *y);

/* All of y's `bytes` to `value` (of an int16, the value of both bytes). */
void nb_nn_fill(void *y, uint32_t bytes, int32_t value);

#endif
