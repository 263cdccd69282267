/*
 * Every entry of the decoder's maps in a loop: the stack of the thread that runs it is no
 * deeper after hundreds of executions than after a few.
 *
 * A guest of one page of code decrements a counter, sets its registers, executes the entry
 * and begins anew; so does its handler of exceptions and NMIs, whatever they were. All of it
 * at CPL 0 and 3, as 64- and as 32-bit code, with interrupts off and on (NMIs arrive then),
 * and one instruction at a time.
 *
 * test-stack [TIMES], by default 500: what leaks at all leaks 16 bytes each time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "stack-entries.h"
#include "target/i386/tcg/jit/jit.h"
#include "target/i386/tcg/block.h"
#include "target/i386/tcg/mem/mem.h"
#include "target/i386/tcg/mem/mmu.h"
#include "target/i386/tcg/ops/flags.h"
#include "target/i386/tcg/sys/cpuid.h"
#include "target/i386/tcg/sys/system.h"

#define RAM_SIZE   0x100000u        /* mapped at 0, for all levels, by one 2 MiB page */
#define STACK_SIZE ((size_t)1 << 30)    /* of address space: what leaks does not end it */
#define SLACK      4096             /* what NMIs at odd moments may need more */
#define DONE_VECTOR 0xf0
#define SELECTORS_64 0x10           /* then 32-bit code; from USER on the same for CPL 3 */
#define SELECTOR_DATA 0x20
#define USER 0x18
#define TSS_SELECTOR 0x50

/* Guest memory; what entries write to is far from what the guest itself needs. */
enum {
    PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, GDT = 0x4000, IDT = 0x5000, TSS = 0x6000,
    FRAME = 0x7000,     /* for the handler's IRET */
    COUNTER = 0x8000, HANDLER = 0x9000, IST = 0xb000, CODE = 0x10000,
};

typedef struct Mode {
    const char *name;
    bool user, code64, interrupts, single;
} Mode;

static const Mode modes[] = {
    { "64 bits, CPL 0", false, true, false, false },
    { "64 bits, CPL 0, interrupts", false, true, true, false },
    { "64 bits, CPL 3, interrupts", true, true, true, false },
    { "32 bits, CPL 0", false, false, false, false },
    { "32 bits, CPL 3, interrupts", true, false, true, false },
    { "64 bits, CPL 0, interrupts, one at a time", false, true, true, true },
};

static uint8_t *ram, *stack;
static size_t low_water;            /* the lowest byte of the stack that was ever used */
static TCGCPU *cpu;
static CPUIDTable cpuid;
static uint32_t times;
static unsigned failed, lost;
static atomic_bool nmis, finished;

static void put(uint32_t at, uint64_t v)
{
    memcpy(ram + at, &v, 8);
}

static uint32_t get32(uint32_t at)
{
    uint32_t v;

    memcpy(&v, ram + at, 4);
    return v;
}

/* The guest ---------------------------------------------------------------- */

static void put_gate(unsigned vector, uint32_t to)
{
    put(IDT + 16 * vector, (uint64_t)(to >> 16) << 48 | 0xeeull << 40 | 1ull << 32 |
        SELECTORS_64 << 16 | (to & 0xffff));        /* an interrupt gate for all, IST 1 */
    put(IDT + 16 * vector + 8, 0);
}

static void make_tables(void)
{
    static const uint64_t gdt[] = {
        [2] = 0x00af9b000000ffff, [3] = 0x00cf9b000000ffff, [4] = 0x00cf93000000ffff,
        [5] = 0x00affb000000ffff, [6] = 0x00cffb000000ffff, [7] = 0x00cff3000000ffff,
        [10] = 0x0000890000000067 | (uint64_t)TSS << 16,
    };

    put(PML4, PDPT | 7);
    put(PDPT, PD | 7);
    put(PD, 0 | 0x87);
    memcpy(ram + GDT, gdt, sizeof(gdt));
    put(GDT + 8 * 11, 0);
    put(TSS + 4, IST - 0x800);      /* RSP0 */
    put(TSS + 0x24, IST);
    for (unsigned i = 0; i < 256; i++) {
        put_gate(i, HANDLER);
    }
    put_gate(DONE_VECTOR, HANDLER + 0x40);
    /* mov $FRAME, %esp; iretq */
    memcpy(ram + HANDLER, "\xbc\x00\x70\x00\x00\x48\xcf", 7);
    ram[HANDLER + 0x40] = 0xf4;     /* hlt */
}

static void make_frame(const Mode *m)
{
    unsigned more = m->user ? USER | 3 : 0;

    put(FRAME, CODE);
    put(FRAME + 8, (m->code64 ? SELECTORS_64 : SELECTORS_64 + 8) + more);
    put(FRAME + 16, m->interrupts ? 0x202 : 2);
    put(FRAME + 24, STACK_TOP);
    put(FRAME + 32, SELECTOR_DATA + more);
}

