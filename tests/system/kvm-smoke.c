/*
 * The KVM accelerator on a board of nothing but RAM, ports and a doorbell.
 *
 * The guest programs are below, written where they run: in real mode with DS
 * reaching all 4 GiB, at 0x1000; application processors start at 0x8000.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hw/i386/cpu-internal.h"
#include "hw/irq.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"
#include "sysemu/accel.h"
#include "sysemu/cpus.h"
#include "sysemu/reset.h"
#include "target/i386/cpu.h"

#define RAM_SIZE    (2 * MiB)
#define CODE        0x1000
#define AP_CODE     0x8000
#define PML4        0x10000
#define MMIO_BASE   0xd0000000ULL
#define BELL        0x100
#define PORT_DATA   0xe0
#define PORT_END    0xe8
#define NR_GSIS     24

#define PROGRAM(name, code) \
    asm(".pushsection .rodata\n" #name "_start:\n.code16\n" code \
        "\n" #name "_end:\n.code64\n.popsection\n"); \
    extern const char name##_start[], name##_end[]

/* Values of each size to the port, a string, then the end. */
PROGRAM(real, "mov $0xe0, %dx; mov $0x42, %al; out %al, %dx;"
        "mov $0x1234, %ax; out %ax, %dx; mov $0xdeadbeef, %eax; out %eax, %dx;"
        "in %dx, %eax; out %eax, %dx;"
        "mov $0x1000, %si; mov $4, %cx; cld; rep outsb;"
        "mov %dl, %al; out %al, $0xe8; 1: hlt; jmp 1b");
/* The same registers of the board in long mode, in one half and across a page. */
PROGRAM(long_mode, ".code64\n mov $0xd0000000, %eax; movl $0x11223344, (%rax);"
        "mov (%rax), %ebx; mov $0xe0, %edx; mov %ebx, %eax; out %eax, %dx;"
        "mov $0xd0000000, %eax; movabs $0x0102030405060708, %rbx; mov %rbx, 8(%rax);"
        "mov 8(%rax), %rbx; shr $32, %rbx; mov %ebx, %eax; out %eax, %dx;"
        "out %al, $0xe8; 1: hlt; jmp 1b");
/* What the local APIC looks like, then change it and fault three times. */
PROGRAM(triple, "mov $0xe0, %dx; mov $0xfee000f0, %ebx; mov (%ebx), %eax; out %eax, %dx;"
        "movl $0x1ff, (%ebx); mov (%ebx), %eax; out %eax, %dx;"
        "mov $0x1b, %ecx; rdmsr; mov $0xe0, %dx; out %eax, %dx;"
        "mov $0xc0000102, %ecx; rdmsr; mov $0xe0, %dx; out %eax, %dx;"
        "mov $0x5555, %eax; mov $0, %edx; mov $0xc0000102, %ecx; wrmsr;"
        "lidtl 9f - triple_start + 0x1000; int3; 9: .word 0; .long 0");
/* Fetch instructions from a device. */
PROGRAM(lost, ".code64\n mov $0xd0000000, %eax; jmp *%rax");
/* Wake everybody by INIT and SIPI, wait for three, tell the sum of their ids. */
PROGRAM(boss, "mov $0xfee00300, %ebx; movl $0xc4500, (%ebx); movl $0xc4608, (%ebx);"
        "1: pause; cmpl $3, 0x7000; jb 1b; mov 0x7004, %eax; mov $0xe0, %dx;"
        "out %eax, %dx; out %al, $0xe8; 2: hlt; jmp 2b");
PROGRAM(worker, "xor %ax, %ax; mov %ax, %ds; mov $1, %eax; cpuid; shr $24, %ebx;"
        "lock addl %ebx, 0x7004; lock incl 0x7000; 1: cli; hlt; jmp 1b");
PROGRAM(spin, "mov $0xe0, %dx; xor %eax, %eax; out %al, %dx; 1: inc %ecx;"
        "cmp $0x77, %ebp; jne 1b; mov %ebp, %eax; out %al, %dx; out %al, $0xe8;"
        "2: hlt; jmp 2b");
