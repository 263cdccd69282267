/*
 * Hints for people in front of a blank screen (docs/system/hints.rst).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hints.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "chardev/char.h"
#include "hw/virtio/virtio-info.h"
#include "qemu/timer.h"
#include "sysemu/accel.h"

#define MAX_CONSOLES 8      /* of a kind that are told apart */

/* How long a guest may take until it is looked at; the software CPU is slower. */
#define UP_SECONDS      5
#define UP_SECONDS_TCG  20
#define STARVED_NS      (NANOSECONDS_PER_SECOND / 10)   /* so little does not count */

/* Where a processor starts. */
#define RESET_RIP       0xfff0

typedef struct Hints {
    MachineState *ms;
    unsigned up_seconds;
    QEMUTimer timer;            /* armed by the first start */
    bool armed;
    int schedstat;              /* of CPU 0's thread; -1: the kernel does not count */
    uint64_t starved;           /* ns that it has waited for a processor, as far as allowed for */
    unsigned next_report;       /* of so many triple faults */
} Hints;

/* The consoles of the machine, connected or not. */
typedef struct Consoles {
    unsigned ttys;              /* bits of the serial ports' indices */
    unsigned nr_hvc;
    unsigned connected;
    bool written;               /* the guest has said something on a connected one */
} Consoles;

/* Consoles ------------------------------------------------------------------ */

/* The device's chardev, or NULL: there is none, or nobody at its other end. */
static const CharBackend *connected_chardev(const DeviceState *dev)
{
    const Property *prop = property_find(dev->obj.oc, "chardev");
    const CharBackend *b;

    if (!prop || prop->info != &prop_chr) {
        return NULL;
    }
    b = (const CharBackend *)((const char *)dev + prop->offset);
    return b->chr && strcmp(b->chr->obj.oc->name, "null") ? b : NULL;
}

static void look_at_device(const DeviceState *dev, Consoles *c)
{
    const char *name = dev->obj.oc->name;
    const CharBackend *b = connected_chardev(dev);

    if (!strcmp(name, "isa-serial")) {
        g_autofree char *index = property_get(&dev->obj, "index", NULL);

        c->ttys |= 1u << (g_ascii_strtoull(index, NULL, 10) % MAX_CONSOLES);
    } else if (!strcmp(name, "virtconsole")) {
        c->nr_hvc++;
    } else if (strcmp(name, "isa-debugcon")) {
        return;
    }
    c->connected += b != NULL;
    c->written |= b && b->written;
}

static Consoles find_consoles(const MachineState *ms)
{
    Consoles c = { 0 };

    for (unsigned i = 0; i < ms->devices->len; i++) {
        look_at_device(ms->devices->pdata[i], &c);
    }
    return c;
}

/* What is missing for console=word, or NULL: nothing, or it is none of ours. */
static const char *console_lacks(const Consoles *c, const char *word)
{
    unsigned n;

    if (g_str_has_prefix(word, "ttyS")) {
        n = g_ascii_strtoull(word + 4, NULL, 10);
        return n < MAX_CONSOLES && c->ttys >> n & 1 ? NULL :
               "no such serial port: -serial (once for each) or -nographic adds one";
    }
    if (g_str_has_prefix(word, "hvc")) {
        return g_ascii_strtoull(word + 3, NULL, 10) < c->nr_hvc ? NULL :
               "no such port: -device virtio-serial-device -device virtconsole,chardev=ID "
               "adds one";
    }
    if (!strcmp(word, "tty") || (g_str_has_prefix(word, "tty") && g_ascii_isdigit(word[3]))) {
        return "no screen: use console=ttyS0";
    }
    return g_str_has_prefix(word, "tty") ? "no such port: use console=ttyS0" : NULL;
}

/* The kernel's parameters; what follows "--" is for init. False: no console= is among them. */
static bool check_console_parameters(const MachineState *ms, const Consoles *c, bool report)
{
    g_auto(GStrv) words = g_strsplit_set(ms->kernel_cmdline, " \t\n", -1);
    bool any = false;

    for (unsigned i = 0; words[i] && strcmp(words[i], "--"); i++) {
        const char *what;

        if (!g_str_has_prefix(words[i], "console=")) {
            continue;
        }
        any = true;
        what = console_lacks(c, words[i] + strlen("console="));
        if (what && report) {
            hint_report("%s in -append: this machine has %s", words[i], what);
        }
    }
    return any;
}

static void check_consoles(const MachineState *ms)
{
    Consoles c = find_consoles(ms);

    if (!c.connected) {
        hint_report("no console is connected, what the guest prints is lost: use -nographic, or "
                    "-serial stdio, and console=ttyS0 in -append");
    }
    check_console_parameters(ms, &c, true);
}

/* A guest that has been up for some time ------------------------------------- */

