/* A look at the hidden states on the way, for `nociband bench parity`: a hash over every h of every step, branch after branch, in
   the order in which the model computes them: hash = hash * 31 + (h mod 2^16), modulo 2^32, from 0.

   Built with -DNB_TRACE and linked with --wrap for each function that trace.c wraps. Without, nothing is looked at and the hash
   stays 0. */
#ifndef NB_TRACE_H
#define NB_TRACE_H
#include <stdint.h>

void trace_begin(void);
uint32_t trace_end(void);

#endif