/* Interrupt 4 of the PIC at vector 0x24, each told on the port; end after two. */
PROGRAM(irq, "movw $(irq_handler - irq_start + 0x1000), 0x90; movw $0, 0x92;"
        "mov $0x11, %al; out %al, $0x20; mov $0x20, %al; out %al, $0x21;"
        "mov $4, %al; out %al, $0x21; mov $1, %al; out %al, $0x21;"
        "mov $0xef, %al; out %al, $0x21; mov $0xfee000f0, %ebx; movl $0x1ff, (%ebx);"
        "mov $0xfee00350, %ebx; movl $0x700, (%ebx); mov $0xe0, %dx; mov $1, %al;"
        "out %al, %dx; sti; 1: hlt; cmp $2, %cx; jb 1b; out %al, $0xe8; 2: hlt; jmp 2b;"
        "irq_handler: inc %cx; mov $0x24, %al; out %al, %dx; mov $0x20, %al;"
        "out %al, $0x20; iret");
/* Two writes to the doorbell, one next to it. */
PROGRAM(bell, "mov $0xd0000100, %ebx; movl $7, (%ebx); movl $7, (%ebx);"
        "movl $8, 4(%ebx); out %al, $0xe8; 1: hlt; jmp 1b");

typedef struct Board {
    MachineState parent;
    MemoryRegion ram, mmio, ports;
    void *host;
    uint64_t regs[2];
    uint32_t data[1024];
    unsigned nr_data, nr_mmio_writes, nr_resets, resets_wanted;
    bool long_mode, timed_out;
    qemu_irq gsi[NR_GSIS];
    RunState stopped_as;
} Board;

static Board *board(MachineState *ms)
{
    return (Board *)ms;
}

static uint64_t ports_read(void *opaque, hwaddr addr, unsigned size)
{
    return 0xc0ffee00 + size;
}

static void ports_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    Board *b = opaque;

    g_assert(bql_locked());
    if (addr == PORT_END - PORT_DATA) {
        qemu_system_shutdown_request(&b->parent, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
    } else if (b->nr_data < G_N_ELEMENTS(b->data)) {
        b->data[b->nr_data++] = data;
    }
}

static uint64_t mmio_read(void *opaque, hwaddr addr, unsigned size)
{
    return board(opaque)->regs[addr / 8 % 2];
}

static void mmio_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    board(opaque)->regs[addr / 8 % 2] = data;
    board(opaque)->nr_mmio_writes++;
}

static const MemoryRegionOps ports_ops = { .read = ports_read, .write = ports_write };
static const MemoryRegionOps mmio_ops = {
    .read = mmio_read, .write = mmio_write, .lockless = true,   /* for its eventfd */
};

static void enter_long_mode(CPUX86State *env)
{
    for (unsigned i = 0; i < CPU_NB_SEGS; i++) {
        env->segs[i] = (SegmentCache) { .selector = i == R_CS ? 0x10 : 0x18,
            .limit = 0xffffffff, .attr = i == R_CS ? 0xa09b : 0xc093 };
    }
    env->tr = (SegmentCache) { .limit = 0x67, .attr = 0x8b };
    env->cr[0] = CR0_PE | CR0_ET | CR0_PG;
    env->cr[3] = PML4;
    env->cr[4] = CR4_PAE;
    env->efer = EFER_LME | EFER_LMA;
}

static void board_reset(MachineState *ms)
{
    CPUX86State *env;

    x86_cpus_reset(ms);
    env = &x86_cpu(ms->cpus[0])->env;
    env->segs[R_CS].base = 0;
    env->segs[R_CS].selector = 0;
    env->segs[R_DS].limit = 0xffffffff;
    env->segs[R_DS].attr |= DESC_G;
    env->eip = CODE;
    if (board(ms)->long_mode) {
        enter_long_mode(env);
    }
}

static const MachineClass board_class = {
    .oc = {
        .name = "smoke",
        .parent = &machine_base_class,
        .instance_size = sizeof(Board),
    },
    .max_cpus = 254,
    .default_cpu_model = "host",
    .reset = board_reset,
};

