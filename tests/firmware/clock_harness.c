/* The Cortex-M4F's clock on a timer that the test turns: its 32 bits are used up every 172 s. Exit status 0 when time goes on. */
#include <stdint.h>
#include <stdio.h>

#define AN386_H  /* these take the place of the board's registers */
#define CLOCK_HZ 25000000u
static struct {
    volatile uint32_t CTRL, VALUE, RELOAD;
} timer, *const TIMER1 = &timer;
static uint32_t SYST_RVR, SYST_CVR, SYST_CSR;
static int masked;

static uint32_t interrupts_off(void)
{
    return (uint32_t)masked++;
}

static void interrupts_restore(uint32_t before)
{
    masked = (int)before;
}

#include "clock.c"

static void tick(void)
{
    clock_us();
}

int main(void)
{
    uint64_t ticks = 0;
    clock_start(tick);
    if (timer.CTRL != 1 || SYST_CSR != 7 || SYST_RVR != 24999 || SYST_CVR != 0)
        return 1;
    for (int second = 0; second < 5000; second++) { /* past 2^32 ticks 29 times, past 2^32 us once */
        for (int i = 0; i < 10; i++) {
            timer.VALUE -= CLOCK_HZ / 10 - 1;
            ticks += CLOCK_HZ / 10 - 1;
            SysTick_Handler();
        }
        if (clock_us() != ticks / 25 || masked) {
            printf("after %d s: %llu\n", second, (unsigned long long)clock_us());
            return 1;
        }
    }
    return 0;
}
