/*
 * A debugger's stops of the software CPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tcg-int.h"

#include "sysemu/runstate.h"

int tcg_set_debug(CPUState *cpu, const CPUDebug *debug)
{
    tcg_debug_set(tcg_cpu(cpu), debug);
    return 0;
}

bool tcg_debug_exit(TCGCPU *c)
{
    TCGDebug *d = &c->debug;

    if (d->int3) {
        d->int3 = false;
        if (!cpu_debug_owns_breakpoint(&d->want, c->eip + c->segs[R_CS].base)) {
            d->int3_pass = c->eip;
            return false;
        }
        d->event = (CPUDebugEvent) { .hit = true };
    }
    c->cs->debug_event = d->event;
    d->event.hit = d->stepped = false;      /* "cont" goes on, too */
    qemu_system_vmstop_request(c->cs->machine, RUN_STATE_DEBUG);
    return true;
}
