/* The log; see log.h. */
#include "log.h"

#include "an386.h"

static void put(char c)
{
    UART0->CTRL = UART_CTRL_TX;
    while (UART0->STATE & UART_STATE_TX_FULL) {
    }
    UART0->DATA = (uint8_t)c;
}

void log_text(const char *text)
{
    while (*text)
        put(*text++);
}

void log_hex(uint32_t value)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        put("0123456789abcdef"[value >> shift & 0xFu]);
}
