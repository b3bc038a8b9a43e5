/* A fixed piece of work for counting instructions: 150 blocks through DSP and window, then one window through the model.
   No radio, no UART, no timer: what is counted is the same at every run. Run by `nociband bench`, ended by semihosting. */
#include "an386.h"
#include "nb_dsp.h"
#include "nb_model.h"
#include "nb_window.h"

enum { BLOCKS = 150 }; /* nociband_tools.bench divides by it */

static uint32_t noise_state = 1;

static int16_t noise(int32_t amplitude)
{
    noise_state = noise_state * 1664525u + 1013904223u;
    return (int16_t)(((int32_t)(noise_state >> 16) - 32768) * amplitude / 32768);
}

static void leave(uint32_t status)
{
    const uint32_t arguments[2] = {0x20026u, status}; /* ADP_Stopped_ApplicationExit */
    register uint32_t r0 __asm("r0") = 0x20u;         /* SYS_EXIT_EXTENDED */
    register const void *r1 __asm("r1") = arguments;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    for (;;) {
    }
}

int main(void)
{
    static nb_dsp_t dsp;
    static nb_window_t window;
    static int16_t x[NB_WINDOW_FRAMES][NB_FEATURES];
    int16_t emg[NB_EMG_PER_BLOCK][NB_EMG_CHANNELS], features[NB_FEATURES], logits[NB_MODEL_OUTPUTS_MAX];
    const int16_t accel[NB_ACCEL_PER_BLOCK][NB_ACCEL_CHANNELS] = {{0, 0, 1000}, {0, 0, 1000}};

    nb_dsp_reset(&dsp);
    nb_window_reset(&window);
    for (int block = 0; block < BLOCKS; block++) {
        for (unsigned i = 0; i < NB_EMG_PER_BLOCK; i++) {
            emg[i][0] = noise(400);
            emg[i][1] = noise(150);
        }
        const uint16_t level = (uint16_t)(4000 + 10 * block);
        const uint16_t eda[NB_EDA_PER_BLOCK] = {level, (uint16_t)(level + noise(4))};
        nb_dsp_block(&dsp, (const int16_t(*)[NB_EMG_CHANNELS])emg, eda, features);
        nb_window_push(&window, (const int16_t(*)[NB_EMG_CHANNELS])emg, eda, accel, features, false);
    }
    nb_window_input(&window, nb_model_info.input_scale, x);
    nb_model_run((const int16_t(*)[NB_FEATURES])x, logits);
    leave(0);
}

/* The interrupts that the vectors name are never on here. */
void SysTick_Handler(void);
void uart1_interrupt(void);
void uart2_interrupt(void);
void uart3_interrupt(void);
void SysTick_Handler(void)
{
}
void uart1_interrupt(void)
{
}
void uart2_interrupt(void)
{
}
void uart3_interrupt(void)
{
}
