/*
 * dump-guest-memory: the guest's RAM and registers as an ELF core file.
 *
 * ELF-64 object file format; NT_PRSTATUS as Linux writes it for a process, one
 * per CPU. RAM follows once; with "paging" the program headers name it again
 * at each of the guest's own addresses, so that a debugger finds its symbols.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>
#include <unistd.h>

#include "guest-memory.h"
#include "hw/misc/vmcoreinfo.h"
#include "migration/migration.h"
#include "qemu/confine.h"
#include "qemu/cutils.h"
#include "qemu/event_notifier.h"
#include "qemu/fdset.h"
#include "qemu/main-loop.h"
#include "qemu/thread.h"
#include "qmp.h"
#include "sysemu/cpus.h"
#include "target/i386/cpu.h"

/* More mappings than this do not fit into the header (PN_XNUM is not used). */
#define DUMP_MAX_SEGMENTS   60000
#define DUMP_CHUNK          (1 * MiB)
#define VMCOREINFO_MAX_SIZE MiB

/* A piece of RAM in the file. */
typedef struct DumpBlock {
    hwaddr start;
    uint64_t size;
    const uint8_t *host;
    uint64_t offset;            /* in the file */
} DumpBlock;

/* A program header. */
typedef struct DumpSegment {
    uint64_t vaddr;
    hwaddr paddr;
    uint64_t size;
} DumpSegment;

typedef struct DumpJob {
    MonitorHub *hub;
    int fd;
    GArray *blocks;             /* of DumpBlock, by address */
    GArray *segments;           /* of DumpSegment */
    GByteArray *head;           /* the file up to the first block */
    uint64_t total;
    _Atomic uint64_t completed;
    bool active;
    bool was_running;
    char *error;                /* NULL: none; set before active is cleared */
    GThread *thread;
    EventNotifier hurry;        /* set: no more waiting for who takes the file */
    Monitor *waiter;            /* who is answered when it is done; NULL: detached, or gone */
} DumpJob;

static void job_free(DumpJob *job)
{
    g_array_unref(job->blocks);
    g_array_unref(job->segments);
    g_byte_array_unref(job->head);
    event_notifier_cleanup(&job->hurry);
    g_free(job->error);
    g_free(job);
}

/* What to write --------------------------------------------------------------------- */

/* RAM within [begin, begin + length). */
static void add_blocks(DumpJob *job, const AddressSpace *as, uint64_t begin, uint64_t length)
{
    for (unsigned i = 0; i < as->nr_ram; i++) {
        const FlatRange *r = &as->ram[i];
        hwaddr lo = MAX(r->start, begin);
        hwaddr last = MIN(r->start + (r->size - 1), begin + (length - 1));
        DumpBlock b = { .start = lo, .size = last - lo + 1 };

        if (lo > last) {
            continue;
        }
        b.host = address_space_map_ro(as, lo, b.size);
        if (b.host) {
            g_array_append_val(job->blocks, b);
            job->total += b.size;
        }
    }
}

static const DumpBlock *find_block(const DumpJob *job, hwaddr paddr)
{
    for (guint i = 0; i < job->blocks->len; i++) {
        const DumpBlock *b = &g_array_index(job->blocks, DumpBlock, i);

        if (paddr >= b->start && paddr - b->start < b->size) {
            return b;
        }
    }
    return NULL;
}

/* A mapped page: joined with the one before where both continue. */
static bool add_page(uint64_t vaddr, const GuestPage *page, void *opaque)
{
    DumpJob *job = opaque;
    const DumpBlock *b = find_block(job, page->phys);
    DumpSegment seg = { vaddr, page->phys, page->left };
    DumpSegment *prev = job->segments->len ?
        &g_array_index(job->segments, DumpSegment, job->segments->len - 1) : NULL;

    if (!b) {
        return true;
    }
    seg.size = MIN(seg.size, b->size - (page->phys - b->start));
    if (prev && prev->vaddr + prev->size == vaddr && prev->paddr + prev->size == seg.paddr &&
        find_block(job, prev->paddr) == b) {
        prev->size += seg.size;
        return true;
    }
    g_array_append_val(job->segments, seg);
    return job->segments->len < DUMP_MAX_SEGMENTS;
}

