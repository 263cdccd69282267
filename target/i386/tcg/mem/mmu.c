/*
 * Page walks and the soft TLB (SDM 3A, chapter 4).
 *
 * Translations carry the generation of their address space in the low bits of
 * their tags: dropping all of them is one increment. With CR4.PCIDE each of the
 * last eight CR3 values keeps its own set. PDPTEs of PAE paging are read at each
 * walk instead of at each load of CR3; global pages are not kept across loads of
 * CR3. Both only mean more walks, or a sight of newer tables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "exec/dirty-log.h"
#include "target/i386/tcg/block.h"
#include "target/i386/tcg/mem/mem.h"
#include "target/i386/tcg/mem/mmu.h"

#define PTE_P   1u
#define PTE_W   2u
#define PTE_U   4u
#define PTE_A   0x20u
#define PTE_D   0x40u
#define PTE_PS  0x80u
#define PTE_G   0x100u
#define PTE_NX  (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

/* Rights gathered on the way down. */
typedef struct WalkState {
    uint64_t va;
    MMUAccess acc;
    unsigned mode;
    bool w, u, nx;
    uint32_t error;
} WalkState;

static bool fault(WalkState *s, uint32_t bits)
{
    s->error |= bits;
    return false;
}

/* Set bits in an entry unless it has changed meanwhile; false: look again. */
static bool set_entry_bits(TCGCPU *c, void *p, uint64_t old, uint64_t bits)
{
    bool wide = c->cr4 & CR4_PAE;

    if ((old & bits) == bits) {
        return true;
    }
    address_space_wrote(c->mem, p, 4);
    if (wide) {
        return __atomic_compare_exchange_n((uint64_t *)p, &old, old | bits,
                                           false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST);
    }
    uint32_t o = old;
    return __atomic_compare_exchange_n((uint32_t *)p, &o, o | (uint32_t)bits,
                                       false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

static void *entry_ptr(TCGCPU *c, uint64_t pa, bool wide)
{
    return address_space_map(c->mem, pa, wide ? 8 : 4);
}

/* Read an entry and set its A bit; 0 where there is no RAM. */
static uint64_t read_entry(void *p, bool wide)
{
    if (!p) {
        return 0;
    }
    return wide ? __atomic_load_n((uint64_t *)p, __ATOMIC_RELAXED) :
           __atomic_load_n((uint32_t *)p, __ATOMIC_RELAXED);
}

/* Bits that must be zero in an entry of this level (0: page table). */
static uint64_t reserved_bits(const TCGCPU *c, unsigned level, bool leaf,
                              uint64_t e)
{
    uint64_t r = c->phys_reserved;

    if (!(c->efer & EFER_NXE)) {
        r |= PTE_NX;
    }
    if (level == 3) {
        r |= PTE_PS;
    } else if (leaf && level == 2) {
        r |= 0x3fffe000 | c->gib_reserved;
    } else if (leaf && level) {
        r |= c->cr4 & CR4_PAE ? 0x1fe000 : 0x3fe000;
    }
    if (!(c->efer & EFER_LMA)) {
        r |= 0x7ff0000000000000ull;
        if (level == 2) {
            /* A PDPTE has few bits: SDM 3A, table 4-8. */
            r = (r | 0x1e6 | PTE_NX) & ~(uint64_t)0xe00;
        }
    }
    return e & r;
}

/* What PKRU forbids by the protection key of a page of the user's: bit 0 all, 1 writing. */
static unsigned key_rights(const TCGCPU *c, const WalkState *s, uint64_t e)
{
    if (!(c->cr4 & CR4_PKE) || !(c->efer & EFER_LMA) || s->acc == MMU_FETCH || !s->u) {
        return 0;
    }
    return c->pkru >> (2 * (e >> 59 & 15)) & 3;
}

/* May the access be, given the rights of the whole way? e: the last entry. SDM 3A, 4.6. */
static bool permitted(TCGCPU *c, WalkState *s, uint64_t e, bool *writable)
{
    bool user = s->mode == MMU_USER, protect = user || (c->cr0 & CR0_WP);
    unsigned key = key_rights(c, s, e);
    bool locked = protect && (key & 2);

    if ((key & 1) || (locked && s->acc == MMU_WRITE)) {
        return fault(s, PF_P | PF_PK);
    }
    *writable = (s->w || !protect) && !locked;
    if (user && !s->u) {
        return fault(s, PF_P);
    }
    if (!user && s->u) {
        if (s->acc == MMU_FETCH ? (c->cr4 & CR4_SMEP) != 0 :
            (c->cr4 & CR4_SMAP) && s->mode == MMU_KERNEL) {
            return fault(s, PF_P);
        }
    }
    if ((s->acc == MMU_WRITE && !*writable) ||
        (s->acc == MMU_FETCH && s->nx)) {
        return fault(s, PF_P);
    }
    return true;
}

/* The last entry: rights, D, address. -1: the entry changed, walk again. */
static int walk_leaf(TCGCPU *c, WalkState *s, void *p, uint64_t e, unsigned shift,
                     PageWalk *out)
{
    uint64_t mask = ((uint64_t)1 << shift) - 1, base = e & PTE_ADDR & ~mask;
    bool wide = c->cr4 & CR4_PAE;

    if (!permitted(c, s, e, &out->writable)) {
        return 0;
    }
    if (!wide && shift == 22) {
        base = (e & 0xffc00000u);
    }
    if (!set_entry_bits(c, p, e, PTE_A | (s->acc == MMU_WRITE ? PTE_D : 0))) {
        return -1;
    }
    if (!(e & PTE_D) && s->acc != MMU_WRITE) {
        out->writable = false;      /* the first write must come here for D */
    }
    out->pa = base | (s->va & mask);
    out->large = shift > 12;
    out->global = (e & PTE_G) && (c->cr4 & CR4_PGE);
    return 1;
}

static int walk_levels(TCGCPU *c, WalkState *s, unsigned levels, PageWalk *out)
{
    bool wide = c->cr4 & CR4_PAE;
    unsigned bits = wide ? 9 : 10, esize = wide ? 8 : 4, level = levels;
    uint64_t table = c->cr3 & (wide ? levels == 3 ? 0xffffffe0u : PTE_ADDR :
                               0xfffff000u);

    while (level-- > 0) {
        unsigned shift = 12 + level * bits;
        uint64_t idx = (s->va >> shift) & ((1u << bits) - 1);
        void *p = entry_ptr(c, table + idx * esize, wide);
        uint64_t e = read_entry(p, wide);
        bool pdpte = level == 2 && levels == 3, leaf;

        if (!(e & PTE_P)) {
            return 0;
        }
        leaf = level == 0 || ((e & PTE_PS) && level <= 2 && !pdpte &&
                              (wide || (c->cr4 & CR4_PSE)));
        if ((wide || (leaf && level)) && reserved_bits(c, level, leaf, e)) {
            fault(s, PF_P | PF_RSVD);
            return 0;
        }
        if (!pdpte) {
            s->w &= (e & PTE_W) != 0;
            s->u &= (e & PTE_U) != 0;
        }
        s->nx |= wide && (e & PTE_NX);
        if (leaf) {
            return walk_leaf(c, s, p, e, shift, out);
        }
        if (!pdpte && !set_entry_bits(c, p, e, PTE_A)) {
            return -1;
        }
        table = e & PTE_ADDR;
    }
    return 0;
}

/*
 * Walk the page tables for an access as by mode (MMU_*). Sets A and D. False:
 * page fault with *error (SDM 3A, 4.7).
 */
static bool tcg_mmu_walk(TCGCPU *c, uint64_t va, MMUAccess acc, unsigned mode,
                  PageWalk *out, uint32_t *error)
{
    unsigned levels = c->efer & EFER_LMA ? 4 : c->cr4 & CR4_PAE ? 3 : 2;
    int r;

    if (!(c->cr0 & CR0_PG)) {
        out->pa = (uint32_t)va;
        out->writable = true;
        out->large = false;
        out->global = true;
        return true;
    }
    do {
        WalkState s = { .va = va, .acc = acc, .mode = mode, .w = true,
                        .u = true };

        r = walk_levels(c, &s, levels, out);
        *error = s.error | (acc == MMU_WRITE ? PF_W : 0) |
                 (mode == MMU_USER ? PF_U : 0);
        if (acc == MMU_FETCH && (((c->efer & EFER_NXE) && (c->cr4 & CR4_PAE)) ||
                                 (c->cr4 & CR4_SMEP))) {
            *error |= PF_I;
        }
    } while (r < 0);
    return r > 0;
}

static void walk_or_raise(TCGCPU *c, uint64_t va, MMUAccess acc, unsigned mode,
                          PageWalk *w)
{
    uint32_t error = 0;

    if ((c->efer & EFER_LMA) && !tcg_canonical(va)) {
        tcg_raise_err(c, c->fault_seg == R_SS && acc != MMU_FETCH ? EXCP_SS :
                      EXCP_GP, 0);
    }
    if (!tcg_mmu_walk(c, va, acc, mode, w, &error)) {
        c->cr2 = va;
        tcg_raise_err(c, EXCP_PF, error);
    }
}

/*
 * Translate and enter into the TLB of mode. Returns a host pointer to the
 * byte, or NULL for device memory (*pa). *code: writes must be reported.
 */
static uint8_t *tlb_fill(TCGCPU *c, uint64_t va, MMUAccess acc, unsigned mode,
                         uint64_t *pa, bool *code)
{
    TLBSpace *sp = &c->spaces[c->cur_space];
    TLBEntry *e = &sp->e[mode][(va >> TCG_PAGE_BITS) & (TLB_SIZE - 1)];
    uint64_t tag = (va & TCG_PAGE_MASK) + sp->gen;
    PageWalk w;
    uint8_t *host;
    bool rom = false;

    walk_or_raise(c, va, acc, mode, &w);
    *pa = w.pa;
    *code = false;
    c->stat_fills++;
    host = address_space_map(c->mem, w.pa & TCG_PAGE_MASK, TCG_PAGE_SIZE);
    if (!host && acc != MMU_WRITE) {
        host = (uint8_t *)address_space_map_ro(c->mem, w.pa & TCG_PAGE_MASK, TCG_PAGE_SIZE);
        rom = true;
    }
    if (!host || w.pa >> TCG_PAGE_BITS == c->apic_page) {
        return NULL;
    }
    if (w.large) {
        sp->large_map |= (uint64_t)1 << ((va >> 30) & 63);
    }
    e->r = tag;
    e->w = 0;
    e->addend = (uintptr_t)host - (va & TCG_PAGE_MASK);
    e->pa = w.pa & TCG_PAGE_MASK;
    if (address_space_dirty_log(c->mem)) {
        /* A write entry is what tells of writes: none before the first one. */
        w.writable &= acc == MMU_WRITE;
        if (acc == MMU_WRITE) {
            address_space_wrote(c->mem, host, TCG_PAGE_SIZE);
        }
    }
    if (w.writable && !rom) {
        if (tcg_page_may_write(c, e->pa)) {
            e->w = tag;
        } else {
            *code = true;
        }
    }
    if (unlikely(c->debug.watching) && tcg_debug_watches(c, va)) {
        e->r = e->w = 0;
    }
    if (unlikely(c->verify)) {
        e->w = 0;
    }
    return host + (va & 0xfff);
}

/* RAM: whole words in one go, as other CPUs may look (page tables!). */
static void copy_word(void *d, const void *s, unsigned n)
{
    switch (n) {
    case 1: ((un8 *)d)->v = ((const un8 *)s)->v; break;
    case 2: ((un16 *)d)->v = ((const un16 *)s)->v; break;
    case 4: ((un32 *)d)->v = ((const un32 *)s)->v; break;
    case 8: ((un64 *)d)->v = ((const un64 *)s)->v; break;
    default: memcpy(d, s, n); break;
    }
}

/* While c->ahead: x-verify wants to know. */
static SLOW_PATH void announce(TCGCPU *c, uint64_t va, uint8_t *host, unsigned n, MMUAccess acc,
                               bool code)
{
    const TCGAccess a = {
        .va = va, .host = host, .n = n, .write = acc == MMU_WRITE, .code = code,
    };

    c->on_access(c, &a);
}

/* One access within a page. */
static void access_part(TCGCPU *c, uint64_t va, void *buf, unsigned n,
                        MMUAccess acc, unsigned mode)
{
    bool code;
    uint64_t pa, v = 0;
    uint8_t *p = tlb_fill(c, va, acc, mode, &pa, &code);

    if (unlikely(c->ahead)) {
        announce(c, va, p, n, acc, code);
    }
    if (unlikely(c->debug.watching)) {
        tcg_debug_accessed(c, va, n, acc == MMU_WRITE);
    }
    if (p && acc == MMU_WRITE) {
        copy_word(p, buf, n);
        if (code) {
            tcg_code_written(c, pa, n);
        }
    } else if (p) {
        copy_word(buf, p, n);
    } else if (n & (n - 1) || n > 8) {
        /* Odd pieces of device accesses go byte by byte. */
        for (unsigned i = 0; i < n; i++) {
            if (acc == MMU_WRITE) {
                tcg_io_write(c, pa + i, ((uint8_t *)buf)[i], 1);
            } else {
                ((uint8_t *)buf)[i] = tcg_io_read(c, pa + i, 1);
            }
        }
    } else if (acc == MMU_WRITE) {
        memcpy(&v, buf, n);
        tcg_io_write(c, pa, v, n);
    } else {
        v = tcg_io_read(c, pa, n);
        memcpy(buf, &v, n);
    }
}

static void access_bytes(TCGCPU *c, uint64_t va, void *buf, unsigned size,
                         MMUAccess acc, unsigned mode)
{
    unsigned first = TCG_PAGE_SIZE - (va & 0xfff);

    if (first >= size) {
        access_part(c, va, buf, size, acc, mode);
        return;
    }
    if (acc == MMU_WRITE) {
        /* Both pages must take the write before either does. */
        uint64_t pa;
        bool code;

        tlb_fill(c, va, acc, mode, &pa, &code);
        tlb_fill(c, va + first, acc, mode, &pa, &code);
    }
    access_part(c, va, buf, first, acc, mode);
    access_bytes(c, va + first, (uint8_t *)buf + first, size - first, acc,
                 mode);
}

/* Of vectors and the like only what their own instructions ask for. */
static inline void check_alignment(TCGCPU *c, uint64_t addr, unsigned size)
{
    if (unlikely(c->check_alignment) && size <= 8 && !(size & (size - 1)) &&
        (addr & (size - 1))) {
        tcg_raise_err(c, EXCP_AC, 0);
    }
}

/* The sizes of the fast path write single words: no torn stores. */
uint64_t tcg_load_slow(TCGCPU *c, uint64_t addr, unsigned size)
{
    uint64_t v = 0;

    check_alignment(c, addr, size);
    access_bytes(c, addr, &v, size, MMU_READ, c->mmu_mode);
    return v;
}

void tcg_store_slow(TCGCPU *c, uint64_t addr, uint64_t v, unsigned size)
{
    check_alignment(c, addr, size);
    access_bytes(c, addr, &v, size, MMU_WRITE, c->mmu_mode);
}

void tcg_load_bytes(TCGCPU *c, uint64_t addr, void *buf, unsigned size)
{
    access_bytes(c, addr, buf, size, MMU_READ, c->mmu_mode);
}

void tcg_store_bytes(TCGCPU *c, uint64_t addr, const void *buf, unsigned size)
{
    access_bytes(c, addr, (void *)buf, size, MMU_WRITE, c->mmu_mode);
}

uint64_t tcg_load_sys(TCGCPU *c, uint64_t addr, unsigned size)
{
    uint64_t v = 0;

    access_bytes(c, addr, &v, size, MMU_READ, MMU_KERNEL);
    return v;
}

void tcg_store_sys(TCGCPU *c, uint64_t addr, uint64_t v, unsigned size)
{
    access_bytes(c, addr, &v, size, MMU_WRITE, MMU_KERNEL);
}

void tcg_store_stack(TCGCPU *c, unsigned cpl, uint64_t addr, uint64_t v, unsigned size)
{
    c->fault_seg = R_SS;
    access_bytes(c, addr, &v, size, MMU_WRITE, cpl == 3 ? MMU_USER : MMU_KERNEL);
}

void tcg_probe_write(TCGCPU *c, uint64_t addr, unsigned size)
{
    uint64_t pa;
    bool code;

    if (tlb_entry(c, addr)->w == tlb_tag(c, addr, size)) {
        return;
    }
    tlb_fill(c, addr, MMU_WRITE, c->mmu_mode, &pa, &code);
    if ((addr & 0xfff) + size > TCG_PAGE_SIZE) {
        tlb_fill(c, (addr | 0xfff) + 1, MMU_WRITE, c->mmu_mode, &pa, &code);
    }
}

uint8_t *tcg_page_ptr(TCGCPU *c, uint64_t addr, MMUAccess acc)
{
    TLBEntry *e = tlb_entry(c, addr);
    uint64_t pa, tag = tlb_tag(c, addr, 1);
    bool code;
    uint8_t *p;

    if ((acc == MMU_WRITE ? e->w : e->r) == tag) {
        return (uint8_t *)(addr + e->addend);
    }
    p = tlb_fill(c, addr, acc, c->mmu_mode, &pa, &code);
    return (acc == MMU_WRITE && code) || c->check_alignment || tcg_debug_watches(c, addr)
           ? NULL : p;
}

/*
 * Not a plain page: device, code, two pages or cache lines. The operand is copied out;
 * LOCK with other CPUs around stops them until it is stored back.
 */
void *tcg_rmw_slow(TCGCPU *c, const X86Op *op, uint64_t addr, unsigned size)
{
    uint64_t pa;
    bool code;
    uint8_t *p;

    sync_eip(c, op);
    check_alignment(c, addr, size);
    if ((addr & 0xfff) + size <= TCG_PAGE_SIZE) {
        p = tlb_fill(c, addr, MMU_WRITE, c->mmu_mode, &pa, &code);
        if (p && !code && (!tcg_splits_line(addr, size) || c->ahead)) {
            if (unlikely(c->ahead)) {
                announce(c, addr, p, size, MMU_WRITE, false);
            }
            if (unlikely(c->debug.watching)) {
                tcg_debug_accessed(c, addr, size, true);
            }
            return p;
        }
    } else {
        tcg_probe_write(c, addr, size);
    }
    if (unlikely(c->ahead)) {
        announce(c, addr, NULL, size, MMU_WRITE, true);
    }
    c->rmw_exclusive = false;
    if (tcg_exclusive_needed(c)) {
        uint64_t flushes = c->tcg->stats.cache_flushes;

        tcg_exclusive_start(c);
        c->rmw_exclusive = true;
        if (c->tcg->stats.cache_flushes != flushes && op != c->tmp_ops) {
            tcg_restart(c);     /* op is no more, nor what follows it */
        }
    }
    c->rmw_addr = addr;
    c->rmw_size = size;
    tcg_load_bytes(c, addr, c->rmw_buf, size);
    return c->rmw_buf;
}

void tcg_rmw_commit(TCGCPU *c)
{
    tcg_store_bytes(c, c->rmw_addr, c->rmw_buf, c->rmw_size);
    if (c->rmw_exclusive) {
        c->rmw_exclusive = false;
        tcg_exclusive_end(c);
    }
}

/* Remember where code was seen, for INVLPG. */
static void note_code(TCGCPU *c, uint64_t page, const PageWalk *w)
{
    TLBSpace *sp = &c->spaces[c->cur_space];
    bool upper = page >> 63;
    uint64_t *seen = upper ? c->upper_seen : sp->code_seen;

    if (w->large) {
        *(upper ? &c->upper_large : &sp->large_map) |=
            (uint64_t)1 << ((page >> 30) & 63);
    }
    seen[page >> (TCG_PAGE_BITS + 6) & 63] |=
        (uint64_t)1 << (page >> TCG_PAGE_BITS & 63);
    c->upper_private |= upper && !w->global;
}

uint64_t tcg_code_page(TCGCPU *c, uint64_t lin, const uint8_t **host)
{
    uint64_t page = lin & TCG_PAGE_MASK;
    CodeTLB *e = &c->ctlb[(lin >> TCG_PAGE_BITS) & (CODE_TLB_SIZE - 1)];
    PageWalk w;

    if (unlikely(e->lin != page || e->tag != code_tag(c, lin))) {
        walk_or_raise(c, lin, MMU_FETCH,
                      c->cpl == 3 ? MMU_USER : MMU_KERNEL, &w);
        note_code(c, page, &w);
        e->lin = page;
        e->tag = code_tag(c, lin);
        e->pa = w.pa & TCG_PAGE_MASK;
        e->host = address_space_map_ro(c->mem, e->pa, TCG_PAGE_SIZE);
        if (e->host) {
            tcg_page_verify(c, e->pa, e->host);
        }
    }
    *host = e->host;
    return e->pa | (lin & 0xfff);
}
