/* A window that slides over an image, position by position: shared by convolutions and pooling, not for use outside. */
#ifndef NB_NN_WINDOW_H
#define NB_NN_WINDOW_H
#include "nb_nn_matrix.h"

/* The part of a window that lies in the image: taps [top, top + rows) x [left, left + columns), the first of them at x. */
typedef struct {
    const uint8_t *x;
    uint32_t top;
    uint32_t rows;
    uint32_t left;
    uint32_t columns;
} nb_nn_patch_t;

/* What is done with a patch; `what` goes through. */
typedef void nb_nn_visit_t(const nb_nn_patch_t *p, const nb_nn_window_t *g, const void *what, void *y);

/* Visits each position, row by row, with y at its output. Elements of x and y have `bytes` bytes. */
void nb_nn_each_patch(const void *x, uint32_t bytes, const nb_nn_window_t *window, nb_nn_visit_t *visit, const void *what,
                      void *y);

#endif
