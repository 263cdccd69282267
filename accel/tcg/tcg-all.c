/*
 * The software CPU as an accelerator: properties and class.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tcg-int.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "qemu/cutils.h"
#include "target/i386/cpuid.h"
#include "target/i386/tcg/jit/jit.h"
#include "target/i386/tcg/sys/cpuid.h"

/*
 * perf looks at /tmp, in a file of the process's owner. What is left of an earlier process goes;
 * nobody's link is followed. The file stays when we end: perf reads it then.
 */
static int open_perf_map(Error **errp)
{
    g_autofree char *path = g_strdup_printf("/tmp/perf-%d.map", getpid());
    int fd;

    unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        error_setg_errno(errp, errno, "-accel tcg,perfmap=on: could not create '%s'", path);
    }
    return fd;
}

static bool tcg_init_machine(AccelState *as, MachineState *ms, Error **errp)
{
    TCGAccel *s = downcast(as, TCGAccel, parent);

    if (!__builtin_cpu_supports("sse4.2")) {
        error_setg(errp, "the software CPU needs a host with SSE4.2");
        return false;
    }
    if (s->tb_size <= GiB / MiB) {
        s->tb_size *= MiB;      /* QEMU's unit; so few bytes would be none */
    }
    if (s->tb_size && (s->tb_size < MiB || s->tb_size > GiB)) {
        error_setg(errp, "tb-size must be between 1M and 1G");
        return false;
    }
    s->perf_map = s->perfmap ? open_perf_map(errp) : -1;
    return !s->perfmap || s->perf_map >= 0;
}

static void tcg_exit_machine(AccelState *as)
{
    TCGAccel *s = downcast(as, TCGAccel, parent);

    if (s->state) {
        tcg_state_free(s->state);
        s->state = NULL;
    }
    if (s->perf_map >= 0) {
        close(s->perf_map);
    }
}

static bool tcg_supported_cpuid(AccelState *as, CPUIDTable *table, Error **errp)
{
    tcg_cpuid_fill(table, TCG_PHYS_BITS, tcg_tsc_khz());
    return true;
}

/* "info jit" */
static char *tcg_info(AccelState *as)
{
    TCGState *s = downcast(as, TCGAccel, parent)->state;
    uint64_t fills = 0, flushes = 0, lookups = 0;
    g_autofree char *jit = NULL;

    if (!s) {
        return g_strdup("no vCPU has run\n");
    }
    for (unsigned i = 0; i < s->nr_cpus; i++) {
        fills += s->cpus[i]->stat_fills;
        flushes += s->cpus[i]->stat_flushes;
        lookups += s->cpus[i]->stat_lookups;
    }
    jit = s->jit ? tcg_jit_info(s->jit) : NULL;
    return g_strdup_printf("blocks %" PRIu64 " (%" PRIu64 " instructions, %zu KiB; %zu KiB "
                           "for all code)\nblock lookups %" PRIu64
                           "\npages invalidated %" PRIu64 ", changed by DMA %" PRIu64
                           ", too often %" PRIu64 "\ncache flushes %" PRIu64
                           "\nTLB fills %" PRIu64 ", flushes %" PRIu64
                           "\nexclusive sections %" PRIu64 "\n%s",
                           s->stats.blocks, s->stats.ops, s->arena_used / 1024,
                           s->code_limit / 1024, lookups, s->stats.page_invalidations,
                           s->stats.dma_changes, s->stats.storms, s->stats.cache_flushes, fills,
                           flushes, s->stats.exclusives, jit ? jit : "");
}

static const char *const thread_names[] = { "single", "multi", NULL };

static const Property tcg_props[] = {
    DEFINE_PROP_SIZE("tb-size", TCGAccel, tb_size, "0",
                     "memory for decoded code; MiB without a suffix; 0: 14M, more if needed"),
    DEFINE_PROP_ENUM("thread", TCGAccel, thread_mode, thread_names, "multi",
                     "single: the vCPUs run one after the other, each in its thread"),
    DEFINE_PROP_BOOL("one-insn-per-tb", TCGAccel, one_insn, "off",
                     "each instruction by itself, for debugging"),
    DEFINE_PROP_ON_OFF_AUTO("jit", TCGAccel, jit, "auto",
                            "translate 64-bit code that is executed often to the host's"),
    DEFINE_PROP_BOOL("x-verify", TCGAccel, verify, "off",
                     "interpret, too, what is translated, and abort if they differ"),
    DEFINE_PROP_UINT32("x-jit-threshold", TCGAccel, jit_threshold, "400",
                       "executions of a block before it is translated"),
    DEFINE_PROP_BOOL("perfmap", TCGAccel, perfmap, "off",
                     "names of translated code for perf, in /tmp/perf-PID.map"),
    DEFINE_PROP_END
};

static const AccelClass tcg_class = {
    .oc = {
        .name = "tcg",
        .type_name = "tcg-accel",
        .desc = "the software CPU",
        .instance_size = sizeof(TCGAccel),
        .props = tcg_props,
    },
    .has_vcpu_threads = true,
    .unpack_kernels = true,
    .rtc_by_default = true,
    .init_machine = tcg_init_machine,
    .exit_machine = tcg_exit_machine,
    .supported_cpuid = tcg_supported_cpuid,
    .vcpu_init = tcg_vcpu_init,
    .vcpu_destroy = tcg_vcpu_destroy,
    .vcpu_exec = tcg_vcpu_exec,
    .vcpu_filter = &tcg_vcpu_filter,
    .vcpu_kick = tcg_vcpu_kick,
    .get_registers = tcg_get_registers,
    .put_registers = tcg_put_registers,
    .is_dead = tcg_is_dead,
    .inject_nmi = tcg_inject_nmi,
    .set_debug = tcg_set_debug,
    .foreach_state = MACHINE_STATE(tcg_foreach_state),
    .dirty_take = MACHINE_STATE(tcg_dirty_take),
    .info = tcg_info,
};
DEFINE_CLASS(tcg, &tcg_class.oc);
