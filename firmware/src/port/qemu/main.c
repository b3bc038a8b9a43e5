/* The band on the emulated Cortex-M4F: UARTs to the virtual board, samples taken from the timer's interrupt. */
#include "an386.h"
#include "clock.h"
#include "log.h"
#include "nvm_psram.h"
#include "uart.h"
#include "virtual_band.h"

int main(void)
{
    static virtual_board_t board;
    board = (virtual_board_t){.name = "qemu",
                              .now_us = clock_us,
                              .nvm = &nvm_psram,
                              .radio = uart_channel(UART_RADIO),
                              .front_end = uart_channel(UART_FRONT_END),
                              .board = uart_channel(UART_BOARD)};
    log_text("nociband on mps2-an386\n");
    uart_start();
    virtual_band_init(&board);
    clock_start(virtual_band_timer);
    for (;;) {
        virtual_band_poll();
        uart_pump();
        __asm volatile("wfi"); /* the next millisecond, or a byte */
    }
}
