/* Runs the linked model on the windows in windows.h on an emulated Cortex-M4F, started by _m4_start.c, and prints one line of
   logits a window. Built and run by _m4.py. */
#include <stdint.h>
#include <stdio.h>

#include "_m4_start.h"
#include "nb_model.h"
#include "windows.h"

int main(void)
{
    char line[96];
    for (uint32_t n = 0; n < sizeof windows / sizeof windows[0]; n++) {
        int16_t logits[NB_MODEL_OUTPUTS_MAX];
        nb_model_run(windows[n], logits);
        int at = 0;
        for (uint32_t k = 0; k < NB_MODEL_OUTPUTS_MAX; k++) {
            at += snprintf(line + at, sizeof line - (size_t)at, "%d ", logits[k]);
        }
        snprintf(line + at, sizeof line - (size_t)at, "\n");
        say(line);
    }
    return 0;
}
