/* A look at the hidden states on the way, for `nociband bench parity`: a hash over every h of every step, in the order in which
   the model computes them. Without -DNB_TRACE nothing is looked at and the hash is 0. */
#ifndef NB_TRACE_H
#define NB_TRACE_H
#include <stdint.h>

void trace_begin(void);
uint32_t trace_end(void);

#endif
