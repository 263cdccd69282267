/*
 * A guest for the software CPU alone: tables, handlers and registers for each of its modes.
 *
 * A handler goes on one byte behind what faulted. The code ends with INT 0xf0, whose handler is
 * HLT; all gates are open to all rings.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz-cpu.h"

#include <string.h>

#include "qemu/cutils.h"
#include "target/i386/tcg/mem/mmu.h"
#include "target/i386/tcg/ops/flags.h"
#include "target/i386/tcg/ops/fpu.h"
#include "target/i386/tcg/sys/system.h"

/* Guest memory. Those that real mode uses lie below 1 MiB by nature. */
enum {
    PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, PT = 0x4000, GDT = 0x5000, IDT = 0x6000,
    TSS = 0x7000, OTHER_TSS = 0x7800, LDT = 0x7c00, HANDLERS = 0x8000, CODE = 0x10000,
    STACK = 0x20000, DATA = 0x22000, IST = 0x25000, RING0 = 0x26000, ODD_PAGES = 0x30000,
};

enum {
    SEL_CODE64 = 0x08, SEL_CODE32 = 0x10, SEL_CODE16 = 0x18, SEL_DATA = 0x20, SEL_USER = 0x20,
    SEL_DATA16 = 0x48, SEL_TSS = 0x50, SEL_LDT = 0x60, SEL_GATE = 0x70, SEL_TASK_GATE = 0x80,
    SEL_OTHER_TSS = 0x90, SEL_DOWN = 0x98, SEL_CONFORMING = 0xa0, SEL_ABSENT = 0xa8,
    GDT_LIMIT = 0xaf,
};
#define DONE_VECTOR 0xf0
#define ERROR_VECTORS (1u << EXCP_DF | 0x1fu << EXCP_TS | 1u << EXCP_AC)    /* and 15 */

typedef struct Memory {
    const CpuGuest *g;
    uint8_t *ram;
    uint64_t random;
} Memory;

static uint64_t next_random(Memory *m)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random;
}

static void put(Memory *m, uint32_t at, uint64_t value, unsigned bytes)
{
    memcpy(m->ram + at, &value, bytes);
}

static bool is_long(const CpuGuest *g)
{
    return g->mode == MODE_LONG || g->mode == MODE_COMPAT;
}

static bool has_pae(const CpuGuest *g)
{
    return is_long(g) || g->paging == 2;
}

/* Inputs ------------------------------------------------------------------- */

static uint64_t take_register(FuzzInput *in, unsigned how, bool real)
{
    const uint32_t data = real ? 0x100 : DATA, odd = real ? 0x8000 : ODD_PAGES;

    switch (how & 15) {
    case 0:
        return fuzz_take(in, 8);
    case 1:
        return fuzz_take(in, 4);
    case 2:
        return (int64_t)(int8_t)fuzz_take(in, 1);
    case 3:
        return odd + 0xff8 + 0x1000 * (how >> 4);
    case 4:
        return (real ? 0x400 : CODE) + (how >> 4) * 16;
    case 5:
        return how >> 4;
    case 6:
        return 0xffffffff00000000u;
    case 7:
        return 0x1ull << (how >> 4) * 4;
    default:
        return data + (how >> 4) * 0x88;
    }
}

void cpu_guest_take(CpuGuest *g, FuzzInput *in)
{
    unsigned how = fuzz_take(in, 1), where = fuzz_take(in, 1);
    size_t rest;

    *g = (CpuGuest) {
        .mode = (how & 7) % MODES,
        .user = how & 8,
        .paging = (how >> 4) % 3,
        .small_gates = how & 64,
        .ist = how & 128,
        .flags = fuzz_take(in, 2),
        .controls = fuzz_take(in, 2),
        .seed = fuzz_take(in, 2),
        .start = where & 1 ? 0x1000 - (where >> 1) : (where >> 1) * 16,
    };
    for (unsigned i = 0; i < 16; i++) {
        g->regs[i] = take_register(in, fuzz_take(in, 1), g->mode <= MODE_PROT16);
    }
    rest = in->end - in->p;
    g->code = fuzz_take_bytes(in, &rest);
    g->len = MIN(rest, 0x1800u);
}

/* Paging ------------------------------------------------------------------- */

/* The last pages are odd: read-only, absent, no code, the kernel's, wrong, large numbers. */
static uint64_t page_bits(const CpuGuest *g, unsigned page)
{
    static const uint64_t odd[8] = { 5, 0, 7, 3, 7, 6, 1, 0x107 };
    unsigned n = page - ODD_PAGES / 4096;
    uint64_t bits = n < G_N_ELEMENTS(odd) ? odd[n] : 7;

    if (has_pae(g) && n == 2) {
        bits |= 1ull << 63;         /* no code */
    }
    if (has_pae(g) && n == 4) {
        bits |= 1ull << 51;         /* reserved */
    }
    return bits;
}

