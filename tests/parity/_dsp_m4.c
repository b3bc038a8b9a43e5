/* nb_dsp and nb_window on the emulated Cortex-M4F: counts from `counts.h` (written by the test) in, results to `results.bin` by
   semihosting. The start-up is the least that runs C; the band's own is in firmware/src. */
#include <stddef.h>
#include <stdint.h>

#include "counts.h"
#include "nb_dsp.h"
#include "nb_window.h"

extern uint32_t __stack_top, __bss_start, __bss_end;

static struct {
    int16_t features[BLOCKS][NB_FEATURES];
    uint16_t why[BLOCKS];
    uint16_t quality[BLOCKS];
    int16_t input[NB_WINDOW_FRAMES][NB_FEATURES];
} results;
static nb_dsp_t dsp;
static nb_window_t window;

static int semihosting(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static __attribute__((noinline)) void run(void)
{
    static const nb_input_scale_t scale[NB_FEATURES] = SCALES;
    static const int16_t still[NB_ACCEL_PER_BLOCK][NB_ACCEL_CHANNELS] = {{0, 0, 1000}, {0, 0, 1000}};
    nb_dsp_reset(&dsp);
    nb_window_reset(&window);
    for (unsigned i = 0; i < BLOCKS; i++) {
        nb_dsp_block(&dsp, EMG_COUNTS[i], EDA_COUNTS[i], results.features[i]);
        nb_window_push(&window, EMG_COUNTS[i], EDA_COUNTS[i], still, results.features[i], false);
        results.why[i] = nb_window_why(&window);
        results.quality[i] = nb_window_quality_percent(&window);
    }
    nb_window_input(&window, scale, results.input);
}

void Reset_Handler(void);
void Reset_Handler(void)
{
    static const char name[] = "results.bin";
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: the FPU's registers are used even by integer code */
    __asm__ volatile("dsb\n isb");
    for (uint32_t *p = &__bss_start; p < &__bss_end; p++)
        *p = 0;
    run();
    const struct { const char *name; int mode; size_t length; } open = {name, 5 /* wb */, sizeof name - 1};
    int file = semihosting(0x01, &open);
    const struct { int file; const void *data; size_t length; } write = {file, &results, sizeof results};
    int left = semihosting(0x05, &write);
    semihosting(0x02, &file);
    semihosting(0x18, (const void *)(left == 0 ? 0x20026 : 0x20024)); /* exit: well, or with an error */
    for (;;)
        ;
}

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {&__stack_top, Reset_Handler};
