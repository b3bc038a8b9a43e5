/* Registers of the MPS2 AN386 that the emulated band uses. Addresses and interrupts as in QEMU's hw/arm/mps2.c; the parts are
   Arm's CMSDK (DDI 0479) and the Cortex-M4's own (DDI 0403). */
#ifndef AN386_H
#define AN386_H
#include <stdint.h>

#define CLOCK_HZ 25000000u

typedef struct {
    volatile uint32_t DATA, STATE, CTRL, INTSTATUS, BAUDDIV;
} cmsdk_uart_t;
#define UART0                  ((cmsdk_uart_t *)0x40004000) /* log */
#define UART1                  ((cmsdk_uart_t *)0x40005000) /* radio */
#define UART2                  ((cmsdk_uart_t *)0x40006000) /* front end */
#define UART3                  ((cmsdk_uart_t *)0x40007000) /* board */
#define UART1_RX_IRQ           2u
#define UART2_RX_IRQ           4u
#define UART3_RX_IRQ           18u
#define UART_STATE_TX_FULL     0x1u
#define UART_STATE_RX_FULL     0x2u
#define UART_CTRL_TX           0x1u
#define UART_CTRL_RX           0x2u
#define UART_CTRL_RX_INTERRUPT 0x8u
#define UART_INT_RX            0x2u

typedef struct {
    volatile uint32_t CTRL, VALUE, RELOAD, INTSTATUS;
} cmsdk_timer_t;
#define TIMER1 ((cmsdk_timer_t *)0x40001000) /* counts down at CLOCK_HZ */

#define SYST_CSR  (*(volatile uint32_t *)0xE000E010)
#define SYST_RVR  (*(volatile uint32_t *)0xE000E014)
#define SYST_CVR  (*(volatile uint32_t *)0xE000E018)
#define NVIC_ISER ((volatile uint32_t *)0xE000E100)
#define NVIC_ISPR ((volatile uint32_t *)0xE000E200)
#define SCB_ICSR  (*(volatile uint32_t *)0xE000ED04)
#define SCB_AIRCR (*(volatile uint32_t *)0xE000ED0C)
#define SCB_CFSR  (*(volatile uint32_t *)0xE000ED28)
#define SCB_CPACR (*(volatile uint32_t *)0xE000ED88)

static inline uint32_t interrupts_off(void)
{
    uint32_t before;
    __asm volatile("mrs %0, primask\n cpsid i" : "=r"(before)::"memory");
    return before;
}

static inline void interrupts_restore(uint32_t before)
{
    __asm volatile("msr primask, %0" ::"r"(before) : "memory");
}

__attribute__((noreturn)) static inline void reset(void)
{
    SCB_AIRCR = 0x05FA0004u;
    for (;;)
        __asm volatile("dsb");
}

#endif