/* Pages of 1 GiB would need a feature: 2 MiB at 0, the device's page by 4 KiB. */
static void make_page_tables(uint8_t *host)
{
    uint64_t *pml4 = (uint64_t *)(host + PML4);
    uint64_t *pdpt = pml4 + 512, *low = pdpt + 512, *high = low + 512;

    pml4[0] = (PML4 + 0x1000) | 3;
    pdpt[0] = (PML4 + 0x2000) | 3;
    pdpt[3] = (PML4 + 0x3000) | 3;
    low[0] = 0x83;
    high[(MMIO_BASE >> 21) & 511] = MMIO_BASE | 0x83;
}

static void on_event(MachineState *ms, RunStateEvent event, ShutdownCause cause,
                     void *opaque)
{
    Board *b = opaque;

    if (event == RUN_STATE_EVENT_RESET && ++b->nr_resets == b->resets_wanted) {
        qemu_main_loop_quit();
    }
    if (event == RUN_STATE_EVENT_STOP && ms->rsm.state == RUN_STATE_INTERNAL_ERROR) {
        b->stopped_as = ms->rsm.state;
        qemu_main_loop_quit();
    }
}

static Board *board_new(unsigned cpus, const char *start, const char *end)
{
    Board *b = (Board *)object_new(&board_class.oc, NULL);
    MachineState *ms = &b->parent;
    AccelIrqchip chip = { .pic = true, .pit = false, .nr_gsis = NR_GSIS, .gsi = b->gsi };
    Error *err = NULL;

    runstate_init(ms);
    runstate_add_notifier(ms, on_event, b);
    ms->smp = (CpuTopology) { .cpus = cpus, .max_cpus = cpus, .sockets = 1, .dies = 1,
                              .cores = cpus, .threads = 1 };
    b->host = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy((char *)b->host + CODE, start, end - start);
    memcpy((char *)b->host + AP_CODE, worker_start, worker_end - worker_start);
    make_page_tables(b->host);
    memory_region_init_ram_ptr(&b->ram, "ram", RAM_SIZE, b->host);
    memory_region_add_subregion(&ms->system_memory, 0, &b->ram);
    memory_region_init_io(&b->mmio, &mmio_ops, b, "mmio", 0x1000);
    memory_region_add_subregion(&ms->system_memory, MMIO_BASE, &b->mmio);
    memory_region_init_io(&b->ports, &ports_ops, b, "ports", 16);
    memory_region_add_subregion(&ms->system_io, PORT_DATA, &b->ports);

    g_autoptr(GPtrArray) candidates = accel_candidates("kvm");

    if (!accel_init(ms, candidates, &err) ||
        !accel_get_class(ms->accel)->create_irqchip(ms->accel, &chip, &err) ||
        !x86_cpus_init(ms, &err) || !address_space_seal(&ms->memory, &err) ||
        !address_space_seal(&ms->io, &err)) {
        g_error("%s", error_get_pretty(err));
    }
    qemu_system_reset(ms, SHUTDOWN_CAUSE_NONE);
    return b;
}

static void board_free(Board *b)
{
    MachineState *ms = &b->parent;
    AccelState *as = ms->accel;

    vm_stop(ms, RUN_STATE_SHUTDOWN);
    x86_cpus_cleanup(ms);
    accel_get_class(as)->exit_machine(as);
    object_free(&as->obj);
    munmap(b->host, RAM_SIZE);
    g_array_unref(ms->rsm.notifiers);
    g_mutex_clear(&ms->rsm.lock);
    object_free(&ms->obj);
}

static gboolean out_of_time(gpointer data)
{
    board(data)->timed_out = true;
    qemu_main_loop_quit();
    return G_SOURCE_REMOVE;
}

/* What there is to see when the guest did not end. */
static void report(Board *b)
{
    MachineState *ms = &b->parent;
    g_autofree char *info = accel_get_class(ms->accel)->info(ms->accel);

    g_test_message("%u values, the last 0x%x; %u resets; %s", b->nr_data,
                   b->nr_data ? b->data[b->nr_data - 1] : 0, b->nr_resets, info);
    for (unsigned i = 0; i < ms->smp.cpus; i++) {
        g_autofree char *text = NULL;

        cpu_synchronize_state(ms->cpus[i]);
        text = x86_cpu_dump_state(x86_cpu(ms->cpus[i]));
        g_test_message("CPU %u\n%s", i, text);
    }
}

