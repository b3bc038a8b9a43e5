/* Compares both compilations of _simd_probe.c on values of all sizes and prints the first that differ. */
#include <stdio.h>

#include "_m4_start.h"
#include "_simd_probe.h"

void probe_dsp(uint32_t a, uint32_t b, uint32_t c, uint32_t y[PROBES]);
void probe_portable(uint32_t a, uint32_t b, uint32_t c, uint32_t y[PROBES]);

static const uint32_t special[] = {0u,          1u,          0x7FFFu,     0x8000u,     0xFFFFu,     0x7FFFFFFFu,
                                   0x80000000u, 0x80008000u, 0x7FFF7FFFu, 0xFFFFFFFFu, 0x80808080u, 0x7F7F7F7Fu};
enum { SPECIAL = sizeof special / sizeof special[0], RANDOM = 20000 };

static uint32_t differences(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t dsp[PROBES] = {0};
    uint32_t portable[PROBES] = {0};
    uint32_t differ = 0;
    probe_dsp(a, b, c, dsp);
    probe_portable(a, b, c, portable);
    for (uint32_t i = 0; i < PROBES; i++) {
        if (dsp[i] != portable[i]) {
            char line[96];
            snprintf(line, sizeof line, "probe %u of %08x %08x %08x: %08x, portable %08x\n", (unsigned)i, (unsigned)a,
                     (unsigned)b, (unsigned)c, (unsigned)dsp[i], (unsigned)portable[i]);
            say(line);
            differ++;
        }
    }
    return differ;
}

int main(void)
{
    uint32_t differ = 0;
    uint32_t state = 1;
    for (uint32_t i = 0; i < SPECIAL * SPECIAL * SPECIAL && differ < 20; i++) {
        differ += differences(special[i % SPECIAL], special[i / SPECIAL % SPECIAL], special[i / SPECIAL / SPECIAL]);
    }
    for (uint32_t i = 0; i < RANDOM && differ < 20; i++) {
        uint32_t v[3];
        for (uint32_t k = 0; k < 3; k++) {
            state = state * 1664525u + 1013904223u;
            const uint32_t high = state;
            state = state * 1664525u + 1013904223u;
            v[k] = (uint32_t)((int32_t)(high ^ state >> 16) >> (i % 4 * 8));
        }
        differ += differences(v[0], v[1], v[2]);
    }
    say(differ ? "differ\n" : "equal\n");
    return differ > 0;
}
