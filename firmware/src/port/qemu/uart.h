/* Byte channels over the board's UARTs. Received bytes come by interrupt; when their ring is full the interrupt is masked and
   the byte stays in the UART, so that the sender waits and nothing is lost. Bytes to send leave when uart_pump finds room. */
#ifndef UART_H
#define UART_H
#include <stdbool.h>
#include <stddef.h>

#include "nb_bridge.h"

enum { UART_RADIO, UART_FRONT_END, UART_BOARD, UARTS };

void uart_start(void);
nb_channel_t uart_channel(unsigned which);

/* Send what the UARTs take now. False when nothing is left to send. */
bool uart_pump(void);

#endif