static gint compare_segments(gconstpointer a, gconstpointer b)
{
    const DumpSegment *x = a, *y = b;

    return x->vaddr != y->vaddr ? (x->vaddr < y->vaddr ? -1 : 1) :
        x->paddr != y->paddr ? (x->paddr < y->paddr ? -1 : 1) : 0;
}

/* CPUs share most of their tables: say everything once. */
static void drop_duplicates(GArray *segments)
{
    guint n = 0;

    if (!segments->len) {
        return;         /* it has no data that could be sorted */
    }
    qsort(segments->data, segments->len, sizeof(DumpSegment), compare_segments);
    for (guint i = 0; i < segments->len; i++) {
        DumpSegment *seg = &g_array_index(segments, DumpSegment, i);
        DumpSegment *last = n ? &g_array_index(segments, DumpSegment, n - 1) : NULL;

        if (last && last->vaddr == seg->vaddr && last->paddr == seg->paddr) {
            last->size = MAX(last->size, seg->size);
        } else {
            g_array_index(segments, DumpSegment, n++) = *seg;
        }
    }
    g_array_set_size(segments, n);
}

static bool add_segments(DumpJob *job, MachineState *ms, bool paging, Error **errp)
{
    for (unsigned i = 0; paging && ms->cpus && i < ms->smp.cpus; i++) {
        guest_foreach_page(ms->cpus[i], add_page, job);
        drop_duplicates(job->segments);
    }
    for (guint i = 0; i < job->blocks->len; i++) {
        const DumpBlock *b = &g_array_index(job->blocks, DumpBlock, i);
        DumpSegment seg = { 0, b->start, b->size };

        g_array_append_val(job->segments, seg);
    }
    if (job->segments->len >= DUMP_MAX_SEGMENTS) {
        error_setg(errp, "the guest has too many mappings for an ELF file; "
                   "dump without paging");
        return false;
    }
    return true;
}

static void fill_registers(const CPUX86State *env, struct user_regs_struct *r)
{
    r->r15 = env->regs[R_R15];
    r->r14 = env->regs[R_R14];
    r->r13 = env->regs[R_R13];
    r->r12 = env->regs[R_R12];
    r->rbp = env->regs[R_EBP];
    r->rbx = env->regs[R_EBX];
    r->r11 = env->regs[R_R11];
    r->r10 = env->regs[R_R10];
    r->r9 = env->regs[R_R9];
    r->r8 = env->regs[R_R8];
    r->rax = env->regs[R_EAX];
    r->rcx = env->regs[R_ECX];
    r->rdx = env->regs[R_EDX];
    r->rsi = env->regs[R_ESI];
    r->rdi = env->regs[R_EDI];
    r->orig_rax = env->regs[R_EAX];
    r->rip = env->eip;
    r->cs = env->segs[R_CS].selector;
    r->eflags = env->eflags;
    r->rsp = env->regs[R_ESP];
    r->ss = env->segs[R_SS].selector;
    r->fs_base = env->segs[R_FS].base;
    r->gs_base = env->segs[R_GS].base;
    r->ds = env->segs[R_DS].selector;
    r->es = env->segs[R_ES].selector;
    r->fs = env->segs[R_FS].selector;
    r->gs = env->segs[R_GS].selector;
}

