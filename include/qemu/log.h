/*
 * The log that -d and -D control. Off, it costs one test of a word.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_LOG_H
#define QEMU_LOG_H

#include <glib.h>
#include <stdbool.h>

#include "qemu/error.h"

enum {
    LOG_GUEST_ERROR = 1 << 0,   /* the guest did what no driver should */
    LOG_UNIMP       = 1 << 1,   /* the guest asked for what we do not have */
    LOG_VIRTIO      = 1 << 2,   /* device life cycle and queue set-up */
    LOG_KVM         = 1 << 3,   /* exits and ioctl failures */
    LOG_INT         = 1 << 4,   /* interrupts and exceptions */
    LOG_CPU_RESET   = 1 << 5,   /* CPU state at every reset */
    LOG_EXEC        = 1 << 6,   /* blocks as they are executed */
    LOG_IN_ASM      = 1 << 7,   /* guest code as it is decoded */
    LOG_BOOT        = 1 << 8,   /* how the kernel is started */
    LOG_OUT_ASM     = 1 << 9,   /* host code as it is made of guest code */
};

extern unsigned qemu_loglevel;

static inline bool qemu_loglevel_mask(unsigned mask)
{
    return __builtin_expect(qemu_loglevel & mask, 0) != 0;
}

/* One formatted piece of text to the log, unconditionally. Thread-safe. */
void qemu_log(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

#define qemu_log_mask(mask, ...) do { \
        if (qemu_loglevel_mask(mask)) { \
            qemu_log(__VA_ARGS__); \
        } \
    } while (0)

/* -d: a comma-separated list of names, or trace:PATTERN. False with errp set on an unknown one. */
bool qemu_set_log(const char *items, Error **errp);
/* -D: log to a file instead of stderr. */
bool qemu_set_log_filename(const char *filename, Error **errp);
/* -d help, on stdout. */
void qemu_print_log_usage(void);

#endif
