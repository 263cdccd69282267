/*
 * The dirty log of the software CPU (exec/dirty-log.h).
 *
 * A page is marked when a TLB entry to write to it is made (mem/mmu.c). To find the next writes
 * all entries are dropped after marks have been taken: what was written by one until then has its
 * mark among those.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "exec/dirty-log.h"
#include "tcg-int.h"

/* What is written for the guest by the way, not by its instructions: it counts always. */
static void mark_shared(TCGCPU *c, DirtyLog *log)
{
    const uint64_t *const msrs[] = {
        &c->system_time_msr, &c->steal_time_msr, &c->pv_eoi_en_msr, &c->wall_clock_msr,
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(msrs); i++) {
        uint64_t msr = __atomic_load_n(msrs[i], __ATOMIC_RELAXED);

        for (unsigned n = 0; msr && n < 64; n += 63) {
            dirty_log_mark(log, address_space_map(c->mem, msr + n, 1), 1);
        }
    }
}

uint64_t tcg_dirty_take(AccelState *as, DirtyLog *log, uint64_t *words)
{
    TCGState *s = downcast(as, TCGAccel, parent)->state;
    uint64_t n;

    for (unsigned i = 0; s && i < s->nr_cpus; i++) {
        mark_shared(s->cpus[i], log);
    }
    n = dirty_log_take(log, words);
    if (s) {
        tcg_drop_all_tlbs(s);
    }
    return n;
}
