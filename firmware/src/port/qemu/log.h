/* The log on UART0: what boot and faults have to say. Waits for the UART, so it is not for the main loop. */
#ifndef LOG_H
#define LOG_H
#include <stdint.h>

void log_text(const char *text);
void log_hex(uint32_t value);

#endif