static void make_page_tables(Memory *m)
{
    unsigned size = has_pae(m->g) ? 8 : 4;

    put(m, PML4, PDPT | 7, 8);
    put(m, PDPT, PD | (is_long(m->g) ? 7 : 1), 8);
    put(m, PD, PT | 7, 8);
    put(m, PD + size, 0x87, size);      /* large, and the same memory */
    for (unsigned page = 0; page < CPU_RAM / 4096; page++) {
        put(m, PT + size * page, page << 12 | page_bits(m->g, page), size);
    }
}

/* Descriptors -------------------------------------------------------------- */

static void put_segment(Memory *m, unsigned sel, uint32_t base, uint32_t limit, uint16_t attr)
{
    put(m, GDT + sel, (uint64_t)(base >> 24) << 56 | (uint64_t)(attr & 0xf000) << 40 |
        (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)(attr & 0xff) << 40 |
        (uint64_t)(base & 0xffffff) << 16 | (limit & 0xffff), 8);
}

static void put_gate(Memory *m, uint32_t at, unsigned sel, uint32_t to, unsigned attr)
{
    put(m, at, (uint64_t)(to >> 16) << 48 | (uint64_t)attr << 32 | sel << 16 | (to & 0xffff), 8);
}

static void make_gdt(Memory *m)
{
    for (unsigned dpl = 0; dpl < 4; dpl += 3) {
        unsigned sel = dpl ? SEL_USER : 0, attr = dpl << DESC_DPL_SHIFT;

        put_segment(m, sel + SEL_CODE64, 0, 0xfffff, 0xa09b | attr);
        put_segment(m, sel + SEL_CODE32, 0, 0xfffff, 0xc09b | attr);
        put_segment(m, sel + SEL_CODE16, CODE, 0xffff, 0x009b | attr);
        put_segment(m, sel + SEL_DATA, 0, 0xfffff, 0xc093 | attr);
    }
    put_segment(m, SEL_DATA16, DATA, 0xffff, 0x0093 | 3 << DESC_DPL_SHIFT);
    put_segment(m, SEL_TSS, TSS, 0x7ff, 0x008b);
    put_segment(m, SEL_LDT, LDT, 0x3f, 0x0082);
    put_gate(m, GDT + SEL_GATE, is_long(m->g) ? SEL_CODE64 : SEL_CODE32, HANDLERS, 0xec00);
    put_gate(m, GDT + SEL_TASK_GATE, SEL_OTHER_TSS, 0, 0xe500);
    put_segment(m, SEL_OTHER_TSS, OTHER_TSS, 0x67, m->g->small_gates ? 0x0081 : 0x0089);
    put_segment(m, SEL_DOWN, DATA, 0xfff, 0x4097 | 3 << DESC_DPL_SHIFT);
    put_segment(m, SEL_CONFORMING, 0, 0xfffff, 0xc09f);
    put_segment(m, SEL_ABSENT, 0, 0xfffff, 0xc013);
    memcpy(m->ram + LDT, m->ram + GDT + SEL_USER, 0x28);
}

static void make_tss(Memory *m)
{
    const unsigned words[] = {
        SEL_DATA, SEL_CODE32, SEL_DATA, SEL_DATA, SEL_DATA, SEL_DATA, 0,
    };

    if (is_long(m->g)) {
        put(m, TSS + 4, RING0, 8);
        put(m, TSS + 0x24, IST, 8);
    } else {
        put(m, TSS + 4, RING0, 4);
        put(m, TSS + 8, SEL_DATA, 4);
    }
    put(m, TSS + 0x66, 0x68, 2);
    put(m, OTHER_TSS + 0x1c, PDPT, 4);
    put(m, OTHER_TSS + 0x20, CODE + 8, 4);
    put(m, OTHER_TSS + 0x24, 2, 4);
    put(m, OTHER_TSS + 0x38, STACK + 0x400, 4);
    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
        put(m, OTHER_TSS + 0x48 + 4 * i, words[i], 4);
    }
}

/* Handlers ----------------------------------------------------------------- */

static void put_bytes(uint8_t **p, const char *bytes, unsigned len)
{
    memcpy(*p, bytes, len);
    *p += len;
}

static bool small_handlers(const CpuGuest *g)
{
    return g->mode == MODE_REAL || (g->mode == MODE_PROT16 && g->small_gates);
}

