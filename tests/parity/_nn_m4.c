/* Runs the linked model on the windows in windows.h on an emulated Cortex-M4F and prints one line of logits a window, by
   semihosting. Built and run by test_nn_m4.py. */
#include <stdint.h>
#include <stdio.h>

#include "nb_model.h"
#include "windows.h"

extern uint32_t __bss_start[], __bss_end[];

static void semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
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
    semihost(0x04u, "fault\n");
    leave(1);
}

void reset(void)
{
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* the floating-point unit, as the band has it on */
    for (uint32_t *p = __bss_start; p < __bss_end; p++) {
        *p = 0;
    }
    char line[96];
    for (uint32_t n = 0; n < sizeof windows / sizeof windows[0]; n++) {
        int16_t logits[NB_MODEL_OUTPUTS_MAX];
        nb_model_run(windows[n], logits);
        int at = 0;
        for (uint32_t k = 0; k < NB_MODEL_OUTPUTS_MAX; k++) {
            at += snprintf(line + at, sizeof line - (size_t)at, "%d ", logits[k]);
        }
        snprintf(line + at, sizeof line - (size_t)at, "\n");
        semihost(0x04u, line);
    }
    leave(0);
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    (const void *)0x20040000u, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault,       (const void *)fault, (const void *)fault,
};
