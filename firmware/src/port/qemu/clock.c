/* The clock; see clock.h. The tick reads the 32-bit counter far more often than it wraps (172 s), which carries it to 64 bits. */
#include "clock.h"

#include "an386.h"

#define TICKS_A_US (CLOCK_HZ / 1000000u)
#define TICK_HZ    1000u

static void (*on_tick)(void);
static uint64_t ticks;
static uint32_t last;

uint64_t clock_us(void)
{
    const uint32_t before = interrupts_off();
    const uint32_t now = ~TIMER1->VALUE; /* it counts down */
    ticks += now - last;
    last = now;
    const uint64_t us = ticks / TICKS_A_US;
    interrupts_restore(before);
    return us;
}

void SysTick_Handler(void);
void SysTick_Handler(void)
{
    on_tick();
}

void clock_start(void (*tick)(void))
{
    on_tick = tick;
    TIMER1->RELOAD = TIMER1->VALUE = UINT32_MAX;
    TIMER1->CTRL = 1;
    last = ~TIMER1->VALUE;
    SYST_RVR = CLOCK_HZ / TICK_HZ - 1u;
    SYST_CVR = 0;
    SYST_CSR = 7; /* processor clock, interrupt, on */
}
