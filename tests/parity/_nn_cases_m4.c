/* Runs every case of cases.h and names those whose output is not the one that is in it; then says how many there were. Built and
   run by _nn_cases.py. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "_m4_start.h"
#include "cases.h"

int main(void)
{
    static uint8_t y[CASE_BYTES_MAX + 4] __attribute__((aligned(4)));
    char line[64];
    for (uint32_t n = 0; n < CASES; n++) {
        memset(y, 0x5A, sizeof y);
        cases[n].run(y);
        if (memcmp(y, cases[n].expected, cases[n].bytes) != 0) {
            snprintf(line, sizeof line, "case %u differs\n", (unsigned)n);
            say(line);
        }
        if (y[cases[n].bytes] != 0x5A) {
            snprintf(line, sizeof line, "case %u writes beyond its output\n", (unsigned)n);
            say(line);
        }
    }
    snprintf(line, sizeof line, "%u cases\n", (unsigned)CASES);
    say(line);
    return 0;
}