/* How many virtio devices there are; 0 also if a driver has looked at one. */
static unsigned unseen_devices(MachineState *ms)
{
    VirtIODevice *vdev;
    unsigned n;

    for (n = 0; (vdev = virtio_nth_device(ms, n)); n++) {
        VirtioInfo info;

        virtio_get_info(vdev, &info);
        if (info.status) {
            return 0;
        }
    }
    return n;
}

/* What CPU 0 has waited for a processor of the host since the last time, in ns. */
static uint64_t newly_starved(Hints *h)
{
    char text[64] = "";         /* time on a processor, time waiting for one, … */
    uint64_t before = h->starved;
    const char *p;

    if (h->schedstat >= 0 && pread(h->schedstat, text, sizeof(text) - 1, 0) > 0) {
        p = strchr(text, ' ');
        h->starved = p ? g_ascii_strtoull(p + 1, NULL, 10) : 0;
    }
    return h->starved - before;
}

static void check_guest(void *opaque)
{
    Hints *h = opaque;
    Consoles c = find_consoles(h->ms);
    unsigned unseen = unseen_devices(h->ms);
    uint64_t more = newly_starved(h);

    if (more > STARVED_NS) {    /* the host is busy: the guest has not had its time */
        timer_mod_ns(&h->timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + more);
        return;
    }
    if (c.connected && !c.written) {
        bool given = check_console_parameters(h->ms, &c, false);

        hint_report("the guest has been up for %u s and has printed nothing: %s", h->up_seconds,
                    given ? "earlyprintk=serial,ttyS0 in -append shows a kernel's first steps"
                          : "Linux wants console=ttyS0 in -append");
    }
    if (unseen) {
        hint_report("the guest has been up for %u s and has not looked at its virtio "
                    "devices (%u): its kernel needs CONFIG_VIRTIO_MMIO, or the module in the "
                    "initramfs, and ACPI or CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES to find them",
                    h->up_seconds, unseen);
    }
}

/* Events --------------------------------------------------------------------- */

/* The first, the tenth, … */
static void check_triple_faults(Hints *h)
{
    TripleFaults t = runstate_triple_faults(h->ms);
    /* AMD's processors forget where they were. */
    bool lost = t.rip == RESET_RIP;
    g_autofree char *where = lost ? g_strdup("an address that the processor does not tell")
                                  : g_strdup_printf("RIP 0x%" PRIx64, t.rip);

    if (t.count < h->next_report || (lost && strstr(h->ms->kernel_cmdline, "reboot=t"))) {
        return;
    }
    h->next_report *= 10;
    hint_report("triple fault of CPU %u at %s, the guest's %u. so far: it had no handler for an "
                "exception, and that resets the machine", t.cpu, where, t.count);
}

/* Nothing but a debugger or a monitor can tell more. */
static void check_internal_error(const MachineState *ms)
{
    if (ms->rsm.state == RUN_STATE_INTERNAL_ERROR && !ms->monitors && !ms->gdb) {
        hint_report("the accelerator cannot go on, and the machine stands still with nobody to "
                    "look at it: Ctrl-C ends it; -monitor or -s lets you look, -accel tcg runs "
                    "the guest without KVM");
    }
}

static void runstate_changed(MachineState *ms, RunStateEvent event, ShutdownCause cause,
                             void *opaque)
{
    Hints *h = opaque;

    switch (event) {
    case RUN_STATE_EVENT_RESUME:
        if (!h->armed) {
            h->armed = true;
            newly_starved(h);
            timer_mod_ns(&h->timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                         h->up_seconds * NANOSECONDS_PER_SECOND);
        }
        break;
    case RUN_STATE_EVENT_RESET:
    case RUN_STATE_EVENT_SHUTDOWN:
        check_triple_faults(h);
        break;
    case RUN_STATE_EVENT_STOP:
        check_internal_error(ms);
        break;
    default:
        break;
    }
}

void hints_start(MachineState *ms)
{
    g_autofree char *schedstat = NULL;
    Hints *h;

    if (!ms->kernel_filename) {
        return;
    }
    schedstat = g_strdup_printf("/proc/self/task/%d/schedstat", ms->cpus[0]->thread_id);
    h = g_new0(Hints, 1);
    h->ms = ms;
    h->up_seconds = strcmp(ms->accel->obj.oc->name, "tcg") ? UP_SECONDS : UP_SECONDS_TCG;
    h->next_report = 1;
    h->schedstat = open(schedstat, O_RDONLY | O_CLOEXEC);
    timer_init_ns(&h->timer, QEMU_CLOCK_VIRTUAL, check_guest, h);
    ms->rsm.explain_faults = true;
    runstate_add_notifier(ms, runstate_changed, h);
    check_consoles(ms);
}
