/* Boot of the Cortex-M4F: vectors, memory, FPU, then main. A fault says where on the log and resets the band. */
#include <stdint.h>
#include <string.h>

#include "an386.h"
#include "log.h"

extern uint32_t __stack_top[], __data_start[], __data_end[], __data_load[], __bss_start[], __bss_end[];
int main(void);

void Reset_Handler(void);
void SysTick_Handler(void);
void uart1_interrupt(void);
void uart2_interrupt(void);
void uart3_interrupt(void);

void Reset_Handler(void)
{
    SCB_CPACR |= 0xFu << 20; /* FPU on, before the first function that may use it */
    __asm volatile("dsb\n isb");
    memcpy(__data_start, __data_load, (size_t)((char *)__data_end - (char *)__data_start));
    memset(__bss_start, 0, (size_t)((char *)__bss_end - (char *)__bss_start));
    main();
    reset();
}

/* `frame` is what the CPU stacked: r0-r3, r12, lr, pc, xpsr. */
__attribute__((used)) static void report_fault(const uint32_t *frame)
{
    log_text("fault: exception ");
    log_hex(SCB_ICSR & 0x1FFu);
    log_text(" pc ");
    log_hex(frame[6]);
    log_text(" lr ");
    log_hex(frame[5]);
    log_text(" cfsr ");
    log_hex(SCB_CFSR);
    log_text("\n");
    reset();
}

__attribute__((naked)) static void fault(void)
{
    __asm volatile("mrs r0, msp\n ldr r1, =__stack_top\n"
                   /* after a stack overflow there is no frame to read: point at the vectors and use a fresh stack */
                   " cmp r0, r1\n it hi\n movhi r0, #0\n ldr r2, =__stack_limit\n cmp r0, r2\n it lo\n movlo r0, #0\n"
                   " mov sp, r1\n b report_fault\n");
}

#define EXTERNAL(irq)       (16 + (irq))
#define EXTERNAL_INTERRUPTS 32
__attribute__((section(".vectors"), used)) static void (*const vectors[EXTERNAL(EXTERNAL_INTERRUPTS)])(void) = {
    [0] = (void (*)(void))__stack_top,
    [1] = Reset_Handler,
    [2 ... 14] = fault,
    [15] = SysTick_Handler,
    [16 ... EXTERNAL(UART1_RX_IRQ) - 1] = fault,
    [EXTERNAL(UART1_RX_IRQ)] = uart1_interrupt,
    [EXTERNAL(UART1_RX_IRQ) + 1 ... EXTERNAL(UART2_RX_IRQ) - 1] = fault,
    [EXTERNAL(UART2_RX_IRQ)] = uart2_interrupt,
    [EXTERNAL(UART2_RX_IRQ) + 1 ... EXTERNAL(UART3_RX_IRQ) - 1] = fault,
    [EXTERNAL(UART3_RX_IRQ)] = uart3_interrupt,
    [EXTERNAL(UART3_RX_IRQ) + 1 ... EXTERNAL(EXTERNAL_INTERRUPTS) - 1] = fault,
};
