/* A branch of S0 over one window, in the int16x8 scheme: LSTM from zero state, attention, mean and maximum over time.

   Called by generated code (nociband_convert.kernels.branch). A hidden state is used as soon as the attention's convolution has
   seen enough after it, so that only a few rows are ever kept. Bit-identical to the operations of the graphs: REDUCE_MAX, MEAN,
   CONCATENATION, CONV_2D, LOGISTIC, MUL, MEAN, REDUCE_MAX in LiteRT's reference kernels. */
#ifndef NB_NN_BRANCH_H
#define NB_NN_BRANCH_H
#include <stdint.h>

#include "nb_nn_lstm.h"
#include "nb_nn_scale.h"

/* weight[t] = sigmoid(bias + sum_k taps[k] (max, mean)[t + k - kernel / 2]): max and mean over h[t], 0 outside the window. */
typedef struct {
    const int16_t (*taps)[2]; /* for maximum and mean */
    const int16_t *sigmoid;   /* of the convolution's value -1024 to 1023, in steps of 2^-15; the middle of its table */
    int32_t bias;
    nb_nn_channel_t convolution; /* the multiplier is below 2^15, right above 16 */
    nb_nn_scale_t mean;          /* 1 / units is in it; shift is negative */
    uint8_t kernel;              /* taps, odd */
} nb_nn_attention_t;

/* The largest of h[units], and the mean. */
typedef void nb_nn_pool_t(const nb_nn_attention_t *attention, const int16_t *h, uint32_t units, int16_t pooled[2]);
nb_nn_pool_t nb_nn_pool;

/* The weight of a step in steps of 2^-15, from `kernel` pooled values around it. */
typedef int32_t nb_nn_weight_t(const nb_nn_attention_t *attention, const int16_t (*pooled)[2]);
nb_nn_weight_t nb_nn_weight;

/* Adds two steps' weighted h[units] to `sum`, and keeps the largest. `weights` is the first step's | the second's << 16. */
typedef void nb_nn_gather_t(const int16_t *first, const int16_t *second, uint32_t weights, uint32_t units, int32_t *sum,
                            int16_t *largest);
nb_nn_gather_t nb_nn_gather;

/* The parts are nb_nn_lstm_step, nb_nn_pool, ..., or the generator's assembly of them. */
typedef struct {
    const nb_nn_lstm_t *lstm;
    const nb_nn_attention_t *attention;
    nb_nn_lstm_step_t *step;
    nb_nn_pool_t *pool;
    nb_nn_weight_t *weight;
    nb_nn_gather_t *gather;
    nb_nn_scale_t over_time; /* 1 / frames is in it */
    uint16_t frames;         /* even */
    uint16_t channels;       /* of x, even */
} nb_nn_branch_t;

/* Rows before the first is used again; two at least beyond what the convolution looks ahead: kernel / 2 is 6 at most. */
#define NB_NN_BRANCH_ROWS 8

/* What a branch works in; contents need not be kept between windows. */
typedef struct {
    int16_t *rows;        /* (NB_NN_BRANCH_ROWS + 1) * lstm->row, aligned to 4 bytes */
    int16_t (*pooled)[2]; /* frames + kernel - 1 */
    int32_t *sum;         /* units */
} nb_nn_branch_memory_t;

/* x[frames] of `stride` int16 each, the branch's channels first; mean[units] and maximum[units] of the weighted h over time.
   units is even; maximum is aligned to 4 bytes. */
void nb_nn_branch(const nb_nn_branch_t *branch, const int16_t *x, uint32_t stride, const nb_nn_branch_memory_t *memory,
                  int16_t *mean, int16_t *maximum);

#endif
