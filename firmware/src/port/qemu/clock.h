/* Device time from the board's free-running 25 MHz timer, and the 1 kHz interrupt that takes samples. */
#ifndef CLOCK_H
#define CLOCK_H
#include <stdint.h>

/* Time starts here; `tick` is called once a millisecond, from the interrupt. */
void clock_start(void (*tick)(void));

/* Microseconds since clock_start, monotonic; from anywhere. */
uint64_t clock_us(void);

#endif
