/* UART channels; see uart.h. */
#include "uart.h"

#include <stdatomic.h>

#include "an386.h"

#define RX_BYTES 1024u
#define TX_BYTES 8192u /* the attribute table, a manifest page and a second of frames */

typedef struct {
    cmsdk_uart_t *registers;
    uint32_t irq;
    _Atomic uint32_t rx_put, rx_taken; /* put by the interrupt, taken by the main loop */
    uint32_t tx_put, tx_taken;         /* the main loop's alone */
    uint8_t rx[RX_BYTES];
    uint8_t tx[TX_BYTES];
} uart_t;

static uart_t uarts[UARTS]; /* filled in by uart_start: initialised, its buffers would lie in flash too */

static void receive(uart_t *uart)
{
    cmsdk_uart_t *registers = uart->registers;
    registers->INTSTATUS = UART_INT_RX;
    while (registers->STATE & UART_STATE_RX_FULL) {
        const uint32_t put = uart->rx_put;
        if (put - uart->rx_taken == RX_BYTES) {
            registers->CTRL &= ~UART_CTRL_RX_INTERRUPT;
            return;
        }
        uart->rx[put % RX_BYTES] = (uint8_t)registers->DATA;
        uart->rx_put = put + 1;
    }
}

void uart1_interrupt(void);
void uart2_interrupt(void);
void uart3_interrupt(void);
void uart1_interrupt(void)
{
    receive(&uarts[UART_RADIO]);
}
void uart2_interrupt(void)
{
    receive(&uarts[UART_FRONT_END]);
}
void uart3_interrupt(void)
{
    receive(&uarts[UART_BOARD]);
}

static size_t channel_read(void *port, uint8_t *data, size_t capacity)
{
    uart_t *uart = port;
    size_t bytes = 0;
    uint32_t taken = uart->rx_taken;
    for (; bytes < capacity && taken != uart->rx_put; taken++)
        data[bytes++] = uart->rx[taken % RX_BYTES];
    uart->rx_taken = taken;
    if (bytes && !(uart->registers->CTRL & UART_CTRL_RX_INTERRUPT)) { /* room again: the byte that waits needs a new push */
        uart->registers->CTRL |= UART_CTRL_RX_INTERRUPT;
        NVIC_ISPR[0] = 1u << uart->irq;
    }
    return bytes;
}

static bool channel_write(void *port, const uint8_t *data, size_t bytes)
{
    uart_t *uart = port;
    if (TX_BYTES - (uart->tx_put - uart->tx_taken) < bytes)
        return false;
    for (size_t i = 0; i < bytes; i++)
        uart->tx[uart->tx_put++ % TX_BYTES] = data[i];
    return true;
}

void uart_start(void)
{
    static cmsdk_uart_t *const registers[UARTS] = {[UART_RADIO] = UART1, [UART_FRONT_END] = UART2, [UART_BOARD] = UART3};
    static const uint8_t irqs[UARTS] = {
        [UART_RADIO] = UART1_RX_IRQ, [UART_FRONT_END] = UART2_RX_IRQ, [UART_BOARD] = UART3_RX_IRQ};
    for (unsigned i = 0; i < UARTS; i++) {
        uarts[i].registers = registers[i];
        uarts[i].irq = irqs[i];
        uarts[i].registers->BAUDDIV = 16; /* the fastest; QEMU does not pace by it */
        uarts[i].registers->CTRL = UART_CTRL_TX | UART_CTRL_RX | UART_CTRL_RX_INTERRUPT;
        NVIC_ISER[0] = 1u << uarts[i].irq;
    }
}

nb_channel_t uart_channel(unsigned which)
{
    return (nb_channel_t){.port = &uarts[which], .read = channel_read, .write = channel_write};
}

bool uart_pump(void)
{
    bool left = false;
    for (unsigned i = 0; i < UARTS; i++) {
        uart_t *uart = &uarts[i];
        while (uart->tx_taken != uart->tx_put && !(uart->registers->STATE & UART_STATE_TX_FULL))
            uart->registers->DATA = uart->tx[uart->tx_taken++ % TX_BYTES];
        left |= uart->tx_taken != uart->tx_put;
    }
    return left;
}
