/* The generated model alone on a bare Cortex-M4F: no band, no radio, no C library of its own. `nociband bench kernels` counts
   what lies behind the linker script's 64 KiB line, `nociband bench parity` compares what comes out.

   QEMU's loader puts the work at WORK: the number of windows, then as many windows. Results go to the file results.bin by
   semihosting: the peak stack of nb_model_run in bytes, then for each window its logits and the hash of its hidden states. */
#include <stddef.h>
#include <stdint.h>

#include "nb_model.h"
#include "trace.h"

enum {
    WORK = 0x21000000,
    SYS_OPEN = 0x01,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_EXIT_EXTENDED = 0x20,
    OPEN_WRITE_BINARY = 5,
    PAINT = 0x5AC3A5E1
};

typedef struct {
    uint32_t windows;
    int16_t x[][NB_WINDOW_FRAMES][NB_FEATURES];
} work_t;

typedef struct {
    int16_t logits[NB_MODEL_OUTPUTS_MAX];
    uint32_t states;
} result_t;

extern uint32_t __stack_limit[], __stack_top[], __bss_start[], __bss_end[];
void reset(void);

static uint32_t semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void leave(uint32_t status)
{
    const uint32_t arguments[2] = {0x20026u, status}; /* ADP_Stopped_ApplicationExit */
    semihost(SYS_EXIT_EXTENDED, arguments);
    for (;;) {
    }
}

static void fault(void)
{
    semihost(SYS_WRITE0, "the processor faulted\n");
    leave(1);
}

static void put(uint32_t file, const void *data, uint32_t bytes)
{
    const uint32_t arguments[3] = {file, (uint32_t)data, bytes};
    if (semihost(SYS_WRITE, arguments) != 0) {
        leave(2);
    }
}

/* Runs the model and gives the deepest that its stack went below the caller's, in bytes. */
__attribute__((noinline)) static uint32_t run(const int16_t x[NB_WINDOW_FRAMES][NB_FEATURES], int16_t *logits)
{
    uint32_t *here;
    __asm volatile("mov %0, sp" : "=r"(here));
    for (volatile uint32_t *p = __stack_limit; p < here; p++) {
        *p = PAINT;
    }
    nb_model_run(x, logits);
    const volatile uint32_t *p = __stack_limit;
    while (p < here && *p == PAINT) {
        p++;
    }
    return (uint32_t)((const uint8_t *)here - (const volatile uint8_t *)p);
}

void reset(void)
{
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* the floating-point unit, as the band has it on */
    for (volatile uint32_t *p = __bss_start; p < __bss_end; p++) {
        *p = 0;
    }
    const work_t *work = (const work_t *)WORK;
    result_t *results = (result_t *)(WORK + (uintptr_t)sizeof(work_t) + work->windows * (uintptr_t)sizeof work->x[0]);
    uint32_t stack = 0;
    for (uint32_t i = 0; i < work->windows; i++) {
        trace_begin();
        const uint32_t used = run(work->x[i], results[i].logits);
        results[i].states = trace_end();
        stack = used > stack ? used : stack;
    }
    static const char name[] = "results.bin";
    const uint32_t arguments[3] = {(uint32_t)name, OPEN_WRITE_BINARY, sizeof name - 1};
    const uint32_t file = semihost(SYS_OPEN, arguments);
    put(file, &stack, sizeof stack);
    put(file, results, work->windows * sizeof results[0]);
    leave(0);
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    __stack_top,         (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault,
};