static void put_handler(Memory *m, unsigned vector)
{
    uint8_t *p = m->ram + HANDLERS + 16 * vector;
    bool err = m->g->mode != MODE_REAL && vector < 32 && (ERROR_VECTORS >> vector & 1) &&
               vector != 15;

    if (vector == DONE_VECTOR) {
        put_bytes(&p, "\xf4\xeb\xfd", 3);           /* hlt; jmp to it */
    } else if (is_long(m->g)) {
        put_bytes(&p, "\x48\x83\xc4\x08", err ? 4 : 0);
        put_bytes(&p, "\x48\xff\x04\x24\x48\xcf", 6);
    } else if (!small_handlers(m->g)) {
        put_bytes(&p, "\x83\xc4\x04", err ? 3 : 0);
        put_bytes(&p, "\xff\x04\x24\xcf", 4);
    } else {
        put_bytes(&p, "\x83\xc4\x02", err ? 3 : 0);
        put_bytes(&p, "\x55\x89\xe5\xff\x46\x02\x5d\xcf", 8);
    }
}

static void make_idt(Memory *m)
{
    const CpuGuest *g = m->g;

    for (unsigned vector = 0; vector < 256; vector++) {
        uint32_t to = HANDLERS + 16 * vector;

        put_handler(m, vector);
        if (g->mode == MODE_REAL) {
            put(m, 4 * vector, 16 * vector | HANDLERS >> 4 << 16, 4);
        } else if (is_long(g)) {
            put_gate(m, IDT + 16 * vector, SEL_CODE64, to, 0xee00 | (g->ist || vector == EXCP_DF));
            put(m, IDT + 16 * vector + 8, 0, 8);
        } else if (small_handlers(g)) {
            put_gate(m, IDT + 8 * vector, SEL_CONFORMING + 0x10, to, 0xe600);
        } else {
            put_gate(m, IDT + 8 * vector, SEL_CODE32, to, vector == EXCP_NM ? 0xe500 : 0xee00);
        }
    }
    if (!is_long(g) && g->mode != MODE_REAL) {
        put_gate(m, IDT + 8 * EXCP_NM, SEL_OTHER_TSS, 0, 0xe500);
    }
}

/* Registers ---------------------------------------------------------------- */

static SegmentCache segment(uint16_t sel, uint64_t base, uint32_t limit, uint16_t attr)
{
    return (SegmentCache) { .selector = sel, .base = base, .limit = limit, .attr = attr };
}

static void load_segments(const CpuGuest *g, TCGCPU *c)
{
    unsigned user = g->user ? SEL_USER | 3 : 0, dpl = g->user ? 3 << DESC_DPL_SHIFT : 0;
    SegmentCache data = segment(SEL_DATA + user, 0, 0xffffffff, 0xc093 | dpl);

    c->cpl = g->user ? 3 : 0;
    switch (g->mode) {
    case MODE_LONG:
        c->segs[R_CS] = segment(SEL_CODE64 + user, 0, 0xffffffff, 0xa09b | dpl);
        break;
    case MODE_COMPAT:
    case MODE_PROT32:
        c->segs[R_CS] = segment(SEL_CODE32 + user, 0, 0xffffffff, 0xc09b | dpl);
        break;
    case MODE_PROT16:
        c->segs[R_CS] = segment(SEL_CODE16 + user, CODE, 0xffff, 0x009b | dpl);
        data = segment(SEL_DATA16 | c->cpl, DATA, 0xffff, 0x0093 | 3 << DESC_DPL_SHIFT);
        break;
    default:
        c->cpl = g->mode == MODE_VM86 ? 3 : 0;
        c->segs[R_CS] = segment(CODE >> 4, CODE, 0xffff, 0x0093 | c->cpl << DESC_DPL_SHIFT);
        data = segment(DATA >> 4, DATA, 0xffff, 0x0093 | c->cpl << DESC_DPL_SHIFT);
    }
    for (unsigned i = 0; i < CPU_NB_SEGS; i++) {
        c->segs[i] = i == R_CS ? c->segs[i] : data;
    }
    if (g->mode == MODE_PROT16) {
        c->segs[R_SS] = segment(SEL_DATA + user, 0, 0xffffffff, 0xc093 | dpl);
    }
}

