/*
 * What gdb can ask: registers, memory, break- and watchpoints, running.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "gdbstub/gdb-internal.h"
#include "gdbstub/gdb-regs.h"
#include "monitor/guest-memory.h"
#include "monitor/hmp.h"
#include "qemu/cutils.h"
#include "qemu/trace.h"
#include "sysemu/accel.h"
#include "sysemu/cpus.h"
#include "sysemu/gdbstub.h"

#define GDB_MAX_SWBP    256

static void append_hex(GString *out, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        g_string_append_printf(out, "%02x", buf[i]);
    }
}

/* Bytes of hex digits at text into buf; how many there were, at most max. */
static size_t parse_hex(const char *text, uint8_t *buf, size_t max)
{
    size_t n;

    for (n = 0; n < max; n++) {
        int byte = qemu_hex_byte(text + n * 2);

        if (byte < 0) {
            break;
        }
        buf[n] = byte;
    }
    return n;
}

/* The machine ---------------------------------------------------------------------- */

static CPUX86State *gdb_env(GdbServer *s)
{
    CPUState *cs = gdb_cpu(s, s->cpu);

    if (!cs) {
        return NULL;
    }
    cpu_synchronize_state(cs);
    return &x86_cpu(cs)->env;
}

/* Tell the accelerator what to stop at; 0 or negative errno. CPUs paused. */
static int update_debug(GdbServer *s, bool step)
{
    int ret = 0;

    for (unsigned i = 0; s->ms->cpus && i < s->ms->smp.cpus; i++) {
        CPUDebug debug = s->debug;
        int r;

        debug.single_step = step && i == s->step_cpu;
        s->ms->cpus[i]->debug_event.hit = false;
        r = cpu_set_debug(s->ms->cpus[i], &debug);
        ret = ret ? ret : r;
    }
    return ret;
}

/* A dump is being written: the machine stays as it is. */
static bool dumping(const GdbServer *s)
{
    return s->ms->monitors && dump_in_progress(s->ms->monitors);
}

static void gdb_resume(GdbServer *s, bool step)
{
    const AccelClass *ac = accel_get_class(s->ms->accel);

    if ((step && !ac->set_debug) || dumping(s)) {
        gdb_answer(s, "E22");
        return;
    }
    if (s->ms->rsm.state == RUN_STATE_SHUTDOWN ||
        s->ms->rsm.state == RUN_STATE_INTERNAL_ERROR) {
        gdb_report_stop(s);
        return;
    }
    update_debug(s, step);
    s->running = true;
    vm_start(s->ms);
}

/* Breakpoints ------------------------------------------------------------------------ */

bool gdb_owns_breakpoint(void *opaque, uint64_t addr)
{
    GdbServer *s = opaque;
    bool found = false;

    g_mutex_lock(&s->lock);
    for (guint i = 0; i < s->swbp->len; i++) {
        found |= g_array_index(s->swbp, GdbBreakpoint, i).addr == addr;
    }
    g_mutex_unlock(&s->lock);
    return found;
}

static int insert_swbp(GdbServer *s, uint64_t addr)
{
    CPUState *cs = gdb_cpu(s, s->cpu);
    GdbBreakpoint bp = { .addr = addr };
    uint8_t int3 = 0xcc;

    if (gdb_owns_breakpoint(s, addr)) {
        return 0;
    }
    if (!cs || s->swbp->len == GDB_MAX_SWBP ||
        !guest_virtual_rw(cs, addr, &bp.original, 1, false) ||
        !guest_virtual_rw(cs, addr, &int3, 1, true)) {
        return -1;
    }
    g_mutex_lock(&s->lock);
    g_array_append_val(s->swbp, bp);
    g_mutex_unlock(&s->lock);
    return 0;
}

static int remove_swbp(GdbServer *s, uint64_t addr)
{
    CPUState *cs = gdb_cpu(s, s->cpu);

    for (guint i = 0; i < s->swbp->len; i++) {
        GdbBreakpoint bp = g_array_index(s->swbp, GdbBreakpoint, i);
        uint8_t now;

        if (bp.addr != addr) {
            continue;
        }
        /* The guest may have written something else there since. */
        if (cs && guest_virtual_rw(cs, addr, &now, 1, false) && now == 0xcc) {
            guest_virtual_rw(cs, addr, &bp.original, 1, true);
        }
        g_mutex_lock(&s->lock);
        g_array_remove_index(s->swbp, i);
        g_mutex_unlock(&s->lock);
        return 0;
    }
    return -1;
}

