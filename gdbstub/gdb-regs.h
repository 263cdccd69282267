/*
 * A CPU's registers in the order and form that gdb is told of.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef GDBSTUB_GDB_REGS_H
#define GDBSTUB_GDB_REGS_H

#include <glib.h>

#include "target/i386/cpu.h"

/* The target description (gdb manual, "Target Descriptions"); caller frees. */
char *gdb_target_xml(void);

/* Registers are numbered from 0 to below this. */
unsigned gdb_num_regs(void);
/* Those of "g" and "G" packets come first; the system's are read one by one. */
unsigned gdb_num_general_regs(void);
/* Bytes of register n. */
unsigned gdb_reg_size(unsigned n);
/* Copy register n, little-endian, to or from buf of gdb_reg_size(n) bytes. */
void gdb_read_reg(const CPUX86State *env, unsigned n, uint8_t *buf);
/* Registers whose change would need checks of its own are left as they are. */
void gdb_write_reg(CPUX86State *env, unsigned n, const uint8_t *buf);

#endif
