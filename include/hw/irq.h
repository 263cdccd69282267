/*
 * Interrupt lines.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_IRQ_H
#define HW_IRQ_H

#include <stdbool.h>

#include "qemu/event_notifier.h"

/* Called on every qemu_set_irq(), from any thread. */
typedef void qemu_irq_handler(void *opaque, int n, int level);

/* What else the receiving end can do; NULL members (or no ops) mean it cannot. */
typedef struct IRQOps {
    /*
     * Let e pulse line n without our help (KVM's irqfd). Returns 0 or negative
     * errno: the caller then falls back to qemu_set_irq().
     */
    int (*attach)(void *opaque, int n, EventNotifier *e);
    void (*detach)(void *opaque, int n, EventNotifier *e);
} IRQOps;

/* A line: who is told, and as which of its inputs. A value; copy it freely. */
typedef struct qemu_irq {
    qemu_irq_handler *handler;  /* NULL: not connected */
    void *opaque;
    int n;
    const IRQOps *ops;          /* NULL: none */
} qemu_irq;

/* Set the line. Any thread. An unconnected line swallows it. */
static inline void qemu_set_irq(qemu_irq irq, int level)
{
    if (irq.handler) {
        irq.handler(irq.opaque, irq.n, level);
    }
}

static inline void qemu_irq_raise(qemu_irq irq)
{
    qemu_set_irq(irq, 1);
}

static inline void qemu_irq_lower(qemu_irq irq)
{
    qemu_set_irq(irq, 0);
}

#endif