static int insert_hw(GdbServer *s, uint64_t addr, unsigned len, CPUDebugType type)
{
    CPUDebug *d = &s->debug;

    if (d->nr_hw == CPU_DEBUG_NR_HW || (len != 1 && len != 2 && len != 4 && len != 8) ||
        addr % len) {
        return -1;
    }
    d->hw[d->nr_hw].addr = addr;
    d->hw[d->nr_hw].len = len;
    d->hw[d->nr_hw++].type = type;
    return 0;
}

static int remove_hw(GdbServer *s, uint64_t addr, unsigned len, CPUDebugType type)
{
    CPUDebug *d = &s->debug;

    for (unsigned i = 0; i < d->nr_hw; i++) {
        if (d->hw[i].addr == addr && d->hw[i].len == len && d->hw[i].type == type) {
            d->hw[i] = d->hw[--d->nr_hw];
            return 0;
        }
    }
    return -1;
}

/* Z and z: TYPE,ADDR,KIND */
static void handle_breakpoint(GdbServer *s, char *p)
{
    static const CPUDebugType types[] = {
        CPU_DEBUG_EXECUTE, CPU_DEBUG_EXECUTE, CPU_DEBUG_WRITE, CPU_DEBUG_ACCESS,
        CPU_DEBUG_ACCESS,
    };
    bool insert = *p == 'Z';
    unsigned type = p[1] - '0', kind;    /* not a digit: not a type */
    char *end = p + 2;
    uint64_t addr;
    int ret;

    if (!accel_get_class(s->ms->accel)->set_debug || type >= G_N_ELEMENTS(types) ||
        *end != ',') {
        gdb_answer(s, "%s", "");
        return;
    }
    addr = g_ascii_strtoull(end + 1, &end, 16);
    kind = *end == ',' ? g_ascii_strtoull(end + 1, NULL, 16) : 1;
    ret = type ? -1 : insert ? insert_swbp(s, addr) : remove_swbp(s, addr);
    if (ret) {
        /* Also where no INT3 can be written: the guest has yet to map the place. */
        kind = type <= 1 ? 1 : kind;
        ret = insert ? insert_hw(s, addr, kind, types[type]) :
            remove_hw(s, addr, kind, types[type]);
    }
    gdb_answer(s, ret ? "E22" : "OK");
}

static void remove_everything(GdbServer *s)
{
    while (s->swbp->len) {
        remove_swbp(s, g_array_index(s->swbp, GdbBreakpoint, 0).addr);
    }
    s->debug = (CPUDebug) { 0 };
    update_debug(s, false);
}

/* Registers and memory ------------------------------------------------------------------ */

static void read_registers(GdbServer *s)
{
    g_autoptr(GString) hex = g_string_new(NULL);
    const CPUX86State *env = gdb_env(s);
    uint8_t buf[16];

    if (!env) {
        gdb_answer(s, "E22");
        return;
    }
    for (unsigned n = 0; n < gdb_num_general_regs(); n++) {
        gdb_read_reg(env, n, buf);
        append_hex(hex, buf, gdb_reg_size(n));
    }
    gdb_put_packet(s, hex->str, hex->len);
}

static void write_registers(GdbServer *s, const char *p)
{
    CPUX86State *env = gdb_env(s);
    uint8_t buf[16];

    for (unsigned n = 0; env && n < gdb_num_general_regs(); n++) {
        unsigned size = gdb_reg_size(n);

        if (parse_hex(p, buf, size) < size) {
            break;
        }
        gdb_write_reg(env, n, buf);
        p += size * 2;
    }
    if (env) {
        cpu_set_dirty(gdb_cpu(s, s->cpu));
    }
    gdb_answer(s, env ? "OK" : "E22");
}

/* p N and P N=VALUE */
static void one_register(GdbServer *s, char *p)
{
    g_autoptr(GString) hex = g_string_new(NULL);
    CPUX86State *env = gdb_env(s);
    char *end;
    uint64_t n = g_ascii_strtoull(p + 1, &end, 16);
    uint8_t buf[16];

    if (!env || n >= gdb_num_regs()) {
        gdb_answer(s, "E22");
        return;
    }
    if (*p == 'P') {
        if (n >= gdb_num_general_regs() || *end != '=' ||
            parse_hex(end + 1, buf, gdb_reg_size(n)) < gdb_reg_size(n)) {
            gdb_answer(s, "E22");
            return;
        }
        gdb_write_reg(env, n, buf);
        cpu_set_dirty(gdb_cpu(s, s->cpu));
        gdb_answer(s, "OK");
        return;
    }
    gdb_read_reg(env, n, buf);
    append_hex(hex, buf, gdb_reg_size(n));
    gdb_put_packet(s, hex->str, hex->len);
}

