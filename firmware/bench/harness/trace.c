/* See trace.h. */
#include "trace.h"

void trace_begin(void)
{
}

uint32_t trace_end(void)
{
    return 0;
}
