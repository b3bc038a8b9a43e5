/* Runs every case of cases.h and compares with the outputs that are in it; status 1 when one differs. Built by _nn_cases.py. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "_m4_start.h"
#include "cases.h"

int main(void)
{
    char line[96];
    uint32_t differ = 0;
    for (uint32_t n = 0; n < CASES; n++) {
        static uint8_t y[CASE_BYTES_MAX + 4] __attribute__((aligned(4)));
        memset(y, 0xA5, sizeof y);
        cases[n].run(cases[n].x, y);
        const int wrong = memcmp(y, cases[n].y, cases[n].bytes) != 0;
        const int beyond = y[cases[n].bytes] != 0xA5;
        if (wrong || beyond) {
            snprintf(line, sizeof line, "case %u differs%s\n", (unsigned)n, beyond ? ", and writes beyond its output" : "");
            say(line);
            differ++;
        }
    }
    snprintf(line, sizeof line, "%u cases, %u differ\n", (unsigned)CASES, (unsigned)differ);
    say(line);
    return differ > 0;
}