/* The loop; 64- and 32-bit code alike. */
static void make_code(const Entry *e)
{
    static const uint32_t regs[8] = { DATA, 3, DATA, DATA, STACK_TOP, DATA, DATA, DATA + 256 };
    uint8_t *p = ram + CODE;
    int32_t back;

    /* decl %ss:COUNTER; jnz +2; int $DONE_VECTOR */
    memcpy(p, "\x36\xff\x0c\x25\x00\x80\x00\x00\x75\x02\xcd\xf0", 12);
    p += 12;
    for (unsigned i = 0; i < 8; i++) {
        *p++ = 0xb8 + i;
        memcpy(p, &regs[i], 4);
        p += 4;
    }
    memcpy(p, e->bytes, e->len);
    p += e->len;
    *p++ = 0xe9;
    back = ram + CODE - (p + 4);
    memcpy(p, &back, 4);
    memset(p + 4, 0xcc, 64);
    /* RET, JMP and CALL to what they find on the stack and in the data come back. */
    for (unsigned i = 0; i < 0x1000; i += 8) {
        put(DATA - 0x800 + i, CODE);
        put(STACK_TOP - 0x800 + i, CODE);
    }
    tcg_code_written(cpu, CODE, 4096);
}

static void reset_cpu(const Mode *m)
{
    TCGCPU *c = cpu;

    make_tables();
    make_frame(m);
    memset(c->regs, 0, sizeof(c->regs));
    memset(c->dr, 0, sizeof(c->dr));
    memset(c->fpregs, 0, sizeof(c->fpregs));
    c->fpuc = 0x37f;
    c->fpus = c->fptag = 0;
    c->mxcsr = 0x1f80;
    c->xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    c->halted = c->shutdown = c->shadow = c->ss_shadow = c->nmi_masked = false;
    c->delivering = -1;
    c->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_ET;
    c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
    c->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    c->cr3 = PML4;
    c->gdt.base = GDT;
    c->gdt.limit = 0x5f;
    c->idt.base = IDT;
    c->idt.limit = 0xfff;
    memset(&c->ldt, 0, sizeof(c->ldt));
    c->tr = (SegmentCache) { .selector = TSS_SELECTOR, .base = TSS, .limit = 0x67, .attr = 0x8b };
    c->lstar = c->cstar = CODE;
    c->star = (uint64_t)SELECTORS_64 << 32 | (uint64_t)(SELECTORS_64 + USER - 16) << 48;
    c->sysenter_cs = SELECTORS_64;
    cpu_set_eflags(c, 2);
    tcg_set_flat_ss(c, (SELECTOR_DATA + USER) | 3, 3);
    c->segs[R_DS] = c->segs[R_ES] = c->segs[R_FS] = c->segs[R_GS] = c->segs[R_SS];
    tcg_set_flat_ss(c, SELECTOR_DATA, 0);
    tcg_set_flat_cs(c, SELECTORS_64, 0, true);
    c->tcg->one_insn = m->single;
    tcg_debug_update(c);
    tcg_tlb_flush_all(c);
    tcg_update_mode(c);
    tcg_mxcsr_enter(c);
    c->eip = HANDLER;
}

/* What it needs of the stack ----------------------------------------------- */

/* Has more been used than ever before? The stack was never touched below low_water. */
static size_t stack_growth(void)
{
    size_t old = low_water, look = low_water;

    while (look >= SLACK) {
        const uint64_t *q = (const uint64_t *)(stack + look - SLACK);
        size_t i = 0;

        while (i < SLACK / 8 && !q[i]) {
            i++;
        }
        if (i == SLACK / 8) {
            break;
        }
        look -= SLACK;
        low_water = look + 8 * i;
    }
    look = low_water;
    if (old - look > SLACK) {           /* a failure: the next one is to be seen, too */
        low_water = old & ~(size_t)0xfff;
        madvise(stack, low_water, MADV_DONTNEED);
    }
    return old - look;
}

/* Run the loop; false: an execution changed so much that it did not come to its end. */
static bool run_loop(const Mode *m, uint32_t n)
{
    uint32_t before = n + 1;

    reset_cpu(m);
    put(COUNTER, n);
    while (get32(COUNTER)) {
        TCGExit why = tcg_run(cpu);

        if (why == TCG_EXIT_SHUTDOWN || get32(COUNTER) > n || get32(COUNTER) == before) {
            return false;
        }
        atomic_fetch_and(&cpu->poll, ~(unsigned)POLL_EXIT);
        cpu->halted = false;
        before = why == TCG_EXIT_REQUEST ? get32(COUNTER) : n + 1;
    }
    return true;
}