static void append_notes(GByteArray *out, MachineState *ms)
{
    static const char name[8] = "CORE";

    for (unsigned i = 0; ms->cpus && i < ms->smp.cpus; i++) {
        struct elf_prstatus status = { .pr_pid = i + 1 };
        Elf64_Nhdr note = { .n_namesz = 5, .n_descsz = sizeof(status), .n_type = NT_PRSTATUS };
        struct user_regs_struct regs = { 0 };

        cpu_synchronize_state(ms->cpus[i]);
        fill_registers(&x86_cpu(ms->cpus[i])->env, &regs);
        G_STATIC_ASSERT(sizeof(regs) == sizeof(status.pr_reg));
        memcpy(&status.pr_reg, &regs, sizeof(regs));
        g_byte_array_append(out, (uint8_t *)&note, sizeof(note));
        g_byte_array_append(out, (const uint8_t *)name, sizeof(name));
        g_byte_array_append(out, (uint8_t *)&status, sizeof(status));
    }
}

/*
 * What the guest's kernel says of itself, if it is a note: the guest may have written
 * anything, and may write it again meanwhile.
 */
static void append_vmcoreinfo(GByteArray *out, const MachineState *ms)
{
    static const char name[] = "VMCOREINFO";
    g_autofree uint8_t *copy = NULL;
    const uint8_t *guest;
    Elf64_Nhdr note;
    VMCoreInfo info;

    if (!ms->vmcoreinfo) {
        return;
    }
    info = *ms->vmcoreinfo;
    if (info.guest_format != VMCOREINFO_FORMAT_ELF || info.size > VMCOREINFO_MAX_SIZE ||
        info.size < sizeof(note) + sizeof(name)) {
        return;
    }
    guest = address_space_map(&ms->memory, info.paddr, info.size);
    if (!guest) {
        return;
    }
    copy = g_memdup2(guest, info.size);
    memcpy(&note, copy, sizeof(note));
    if (note.n_namesz == sizeof(name) && !memcmp(copy + sizeof(note), name, sizeof(name)) &&
        sizeof(note) + QEMU_ALIGN_UP(sizeof(name), 4) + QEMU_ALIGN_UP((uint64_t)note.n_descsz, 4)
        == info.size) {
        g_byte_array_append(out, copy, info.size);
    }
}

/* ELF header, program headers, notes; blocks get their places in the file. */
static void make_head(DumpJob *job, MachineState *ms)
{
    g_autoptr(GByteArray) notes = g_byte_array_new();
    unsigned phnum = job->segments->len + 1;
    Elf64_Ehdr ehdr = {
        .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_CORE, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
        .e_phoff = sizeof(ehdr), .e_ehsize = sizeof(ehdr),
        .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = phnum,
    };
    uint64_t offset = sizeof(ehdr) + (uint64_t)phnum * sizeof(Elf64_Phdr);
    Elf64_Phdr ph = { .p_type = PT_NOTE, .p_offset = offset };

    append_notes(notes, ms);
    append_vmcoreinfo(notes, ms);
    ph.p_filesz = ph.p_memsz = notes->len;
    offset += notes->len;
    for (guint i = 0; i < job->blocks->len; i++) {
        DumpBlock *b = &g_array_index(job->blocks, DumpBlock, i);

        b->offset = offset;
        offset += b->size;
    }
    g_byte_array_append(job->head, (uint8_t *)&ehdr, sizeof(ehdr));
    g_byte_array_append(job->head, (uint8_t *)&ph, sizeof(ph));
    for (guint i = 0; i < job->segments->len; i++) {
        const DumpSegment *seg = &g_array_index(job->segments, DumpSegment, i);
        const DumpBlock *b = find_block(job, seg->paddr);

        ph = (Elf64_Phdr) {
            .p_type = PT_LOAD, .p_vaddr = seg->vaddr, .p_paddr = seg->paddr,
            .p_offset = b->offset + (seg->paddr - b->start),
            .p_filesz = seg->size, .p_memsz = seg->size,
        };
        g_byte_array_append(job->head, (uint8_t *)&ph, sizeof(ph));
    }
    g_byte_array_append(job->head, notes->data, notes->len);
}

/* Writing ----------------------------------------------------------------------------- */

