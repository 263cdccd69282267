/*
 * What the two files of the gdb server share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef GDBSTUB_GDB_INTERNAL_H
#define GDBSTUB_GDB_INTERNAL_H

#include "chardev/char-txq.h"
#include "hw/core/cpu.h"
#include "sysemu/debug.h"

#define GDB_MAX_PACKET  4096

enum GdbState { GDB_IDLE, GDB_PACKET, GDB_SUM1, GDB_SUM2 };

typedef struct GdbBreakpoint {
    uint64_t addr;
    uint8_t original;
} GdbBreakpoint;

typedef struct GdbServer {
    MachineState *ms;
    CharBackend chr;
    CharTxQueue tx;
    enum GdbState state;
    GString *packet;
    uint8_t sum;
    char sum_digit;
    bool attached;
    GByteArray *in;         /* read but not yet looked at */
    struct Monitor *hmp;    /* runs a command that is not done yet, or NULL */
    bool running;           /* the debugger waits for a stop */
    bool no_ack;
    unsigned cpu;           /* of g, G, m, M */
    unsigned step_cpu;
    CPUDebug debug;
    GMutex lock;            /* swbp: vCPUs look, too */
    GArray *swbp;           /* of GdbBreakpoint */
} GdbServer;

/* CPU n, or NULL. */
CPUState *gdb_cpu(GdbServer *s, uint64_t n);
/* Send a packet with this text, or these bytes. */
void gdb_answer(GdbServer *s, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
void gdb_put_packet(GdbServer *s, const char *data, size_t len);
/* The reply to '?' and to every stop. */
void gdb_report_stop(GdbServer *s);
/* Look at what has been read; not while a command of the monitor runs. */
void gdb_run(GdbServer *s);
/* Carry out the packet p, which may be changed (gdb-cmds.c). */
void gdb_handle_packet(GdbServer *s, char *p);
/* Whether the INT3 at addr is ours: CPUDebug.owns_breakpoint, opaque is s (gdb-cmds.c). */
bool gdb_owns_breakpoint(void *opaque, uint64_t addr);
/* Forget the debugger: its breakpoints go, the guest goes on (gdb-cmds.c). */
void gdb_detach(GdbServer *s);

#endif
