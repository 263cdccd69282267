/*
 * Guest memory as a CPU's page tables show it.
 *
 * The tables are the guest's: each entry is read once, and walks are bounded
 * by the number of levels.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest-memory.h"
#include "sysemu/cpus.h"
#include "target/i386/cpu.h"

#define PTE_P       1u
#define PTE_PS      0x80u
#define PTE_ADDR    0x000ffffffffff000ULL

/* Entries that one walk of all tables reads: tables may point to themselves. */
#define WALK_BUDGET (1u << 24)

/* How the page tables in force are shaped. */
typedef struct PageMode {
    bool paging;
    unsigned levels;
    unsigned index_bits;
    unsigned entry_size;
    unsigned vaddr_bits;
    uint64_t root;
} PageMode;

static PageMode page_mode(CPUState *cs)
{
    const CPUX86State *env = &x86_cpu(cs)->env;
    PageMode m = { .paging = env->cr[0] & CR0_PG };

    if (env->efer & EFER_LMA) {
        m.levels = env->cr[4] & CR4_LA57 ? 5 : 4;
        m.index_bits = 9;
        m.entry_size = 8;
        m.vaddr_bits = 12 + 9 * m.levels;
        m.root = env->cr[3] & PTE_ADDR;
    } else if (env->cr[4] & CR4_PAE) {
        m.levels = 3;
        m.index_bits = 9;
        m.entry_size = 8;
        m.vaddr_bits = 32;
        m.root = env->cr[3] & 0xffffffe0u;
    } else {
        m.levels = 2;
        m.index_bits = 10;
        m.entry_size = 4;
        m.vaddr_bits = 32;
        m.root = env->cr[3] & 0xfffff000u;
    }
    return m;
}

static unsigned level_shift(const PageMode *m, unsigned level)
{
    return 12 + m->index_bits * (level - 1);
}

static uint64_t read_entry(CPUState *cs, const PageMode *m, uint64_t table,
                           uint64_t index)
{
    uint64_t entry = 0;

    if (!address_space_read(&cs->machine->memory, table + index * m->entry_size,
                            &entry, m->entry_size)) {
        return 0;
    }
    return entry;
}

/* A page-directory entry that maps memory itself. Not in the top two levels. */
static bool is_leaf(const PageMode *m, unsigned level, uint64_t entry)
{
    return level == 1 || (level <= (m->levels > 3 ? 3u : 2u) && (entry & PTE_PS));
}

static hwaddr leaf_address(const PageMode *m, unsigned level, uint64_t entry)
{
    uint64_t mask = (1ULL << level_shift(m, level)) - 1;

    if (m->entry_size == 4 && level == 2) {
        /* PSE-36: bits 20:13 are address bits 39:32 (SDM 3A, table 4-4). */
        return (entry & 0xffc00000u) | ((entry & 0x1fe000u) << 19);
    }
    return entry & PTE_ADDR & ~mask;
}

bool guest_translate(CPUState *cs, uint64_t vaddr, GuestPage *page)
{
    PageMode m;
    uint64_t table, entry, mask;

    cpu_synchronize_state(cs);
    m = page_mode(cs);
    if (!m.paging) {
        page->phys = vaddr;
        page->left = 0x1000 - (vaddr & 0xfff);
        return true;
    }
    table = m.root;
    for (unsigned level = m.levels; level; level--) {
        unsigned shift = level_shift(&m, level);
        uint64_t index = vaddr >> shift & ((1u << m.index_bits) - 1);

        entry = read_entry(cs, &m, table, index);
        if (!(entry & PTE_P)) {
            return false;
        }
        if (is_leaf(&m, level, entry)) {
            mask = (1ULL << shift) - 1;
            page->phys = leaf_address(&m, level, entry) | (vaddr & mask);
            page->left = mask + 1 - (vaddr & mask);
            return true;
        }
        table = entry & PTE_ADDR;
    }
    return false;
}

bool guest_virtual_rw(CPUState *cs, uint64_t vaddr, void *buf, uint64_t len,
                      bool is_write)
{
    AddressSpace *as = &cs->machine->memory;
    uint8_t *p = buf;
    GuestPage page;

    while (len) {
        uint64_t n;

        if (!guest_translate(cs, vaddr, &page)) {
            return false;
        }
        n = MIN(len, page.left);
        if (is_write ? !address_space_write(as, page.phys, p, n) :
            !address_space_read(as, page.phys, p, n)) {
            return false;
        }
        p += n;
        vaddr += n;
        len -= n;
    }
    return true;
}

typedef struct PageWalk {
    CPUState *cs;
    PageMode m;
    GuestPageFn *fn;
    void *opaque;
    unsigned budget;
} PageWalk;

static bool walk_table(PageWalk *w, uint64_t table, unsigned level, uint64_t base)
{
    unsigned shift = level_shift(&w->m, level);
    unsigned entries = 1u << MIN(w->m.index_bits, w->m.vaddr_bits - shift);

    for (unsigned i = 0; i < entries; i++) {
        uint64_t entry = read_entry(w->cs, &w->m, table, i);
        uint64_t vaddr = base + ((uint64_t)i << shift);
        bool go_on = true;

        if (!w->budget) {
            return false;
        }
        w->budget--;
        if (!(entry & PTE_P)) {
            continue;
        }
        if (is_leaf(&w->m, level, entry)) {
            GuestPage page = { leaf_address(&w->m, level, entry), 1ULL << shift };

            /* The upper half is sign-extended (SDM 1, 3.3.7.1). */
            if (w->m.vaddr_bits > 32 && vaddr >> (w->m.vaddr_bits - 1) & 1) {
                vaddr |= ~0ULL << w->m.vaddr_bits;
            }
            go_on = w->fn(vaddr, &page, w->opaque);
        } else {
            go_on = walk_table(w, entry & PTE_ADDR, level - 1, vaddr);
        }
        if (!go_on) {
            return false;
        }
    }
    return true;
}

void guest_foreach_page(CPUState *cs, GuestPageFn *fn, void *opaque)
{
    PageWalk w = { .cs = cs, .fn = fn, .opaque = opaque, .budget = WALK_BUDGET };

    cpu_synchronize_state(cs);
    w.m = page_mode(cs);
    if (w.m.paging) {
        walk_table(&w, w.m.root, w.m.levels, 0);
    }
}