/* Until the guest, an event or the clock ends it. */
static void run(Board *b)
{
    guint watchdog = g_timeout_add_seconds(30, out_of_time, b);

    vm_start(&b->parent);
    qemu_main_loop();
    if (b->timed_out) {
        report(b);
    }
    g_assert_false(b->timed_out);
    g_source_remove(watchdog);
}

static void test_real(void)
{
    static const uint32_t expected[] = { 0x42, 0x1234, 0xdeadbeef, 0xc0ffee04 };
    Board *b = board_new(1, real_start, real_end);
    g_autofree char *info = NULL;
    unsigned long exits;

    run(b);
    g_assert_cmpuint(b->nr_data, ==, 8);
    g_assert_cmpmem(b->data, sizeof(expected), expected, sizeof(expected));
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmphex(b->data[4 + i], ==, (uint8_t)real_start[i]);
    }
    /* One exit for each instruction, and KVM is free to split the string. */
    info = accel_get_class(b->parent.accel)->info(b->parent.accel);
    g_assert_nonnull(strstr(info, " io="));
    exits = strtoul(strstr(info, " io=") + 4, NULL, 10);
    g_assert_cmpuint(exits, >=, 7);
    g_assert_cmpuint(exits, <=, 10);
    board_free(b);
}

static void test_long(void)
{
    Board *b = board_new(1, long_mode_start, long_mode_end);

    b->long_mode = true;
    qemu_system_reset(&b->parent, SHUTDOWN_CAUSE_NONE);
    run(b);
    g_assert_cmpuint(b->nr_data, ==, 2);
    g_assert_cmphex(b->data[0], ==, 0x11223344);
    g_assert_cmphex(b->data[1], ==, 0x01020304);
    board_free(b);
}

/* Every round must see the power-on state that the round before spoilt. */
static void test_reset(void)
{
    const unsigned rounds = 100;
    Board *b = board_new(2, triple_start, triple_end);

    b->resets_wanted = rounds;
    run(b);
    g_assert_cmpuint(b->nr_data, >=, 4 * rounds);
    for (unsigned i = 0; i < rounds; i++) {
        g_assert_cmphex(b->data[4 * i], ==, 0xff);
        g_assert_cmphex(b->data[4 * i + 1], ==, 0x1ff);
        g_assert_cmphex(b->data[4 * i + 2], ==, 0xfee00900);
        g_assert_cmphex(b->data[4 * i + 3], ==, 0);
    }
    board_free(b);
}

static void test_internal_error(void)
{
    Board *b = board_new(1, lost_start, lost_end);

    b->long_mode = true;
    qemu_system_reset(&b->parent, SHUTDOWN_CAUSE_NONE);
    run(b);
    g_assert_cmpint(b->stopped_as, ==, RUN_STATE_INTERNAL_ERROR);
    g_assert_cmphex(x86_cpu(b->parent.cpus[0])->env.eip, ==, MMIO_BASE);
    board_free(b);
}

static void test_smp(void)
{
    Board *b = board_new(4, boss_start, boss_end);

    run(b);
    g_assert_cmpuint(b->nr_data, ==, 1);
    g_assert_cmpuint(b->data[0], ==, 1 + 2 + 3);
    board_free(b);
}