static void load_controls(const CpuGuest *g, TCGCPU *c)
{
    static const uint32_t cr4_bits[] = {
        CR4_TSD, CR4_DE, CR4_PGE, CR4_UMIP, CR4_FSGSBASE, CR4_SMEP, CR4_SMAP,
    };
    static const uint32_t cr0_bits[] = { CR0_TS, CR0_EM, CR0_AM };
    bool paged = is_long(g) || (g->mode != MODE_REAL && g->paging);

    c->cr0 = CR0_ET | (g->mode == MODE_REAL ? 0 : CR0_PE) | (paged ? CR0_PG : 0) |
             (g->controls & 1 ? 0 : CR0_NE | CR0_WP | CR0_MP);
    c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_PSE | (has_pae(g) ? CR4_PAE : 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(cr0_bits); i++) {
        c->cr0 |= g->controls >> (1 + i) & 1 ? cr0_bits[i] : 0;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(cr4_bits); i++) {
        c->cr4 |= g->controls >> (4 + i) & 1 ? cr4_bits[i] : 0;
    }
    c->efer = is_long(g) ? EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE :
              g->controls >> 15 ? EFER_NXE : 0;
    c->cr3 = is_long(g) ? PML4 : g->paging == 2 ? PDPT : PD;
    c->xcr0 = tcg_xcr0_mask(c);
    c->gdt = (DescriptorTable) { GDT, GDT_LIMIT };
    c->idt = (DescriptorTable) {
        g->mode == MODE_REAL ? 0 : IDT, g->mode == MODE_REAL ? 0x3ff : is_long(g) ? 0xfff : 0x7ff,
    };
    c->ldt = segment(SEL_LDT, LDT, 0x3f, 0x82);
    c->tr = segment(SEL_TSS, TSS, 0x7ff, 0x8b);
    c->star = (uint64_t)SEL_CODE64 << 32 | (uint64_t)(SEL_USER + SEL_CODE32) << 48;
    c->lstar = CODE;
    c->cstar = CODE + 64;
    c->sysenter_cs = SEL_CODE64;
    c->sysenter_esp = STACK + 0x800;
    c->sysenter_eip = CODE;
}

static void load_vectors(Memory *m, TCGCPU *c)
{
    uint8_t image[512];
    const uint32_t mxcsr = m->g->controls & 0x800 ? next_random(m) & 0xffff : 0x1f80;
    const uint16_t fpu[2] = { m->g->controls & 0x1000 ? next_random(m) : 0x37f, 0 };

    for (unsigned i = 0; i < sizeof(image); i += 8) {
        uint64_t value = next_random(m);

        memcpy(image + i, &value, 8);
        memcpy((uint8_t *)c->ymmh + i % sizeof(c->ymmh), &value, 8);
    }
    memcpy(image, fpu, sizeof(fpu));
    memcpy(image + 24, &mxcsr, sizeof(mxcsr));
    tcg_fxrstor_image(c, image);
}

static void make_memory(Memory *m)
{
    static const uint8_t done[] = { 0xcd, DONE_VECTOR };
    const CpuGuest *g = m->g;
    uint8_t *end = m->ram + CODE + g->start + g->len;

    memset(m->ram, 0, CPU_RAM);
    for (uint32_t at = DATA; at < DATA + 0x1000; at += 8) {
        put(m, at, next_random(m), 8);
    }
    if (g->mode != MODE_REAL) {
        make_page_tables(m);
        make_gdt(m);
        make_tss(m);
    }
    make_idt(m);
    memcpy(m->ram + CODE + g->start, g->code, g->len);
    for (unsigned i = 0; i < 16; i++) {
        memcpy(end + 2 * i, done, sizeof(done));
    }
    memset(end + 32, 0xf4, 64);
}

void cpu_guest_load(const CpuGuest *g, TCGCPU *c, uint8_t *ram)
{
    Memory m = { g, ram, g->seed * 0x9e3779b97f4a7c15ull + 1 };
    bool small = g->mode <= MODE_VM86;

    make_memory(&m);
    memcpy(c->regs, g->regs, sizeof(g->regs));
    c->regs[R_ESP] = small ? 0x800 : STACK + 0x800;
    load_segments(g, c);
    load_controls(g, c);
    load_vectors(&m, c);
    if (small) {
        c->segs[R_SS].selector = STACK >> 4;
        c->segs[R_SS].base = STACK;
    }
    for (unsigned i = 0; i < 16 && g->mode != MODE_LONG; i++) {
        c->regs[i] = i < 8 ? (uint32_t)c->regs[i] : 0;
    }
    c->eip = g->start + (g->mode <= MODE_PROT16 ? 0 : CODE);
    cpu_set_eflags(c, 2 | (g->flags & 0x47fd5 & ~VM_MASK) | (g->mode == MODE_VM86 ? VM_MASK : 0));
    if (g->mode == MODE_REAL) {
        c->ldt.attr = c->tr.attr = 0;
    }
    tcg_tlb_flush_all(c);
    tcg_update_mode(c);
    tcg_mxcsr_enter(c);
}