/* m ADDR,LEN and M ADDR,LEN:DATA */
static void handle_memory(GdbServer *s, char *p)
{
    g_autoptr(GString) hex = g_string_new(NULL);
    CPUState *cs = gdb_cpu(s, s->cpu);
    uint8_t buf[GDB_MAX_PACKET / 2];
    char *end;
    uint64_t addr = g_ascii_strtoull(p + 1, &end, 16);
    uint64_t len = *end == ',' ? g_ascii_strtoull(end + 1, &end, 16) : 0;
    bool write = *p == 'M';

    if (!cs || len > sizeof(buf) || (write && (*end != ':' ||
                                               parse_hex(end + 1, buf, len) < len))) {
        gdb_answer(s, "E22");
        return;
    }
    if (!guest_virtual_rw(cs, addr, buf, len, write)) {
        gdb_answer(s, "E14");
        return;
    }
    if (write) {
        gdb_answer(s, "OK");
        return;
    }
    /* What the guest had there, not our breakpoints. */
    for (guint i = 0; i < s->swbp->len; i++) {
        GdbBreakpoint *bp = &g_array_index(s->swbp, GdbBreakpoint, i);

        if (bp->addr - addr < len && buf[bp->addr - addr] == 0xcc) {
            buf[bp->addr - addr] = bp->original;
        }
    }
    append_hex(hex, buf, len);
    gdb_put_packet(s, hex->str, hex->len);
}

/* Queries ---------------------------------------------------------------------------------- */

/* qXfer:features:read:target.xml:OFFSET,LENGTH */
static void send_features(GdbServer *s, const char *range)
{
    g_autofree char *xml = gdb_target_xml();
    g_autofree char *part = NULL;
    char *end;
    uint64_t off = g_ascii_strtoull(range, &end, 16);
    uint64_t len = *end == ',' ? g_ascii_strtoull(end + 1, NULL, 16) : 0;
    size_t size = strlen(xml);

    off = MIN(off, size);
    len = MIN(len, GDB_MAX_PACKET - 8);
    part = g_strdup_printf("%c%.*s", off + len < size ? 'm' : 'l',
                           (int)MIN(len, size - off), xml + off);
    gdb_put_packet(s, part, strlen(part));
}

static void list_threads(GdbServer *s)
{
    g_autoptr(GString) list = g_string_new("m");

    for (unsigned i = 0; i < s->ms->smp.cpus && gdb_cpu(s, i); i++) {
        g_string_append_printf(list, "%s%02x", i ? "," : "", i + 1);
    }
    gdb_put_packet(s, list->len > 1 ? list->str : "l", list->len > 1 ? list->len : 1);
}

/* What "info threads" shows behind the number, which counts from 1. */
static void describe_thread(GdbServer *s, const char *tid)
{
    uint64_t cpu = g_ascii_strtoull(tid, NULL, 16) - 1;
    g_autoptr(GString) hex = g_string_new(NULL);
    g_autofree char *text = g_strdup_printf("CPU#%" PRIu64, cpu);

    if (cpu > UINT_MAX || !gdb_cpu(s, cpu)) {
        gdb_answer(s, "E22");
        return;
    }
    append_hex(hex, (const uint8_t *)text, strlen(text));
    gdb_put_packet(s, hex->str, hex->len);
}

/* Answer with what the command said, and end its monitor. */
static void answer_hmp(GdbServer *s, Monitor *mon)
{
    g_autoptr(GString) out = g_string_new(NULL);

    for (gsize i = 0; i < mon->out->len && out->len < GDB_MAX_PACKET * 8; i++) {
        if (mon->out->str[i] != '\r') {
            append_hex(out, (uint8_t *)mon->out->str + i, 1);
        }
    }
    monitor_free_internal(mon);
    gdb_put_packet(s, out->len ? out->str : "OK", out->len ? out->len : 2);
}

static void hmp_done(Monitor *mon, void *opaque)
{
    GdbServer *s = opaque;

    answer_hmp(s, g_steal_pointer(&s->hmp));
    gdb_run(s);
    qemu_chr_fe_accept_input(&s->chr);
}

/* "monitor …" in gdb: a command of the monitor for people. */
static void run_hmp(GdbServer *s, const char *hex)
{
    uint8_t line[GDB_MAX_PACKET / 2 + 1];
    Monitor *mon = monitor_new_internal(monitor_hub(s->ms), s->cpu, hmp_done, s);

    line[parse_hex(hex, line, sizeof(line) - 1)] = '\0';
    hmp_execute(mon, (const char *)line);
    if (mon->job) {
        s->hmp = mon;
    } else {
        answer_hmp(s, mon);
    }
}

