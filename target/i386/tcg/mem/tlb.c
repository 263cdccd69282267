/*
 * Dropping translations: CR3, INVLPG, INVPCID.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "target/i386/tcg/mem/mmu.h"

static void renew_upper(TCGCPU *c)
{
    c->upper_gen = c->code_gen_next++;
    c->upper_large = 0;
    c->upper_private = false;
    memset(c->upper_seen, 0, sizeof(c->upper_seen));
}

/* None of sp's data is cached any more. */
static void renew_data(TCGCPU *c, TLBSpace *sp)
{
    if (c->gen_next >= TLB_GENS) {
        /* Tags only hold 12 bits of it: wipe, and count from the start. */
        c->gen_next = 1;
        for (unsigned i = 0; i < TLB_ASIDS; i++) {
            memset(c->spaces[i].e, 0, sizeof(c->spaces[i].e));
            c->spaces[i].gen = c->gen_next++;
        }
    }
    sp->gen = c->gen_next++;
    c->stat_flushes++;
}

/* Give sp new generations: nothing cached for it is valid any more. */
static void renew(TCGCPU *c, TLBSpace *sp)
{
    renew_data(c, sp);
    sp->code_gen = c->code_gen_next++;
    sp->large_map = 0;
    memset(sp->code_seen, 0, sizeof(sp->code_seen));
    if (c->upper_private) {
        renew_upper(c);
    }
}

/* Those of the current CR3. */
static void tcg_tlb_flush_space(TCGCPU *c)
{
    renew(c, &c->spaces[c->cur_space]);
    tcg_update_mode(c);
}

void tcg_tlb_flush_all(TCGCPU *c)
{
    for (unsigned i = 0; i < TLB_ASIDS; i++) {
        renew(c, &c->spaces[i]);
    }
    renew_upper(c);
    tcg_update_mode(c);
}

void tcg_tlb_flush_data(TCGCPU *c)
{
    for (unsigned i = 0; i < TLB_ASIDS; i++) {
        renew_data(c, &c->spaces[i]);
    }
    tcg_update_mode(c);
}

void tcg_tlb_init(TCGCPU *c)
{
    c->gen_next = 1;
    c->code_gen_next = 1;
    tcg_tlb_flush_all(c);
}

static bool was_seen(const uint64_t seen[64], uint64_t page)
{
    return (seen[page >> 6 & 63] >> (page & 63)) & 1;
}

void tcg_tlb_flush_page(TCGCPU *c, uint64_t va)
{
    uint64_t page = va >> TCG_PAGE_BITS;
    unsigned i, m, idx = (va >> TCG_PAGE_BITS) & (TLB_SIZE - 1);

    for (i = 0; i < TLB_ASIDS; i++) {
        TLBSpace *sp = &c->spaces[i];

        if (sp->large_map & ((uint64_t)1 << ((va >> 30) & 63))) {
            renew(c, sp);
            continue;
        }
        for (m = 0; m < MMU_MODES; m++) {
            TLBEntry *e = &sp->e[m][idx];

            if ((e->r & TCG_PAGE_MASK) == (va & TCG_PAGE_MASK)) {
                e->r = e->w = 0;
            }
        }
        /* Jumps to that page may be cached. */
        if (was_seen(sp->code_seen, page)) {
            sp->code_gen = c->code_gen_next++;
            memset(sp->code_seen, 0, sizeof(sp->code_seen));
        }
    }
    if ((va >> 63) && (was_seen(c->upper_seen, page) ||
                       (c->upper_large >> ((va >> 30) & 63)) & 1)) {
        renew_upper(c);
    }
    tcg_update_mode(c);
}

void tcg_tlb_flush_pcid(TCGCPU *c, unsigned pcid)
{
    for (unsigned i = 0; i < TLB_ASIDS; i++) {
        if ((c->spaces[i].cr3 & 0xfff) == pcid) {
            renew(c, &c->spaces[i]);
        }
    }
    tcg_update_mode(c);
}

/* The set that holds cr3, or the one unused for longest. */
static unsigned choose_space(TCGCPU *c, uint64_t cr3, bool *found)
{
    unsigned i, best = 0;

    for (i = 0; i < TLB_ASIDS; i++) {
        if (c->spaces[i].cr3 == cr3) {
            *found = true;
            return i;
        }
        if (c->spaces[i].used < c->spaces[best].used) {
            best = i;
        }
    }
    *found = false;
    return best;
}

void tcg_tlb_set_cr3(TCGCPU *c, uint64_t cr3, bool keep)
{
    bool found;

    c->cr3 = cr3;
    if (!(c->cr4 & CR4_PCIDE)) {
        tcg_tlb_flush_space(c);
        return;
    }
    c->cur_space = choose_space(c, cr3, &found);
    c->spaces[c->cur_space].used = ++c->use_clock;
    if (c->upper_private) {
        renew_upper(c);
    }
    if (!keep) {
        tcg_tlb_flush_pcid(c, cr3 & 0xfff);
    }
    if (!found) {
        c->spaces[c->cur_space].cr3 = cr3;
        renew(c, &c->spaces[c->cur_space]);
    }
    tcg_update_mode(c);
}
