/* Runs every graph of graphs.h and names those whose output is not the one that is in it; then says how many there were.
   Built and run by _nn_graphs.py. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "_m4_start.h"
#include "graphs.h"

int main(void)
{
    static uint8_t out[GRAPH_BYTES_MAX + 4] __attribute__((aligned(4)));
    char line[48];
    for (uint32_t i = 0; i < GRAPHS; i++) {
        memset(out, 0x5A, sizeof out);
        graphs[i].run(graphs[i].in, out);
        if (memcmp(out, graphs[i].expected, graphs[i].bytes) != 0) {
            snprintf(line, sizeof line, "graph %u differs\n", (unsigned)i);
            say(line);
        }
        if (out[graphs[i].bytes] != 0x5A) {
            snprintf(line, sizeof line, "graph %u writes beyond its output\n", (unsigned)i);
            say(line);
        }
    }
    snprintf(line, sizeof line, "%u graphs\n", (unsigned)GRAPHS);
    say(line);
    return 0;
}