static void handle_query(GdbServer *s, const char *p)
{
    static const char features[] = "qXfer:features:read:target.xml:";

    if (g_str_has_prefix(p, "qSupported")) {
        gdb_answer(s, "PacketSize=%x;qXfer:features:read+;QStartNoAckMode+;vContSupported+",
               GDB_MAX_PACKET - 1);
    } else if (g_str_has_prefix(p, features)) {
        send_features(s, p + strlen(features));
    } else if (!strcmp(p, "qfThreadInfo")) {
        list_threads(s);
    } else if (!strcmp(p, "qsThreadInfo")) {
        gdb_answer(s, "l");
    } else if (g_str_has_prefix(p, "qThreadExtraInfo,")) {
        describe_thread(s, p + strlen("qThreadExtraInfo,"));
    } else if (!strcmp(p, "qC")) {
        gdb_answer(s, "QC%02x", s->cpu + 1);
    } else if (!strcmp(p, "qAttached")) {
        gdb_answer(s, "1");
    } else if (g_str_has_prefix(p, "qRcmd,")) {
        run_hmp(s, p + 6);
    } else if (!strcmp(p, "QStartNoAckMode")) {
        gdb_answer(s, "OK");
        s->no_ack = true;
    } else {
        gdb_answer(s, "%s", "");
    }
}

/* H OP TID: 0 and -1 are any thread. */
static void select_thread(GdbServer *s, const char *p)
{
    int64_t tid = p[1] ? g_ascii_strtoll(p + 2, NULL, 16) : 0;

    if (tid > 0 && !gdb_cpu(s, tid - 1)) {
        gdb_answer(s, "E22");
        return;
    }
    if (tid > 0) {
        *(p[1] == 'c' ? &s->step_cpu : &s->cpu) = tid - 1;
    }
    gdb_answer(s, "OK");
}

/* vCont;ACTION[:TID]…: a step names its thread, all others go on. */
static void handle_vcont(GdbServer *s, const char *p)
{
    bool step = false;

    if (*p == '?') {
        gdb_answer(s, "vCont;c;C;s;S");
        return;
    }
    while (*p == ';') {
        char action = *++p;
        const char *end = p + strcspn(p, ";");
        const char *colon = memchr(p, ':', end - p);
        int64_t tid = colon ? g_ascii_strtoll(colon + 1, NULL, 16) : 0;

        if ((action == 's' || action == 'S') && !step) {
            step = true;
            s->step_cpu = tid > 0 && gdb_cpu(s, tid - 1) ? tid - 1 : s->cpu;
        }
        p = end;
    }
    gdb_resume(s, step);
}

void gdb_detach(GdbServer *s)
{
    g_clear_pointer(&s->hmp, monitor_free_internal);
    if (s->attached) {
        s->attached = s->running = false;
        if (runstate_is_running(s->ms)) {
            vm_stop(s->ms, RUN_STATE_PAUSED);
        }
        remove_everything(s);
        if (!dumping(s) && (s->ms->rsm.state == RUN_STATE_PAUSED ||
                            s->ms->rsm.state == RUN_STATE_DEBUG)) {
            vm_start(s->ms);
        }
    }
}

void gdb_handle_packet(GdbServer *s, char *p)
{
    trace(gdbstub_io_command, "%.80s", p);
    /*
     * A debugger says nothing while its guest runs but the byte that stops it; where
     * one does, or somebody else let the guest run, the guest stops first: nearly all
     * packets want its CPUs paused.
     */
    if (runstate_is_running(s->ms)) {
        vm_stop(s->ms, RUN_STATE_PAUSED);
    }
    switch (*p) {
    case '?':
        gdb_report_stop(s);
        break;
    case 'g':
        read_registers(s);
        break;
    case 'G':
        write_registers(s, p + 1);
        break;
    case 'p':
    case 'P':
        one_register(s, p);
        break;
    case 'm':
    case 'M':
        handle_memory(s, p);
        break;
    case 'Z':
    case 'z':
        handle_breakpoint(s, p);
        break;
    case 'H':
        select_thread(s, p);
        break;
    case 'T':
        gdb_answer(s, gdb_cpu(s, g_ascii_strtoull(p + 1, NULL, 16) - 1) ? "OK" : "E22");
        break;
    case 'c':
    case 'C':
        gdb_resume(s, false);
        break;
    case 's':
    case 'S':
        gdb_resume(s, true);
        break;
    case 'D':
        gdb_answer(s, "OK");
        gdb_detach(s);
        break;
    case 'k':
        qemu_system_shutdown_request(s->ms, SHUTDOWN_CAUSE_HOST_QMP_QUIT);
        break;
    case 'q':
    case 'Q':
        handle_query(s, p);
        break;
    case 'v':
        if (g_str_has_prefix(p, "vCont")) {
            handle_vcont(s, p + 5);
            break;
        }
        /* fall through */
    default:
        gdb_answer(s, "%s", "");
        break;
    }
}
