/*
 * An event that is on its way to the software CPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_EVENT_H
#define TARGET_I386_TCG_EVENT_H

#include <stdbool.h>
#include <stdint.h>

/* An event whose delivery had begun when the machine was saved by who does it by halves (KVM). */
typedef struct TCGEvent {
    enum {
        TCG_EVENT_NONE, TCG_EVENT_INTERRUPT, TCG_EVENT_NMI, TCG_EVENT_EXCEPTION,
    } kind;
    uint8_t vector;
    bool has_err;
    uint32_t err;
} TCGEvent;

#endif