static gboolean change_register(gpointer data)
{
    MachineState *ms = data;
    CPUX86State *env = &x86_cpu(ms->cpus[0])->env;
    g_autofree char *text = NULL;
    uint64_t count;

    if (!board(ms)->nr_data) {
        return G_SOURCE_CONTINUE;
    }
    vm_stop(ms, RUN_STATE_PAUSED);
    cpu_synchronize_state(ms->cpus[0]);
    g_assert_cmphex(env->eip, >, CODE);
    g_assert_cmphex(env->eip, <, CODE + (spin_end - spin_start));
    g_assert_cmphex(env->segs[R_DS].limit, ==, 0xffffffff);
    g_assert_cmphex(env->pat, ==, 0x0007040600070406);
    count = env->regs[R_ECX];
    text = x86_cpu_dump_state(x86_cpu(ms->cpus[0]));
    g_assert_nonnull(strstr(text, "CS =0000 00000000 0000ffff"));
    cpu_set_dirty(ms->cpus[0]);
    vm_start(ms);
    /* The write of registers that were only read must change nothing. */
    vm_stop(ms, RUN_STATE_PAUSED);
    cpu_synchronize_state(ms->cpus[0]);
    g_assert_cmphex(env->regs[R_ECX], >=, count);
    env->regs[R_EBP] = 0x77;
    cpu_set_dirty(ms->cpus[0]);
    vm_start(ms);
    return G_SOURCE_REMOVE;
}

static void test_pause(void)
{
    Board *b = board_new(1, spin_start, spin_end);

    g_timeout_add(20, change_register, b);
    run(b);
    g_assert_cmpuint(b->nr_data, ==, 2);
    g_assert_cmphex(b->data[1], ==, 0x77);
    board_free(b);
}

/* The first interrupt by the line, the second by an eventfd. */
typedef struct Pulse {
    Board *b;
    EventNotifier e;
    unsigned sent;
} Pulse;

static gboolean send_pulse(gpointer data)
{
    Pulse *p = data;
    qemu_irq irq = p->b->gsi[4];

    if (p->b->nr_data != p->sent + 1) {
        return G_SOURCE_CONTINUE;
    }
    if (p->sent++ == 0) {
        qemu_set_irq(irq, 1);
        qemu_set_irq(irq, 0);
        return G_SOURCE_CONTINUE;
    }
    g_assert_cmpint(irq.ops->attach(irq.opaque, irq.n, &p->e), ==, 0);
    event_notifier_set(&p->e);
    return G_SOURCE_REMOVE;
}

static void test_irq(void)
{
    Board *b = board_new(1, irq_start, irq_end);
    Pulse p = { .b = b };

    g_assert_cmpint(event_notifier_init(&p.e), ==, 0);
    g_timeout_add(5, send_pulse, &p);
    run(b);
    g_assert_cmpuint(b->nr_data, ==, 3);
    g_assert_cmphex(b->data[1], ==, 0x24);
    g_assert_cmphex(b->data[2], ==, 0x24);
    b->gsi[4].ops->detach(b->gsi[4].opaque, 4, &p.e);
    event_notifier_cleanup(&p.e);
    board_free(b);
}

static void test_doorbell(void)
{
    Board *b = board_new(1, bell_start, bell_end);
    EventNotifier e;
    MemoryRegionIoeventfd fd = {
        .addr = BELL, .size = 4, .match_data = true, .data = 7, .e = &e,
    };

    g_assert_cmpint(event_notifier_init(&e), ==, 0);
    g_assert_cmpint(memory_region_add_eventfd(&b->parent.memory, &b->mmio, &fd), ==, 0);
    run(b);
    g_assert_true(event_notifier_test_and_clear(&e));
    g_assert_cmpuint(b->nr_mmio_writes, ==, 1);
    memory_region_del_eventfd(&b->parent.memory, &b->mmio, &fd);
    event_notifier_cleanup(&e);
    board_free(b);
}

int main(int argc, char **argv)
{
    error_init(argv[0]);
    g_test_init(&argc, &argv, NULL);
    qemu_init_main_loop();
    g_test_add_func("/kvm/real-mode", test_real);
    g_test_add_func("/kvm/long-mode", test_long);
    g_test_add_func("/kvm/reset", test_reset);
    g_test_add_func("/kvm/internal-error", test_internal_error);
    g_test_add_func("/kvm/smp", test_smp);
    g_test_add_func("/kvm/pause", test_pause);
    g_test_add_func("/kvm/irq", test_irq);
    g_test_add_func("/kvm/doorbell", test_doorbell);
    return g_test_run();
}
