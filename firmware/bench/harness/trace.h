/* A look at the hidden states on the way, for `nociband bench parity`: a hash over every h of every step, branch after branch, in
   the order in which the model computes them: hash = hash * 31 + (h mod 2^16), modulo 2^32, from 0.

   With -DNB_TRACE this header is included before each file (-include), so that the int8 scheme's LSTM goes through here, and the
   linker wraps nb_nn_branch for the int16x8 scheme's. Without, nothing is looked at and the hash stays 0. */
#ifndef NB_TRACE_H
#define NB_TRACE_H
#include <stdint.h>

void trace_begin(void);
uint32_t trace_end(void);

#ifdef NB_TRACE
#include "nb_nn_lstm_int8.h"

void trace_states(const int8_t *hs, uint32_t n);

NB_NN_LSTM_INLINE void trace_lstm_int8_run(const nb_nn_lstm_int8_t *k, const int16_t *x, uint32_t stride, uint32_t frames,
                                           int16_t *state, int8_t *hs)
{
    nb_nn_lstm_int8_run(k, x, stride, frames, state, hs);
    trace_states(hs, frames * k->hidden);
}
#define nb_nn_lstm_int8_run trace_lstm_int8_run
#endif

#endif
