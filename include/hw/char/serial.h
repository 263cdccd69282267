/*
 * The 16550A UART (National Semiconductor PC16550D data sheet), without a bus.
 *
 * Registers are accessed with the machine lock held. The owner maps io (8
 * bytes, byte registers) and connects the interrupt.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_CHAR_SERIAL_H
#define HW_CHAR_SERIAL_H

#include "chardev/char-txq.h"
#include "exec/memory.h"
#include "hw/core/state.h"
#include "hw/irq.h"
#include "qemu/timer.h"

#define UART_FIFO_LENGTH 16
#define UART_NUM_REGS 8

typedef struct SerialState {
    CharBackend chr;            /* the owner's "chardev" property */
    uint32_t baudbase;          /* baud at divisor 1; the owner's property */
    qemu_irq irq;
    MemoryRegion io;

    uint16_t divisor;
    uint8_t ier, fcr, lcr, mcr, scr;
    uint8_t lsr;                /* without THRE, TEMT and the FIFO error bit */
    uint8_t msr;
    bool thr_ipending;          /* "transmitter empty" was not yet seen */
    bool timeout_ipending;      /* bytes have waited for four character times */
    bool irq_level;             /* what we last told the line */

    struct {
        uint8_t data[UART_FIFO_LENGTH];
        uint8_t err[UART_FIFO_LENGTH];  /* line status of that character */
        unsigned head, len;
    } rx;
    QEMUTimer rx_timeout;
    bool tx_reset;              /* the guest gave up what the peer has not read */
    bool tx_waits;              /* of a saved one: something waited for the peer */
    CharTxQueue tx;
} SerialState;

/* Its state, for the owner's StateDesc: obj is a SerialState. */
extern const StateDesc serial_state;

/* Make io and attach to the chardev; s->chr, s->baudbase are set. */
void serial_realize(SerialState *s, qemu_irq irq, const char *name);
void serial_unrealize(SerialState *s);
/* Power-on state of the registers; output on its way is not lost. */
void serial_reset(SerialState *s);

#endif
