#ifndef SIMD_PROBE_H
#define SIMD_PROBE_H
#include <stdint.h>

enum { PROBES = 26 };

#endif
