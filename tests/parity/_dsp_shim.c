/* What the parity tests need besides nb_dsp.h and nb_window.h: sizes of the states, and loops, so that Python need not make one
   call a block. */
#include <stddef.h>

#include "nb_dsp.h"
#include "nb_window.h"

size_t shim_dsp_bytes(void) { return sizeof(nb_dsp_t); }
size_t shim_window_bytes(void) { return sizeof(nb_window_t); }

void shim_dsp_blocks(nb_dsp_t *dsp, int blocks, const int16_t emg[][NB_EMG_PER_BLOCK][NB_EMG_CHANNELS],
                     const uint16_t eda[][NB_EDA_PER_BLOCK], int16_t features[][NB_FEATURES])
{
    for (int i = 0; i < blocks; i++)
        nb_dsp_block(dsp, emg[i], eda[i], features[i]);
}

void shim_log2(int n, const uint64_t *value, int32_t *result)
{
    for (int i = 0; i < n; i++)
        result[i] = nb_dsp_log2(value[i]);
}

void shim_window_blocks(nb_window_t *window, int blocks, const int16_t emg[][NB_EMG_PER_BLOCK][NB_EMG_CHANNELS],
                        const uint16_t eda[][NB_EDA_PER_BLOCK], const int16_t accel[][NB_ACCEL_PER_BLOCK][NB_ACCEL_CHANNELS],
                        const int16_t features[][NB_FEATURES], const uint8_t *underrun, uint16_t *why, uint8_t *quality)
{
    for (int i = 0; i < blocks; i++) {
        nb_window_push(window, emg[i], eda[i], accel[i], features[i], underrun[i] != 0);
        why[i] = nb_window_why(window);
        quality[i] = nb_window_quality_percent(window);
    }
}
