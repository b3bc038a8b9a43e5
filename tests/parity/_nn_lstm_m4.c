/* Runs the LSTM in lstm.c on the window in window.h on an emulated Cortex-M4F, started by _m4_start.c, and writes hs.bin by
   semihosting. Built and run by _nn_lstm.py, which writes both. */
#include <stdint.h>

#include "window.h"

void lstm_run(const int16_t *x, int8_t *hs);

static uint32_t semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

int main(void)
{
    static int8_t hs[STEPS * HIDDEN];
    lstm_run(&window[0][0], hs);
    static const char name[] = "hs.bin";
    const uint32_t open[3] = {(uint32_t)name, 5 /* wb */, sizeof name - 1};
    const uint32_t file = semihost(0x01u, open);
    const uint32_t write[3] = {file, (uint32_t)hs, sizeof hs};
    return semihost(0x05u, write) == 0 ? 0 : 2;
}