/* Waits where the file takes its time, but not when the process is to end; 0 or -errno. */
static int put(DumpJob *job, const uint8_t *p, size_t len)
{
    struct pollfd pfd[2] = {
        { .fd = job->fd, .events = POLLOUT },
        { .fd = job->hurry.fd, .events = POLLIN },
    };

    while (len) {
        ssize_t n = write(job->fd, p, len);

        if (n >= 0) {
            p += n;
            len -= n;
        } else if (errno == EAGAIN) {
            if (poll(pfd, G_N_ELEMENTS(pfd), -1) > 0 && !pfd[0].revents) {
                return -ECANCELED;
            }
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

static void write_out(DumpJob *job)
{
    int ret = put(job, job->head->data, job->head->len);

    for (guint i = 0; i < job->blocks->len && !ret; i++) {
        const DumpBlock *b = &g_array_index(job->blocks, DumpBlock, i);

        for (uint64_t done = 0; done < b->size && !ret;) {
            uint64_t n = MIN(b->size - done, DUMP_CHUNK);

            ret = put(job, b->host + done, n);
            done += n;
            atomic_fetch_add(&job->completed, n);
        }
    }
    if (close(job->fd) && !ret) {
        ret = -errno;
    }
    if (ret) {
        job->error = g_strdup_printf("dump: failed to save memory: %s", strerror(-ret));
    }
}

static json_t *job_status(const DumpJob *job)
{
    return json_pack("{s:I,s:s,s:I}", "total", (json_int_t)(job ? job->total : 0),
                     "status", !job ? "none" : job->active ? "active" :
                     job->error ? "failed" : "completed",
                     "completed", (json_int_t)(job ? job->completed : 0));
}

/* On the main thread, after write_out(). */
static void job_done(void *opaque)
{
    DumpJob *job = opaque;
    json_t *data;

    g_clear_pointer(&job->thread, g_thread_join);
    job->active = false;
    job->hub->ms->rsm.dumping = false;
    data = json_pack("{s:o}", "result", job_status(job));
    if (job->error) {
        json_object_set_new(data, "error", json_string(job->error));
    }
    qmp_emit(job->hub, "DUMP_COMPLETED", data);
    if (job->was_running) {
        vm_start(job->hub->ms);
    }
    if (job->waiter) {
        Error *err = NULL;

        if (job->error) {
            error_setg(&err, "%s", job->error);
        }
        monitor_job_done(job->waiter, NULL, err);
    }
}

/* Done, or the client has gone: the dump itself goes on. */
static void forget_waiter(gpointer opaque)
{
    DumpJob *job = opaque;

    job->waiter = NULL;
}

static gpointer job_thread(gpointer opaque)
{
    thread_confine(&iothread_filter);
    write_out(opaque);
    qemu_bh_schedule_oneshot(job_done, opaque);
    return NULL;
}

/* Commands ------------------------------------------------------------------------------ */

void dump_stay_stopped(MonitorHub *hub)
{
    if (dump_in_progress(hub)) {
        hub->dump->was_running = false;
    }
}

bool dump_in_progress(const MonitorHub *hub)
{
    return hub->dump && hub->dump->active;
}

void dump_cleanup(MonitorHub *hub)
{
    if (hub->dump) {
        /* The thread reads RAM: it ends first. */
        event_notifier_set(&hub->dump->hurry);
        g_clear_pointer(&hub->dump->thread, g_thread_join);
        if (hub->dump->waiter) {
            monitor_job_cancel(hub->dump->waiter);
        }
        g_clear_pointer(&hub->dump, job_free);
    }
}

static int open_target(Monitor *mon, const char *protocol, Error **errp)
{
    const char *rest;
    int fd;

    if (g_str_has_prefix(protocol, "fd:")) {
        return monitor_fd_param(mon->ms, mon->internal ? NULL : mon, protocol + 3, errp);
    }
    if (!g_str_has_prefix(protocol, "file:")) {
        error_setg(errp, "Parameter 'protocol' expects file: or fd:");
        return -1;
    }
    rest = protocol + 5;
    fd = qemu_open(rest, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) {
        error_setg(errp, "Could not open '%s': %s", rest, confine_strerror(errno));
    }
    return fd;
}

static bool check_range(json_t *args, uint64_t *begin, uint64_t *length, Error **errp)
{
    bool has_begin = json_object_get(args, "begin");
    bool has_length = json_object_get(args, "length");

    if (has_begin != has_length) {
        error_setg(errp, "Parameter '%s' is missing", has_begin ? "length" : "begin");
        return false;
    }
    *begin = qmp_int(args, "begin", 0);
    *length = qmp_int(args, "length", -1);
    if (!*length || *begin + (*length - 1) < *begin) {
        error_setg(errp, "Parameter 'length' expects a range of memory");
        return false;
    }
    return true;
}

static bool may_dump(const Monitor *mon, Error **errp)
{
    const MachineState *ms = mon->ms;
    bool comes = ms->rsm.state == RUN_STATE_INMIGRATE;

    if (dump_in_progress(mon->hub)) {
        error_setg(errp, "There is a dump in process, please wait.");
    } else if (comes || migration_in_progress(ms)) {
        /* Who sends it has stopped it, or is about to: nobody else is to start it afterwards. */
        error_setg(errp, "Dump not allowed during %s migration", comes ? "incoming" : "outgoing");
    } else {
        return true;
    }
    return false;
}

json_t *qmp_dump_guest_memory(Monitor *mon, json_t *args, Error **errp)
{
    MonitorHub *hub = mon->hub;
    MachineState *ms = mon->ms;
    bool detach = qmp_bool(args, "detach", false);
    uint64_t begin, length;
    DumpJob *job;

    if (!may_dump(mon, errp) || !check_range(args, &begin, &length, errp)) {
        return NULL;
    }
    job = g_new0(DumpJob, 1);
    job->hub = hub;
    job->blocks = g_array_new(FALSE, FALSE, sizeof(DumpBlock));
    job->segments = g_array_new(FALSE, FALSE, sizeof(DumpSegment));
    job->head = g_byte_array_new();
    event_notifier_init(&job->hurry);
    add_blocks(job, &ms->memory, begin, length);
    if (!job->blocks->len) {
        error_setg(errp, "there is no RAM to dump");
        job_free(job);
        return NULL;
    }
    job->was_running = runstate_is_running(ms);
    if (job->was_running) {
        vm_stop(ms, RUN_STATE_PAUSED);
    }
    job->fd = -1;
    if (!add_segments(job, ms, qmp_bool(args, "paging", false), errp) ||
        (job->fd = open_target(mon, qmp_str(args, "protocol"), errp)) < 0) {
        if (job->was_running) {
            vm_start(ms);
        }
        job_free(job);
        return NULL;
    }
    fcntl(job->fd, F_SETFL, fcntl(job->fd, F_GETFL) | O_NONBLOCK);
    make_head(job, ms);
    dump_cleanup(hub);
    hub->dump = job;
    job->active = true;
    ms->rsm.dumping = true;
    job->thread = thread_try_new("dump", job_thread, job, NULL);
    if (job->thread) {
        if (!detach) {
            job->waiter = mon;
            monitor_job_start(mon, -1, NULL, forget_waiter, job);
        }
        return NULL;
    }
    /* No thread to be had: the loop stands still, but waits for no reader. */
    event_notifier_set(&job->hurry);
    write_out(job);
    job_done(job);
    if (job->error) {
        error_setg(errp, "%s", job->error);
    }
    return NULL;
}

json_t *qmp_query_dump(Monitor *mon, json_t *args, Error **errp)
{
    return job_status(mon->hub->dump);
}

json_t *qmp_query_dump_capability(Monitor *mon, json_t *args, Error **errp)
{
    return json_pack("{s:[s]}", "formats", "elf");
}
