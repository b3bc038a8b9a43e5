/* Start of a bare program on an emulated Cortex-M4F (mps2-an386, _nn_m4.ld): clears memory, runs main, leaves with its status.
   say() prints, by semihosting. */
#include <stdint.h>

#include "_m4_start.h"

extern uint32_t __bss_start[], __bss_end[];
extern int main(void);

static void semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void say(const char *text)
{
    semihost(0x04u, text);
}

static void leave(uint32_t status)
{
    const uint32_t arguments[2] = {0x20026u, status}; /* ADP_Stopped_ApplicationExit */
    semihost(0x20u, arguments);
    for (;;) {
    }
}

static void fault(void)
{
    say("fault\n");
    leave(2);
}

void reset(void)
{
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* the floating-point unit, as the band has it on */
    for (uint32_t *p = __bss_start; p < __bss_end; p++) {
        *p = 0;
    }
    leave((uint32_t)main());
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    (const void *)0x20040000u, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault,       (const void *)fault, (const void *)fault,
};