static void run_entry(const Mode *m, const Entry *e, bool warm)
{
    uint32_t n = warm ? 20 : e->often ? 10 * times : times;
    size_t growth;

    make_code(e);
    if (!run_loop(m, n)) {
        lost += !warm;
    }
    growth = stack_growth();
    if (!warm && growth > SLACK) {
        printf("# %s:", m->name);
        for (unsigned i = 0; i < e->len; i++) {
            printf(" %02x", e->bytes[i]);
        }
        printf(": %zu bytes of stack in %u executions\n", growth, n);
        failed++;
    }
}

static void run_mode(const Mode *m)
{
    static Entry entries[MAX_ENTRIES];
    unsigned n = list_entries(entries, m->code64), before = failed;

    atomic_store(&nmis, m->interrupts);
    lost = 0;
    for (int warm = 1; warm >= 0; warm--) {
        for (unsigned i = 0; i < n; i++) {
            run_entry(m, &entries[i], warm);
        }
    }
    printf("%sok %d - %s\n# %u entries; %u did not come back\n",
           failed > before ? "not " : "", (int)(m - modes) + 1, m->name, n, lost);
    fflush(stdout);
}

/* The threads -------------------------------------------------------------- */

static void *vcpu_thread(void *arg)
{
    tcg_run_begin(cpu);
    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        run_mode(&modes[i]);
    }
    tcg_mxcsr_leave(cpu);
    tcg_run_end(cpu);
    atomic_store(&finished, true);
    return NULL;
}

/* NMIs, and now and then a look at whether the guest is still there. */
static void *clock_thread(void *arg)
{
    static const struct timespec ms = { 0, 1000000 };

    for (unsigned i = 0; !atomic_load(&finished); i++) {
        nanosleep(&ms, NULL);
        if (atomic_load(&nmis)) {
            atomic_store(&cpu->nmi_pending, true);
            tcg_poll_set(cpu, POLL_IRQ);
        }
        if (i % 20 == 19) {
            tcg_poll_set(cpu, POLL_EXIT);
        }
    }
    return NULL;
}

static void make_cpu(void)
{
    static MemoryRegion root, mr, ports;
    static AddressSpace mem, io;

    ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    g_assert(ram != MAP_FAILED && stack != MAP_FAILED);
    /* Who goes astray finds INT3, and the handler. */
    memset(ram, 0xcc, PML4);
    memset(ram + CODE, 0xcc, RAM_SIZE - CODE);
    memset(ram + DATA, 0, 0x3000);
    low_water = STACK_SIZE - 65536;
    memory_region_init(&root, "memory", UINT64_MAX);
    memory_region_init_ram_ptr(&mr, "ram", RAM_SIZE, ram);
    memory_region_add_subregion(&root, 0, &mr);
    address_space_init(&mem, &root, "memory", false);
    memory_region_init(&ports, "io", 0x10000);
    address_space_init(&io, &ports, "io", false);
    g_assert(address_space_seal(&mem, NULL) && address_space_seal(&io, NULL));
    tcg_cpuid_fill(&cpuid, 40, tcg_tsc_khz());
    cpu = g_aligned_alloc0(1, sizeof(*cpu), 64);
    cpu->mem = &mem;
    cpu->io = &io;
    cpu->tcg = tcg_state_new(RAM_SIZE, 1 << 20, 1 << 20);
    if (getenv("JIT")) {
        const TCGJitConfig config = { .size = 1 << 20,
                                      .threshold = 1, .perf_map = -1 };
        const char *why;

        cpu->tcg->jit = tcg_jit_new(&config, &why);
    }
    cpu->tcg->nr_cpus = 1;
    cpu->tcg->cpus[0] = cpu;
    cpu->apic_page = ~(uint64_t)0;
    tcg_set_cpuid(cpu, &cpuid);
    cpu->phys_reserved = 0x000fff0000000000ull;
    tcg_tlb_init(cpu);
}

int main(int argc, char **argv)
{
    pthread_t vcpu, ticks;
    pthread_attr_t attr;

    times = argc > 1 ? strtoul(argv[1], NULL, 0) : 500;
    make_cpu();
    printf("1..%zu\n", G_N_ELEMENTS(modes));
    pthread_attr_init(&attr);
    pthread_attr_setstack(&attr, stack, STACK_SIZE);
    g_assert(!pthread_create(&vcpu, &attr, vcpu_thread, NULL));
    g_assert(!pthread_create(&ticks, NULL, clock_thread, NULL));
    pthread_join(vcpu, NULL);
    pthread_join(ticks, NULL);
    return failed != 0;
}
