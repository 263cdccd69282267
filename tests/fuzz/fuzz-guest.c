/*
 * Fuzz targets: a guest that drives one device, or the board's own, in any way. An input is a
 * sequence of steps: registers, queues set up as a driver does it or otherwise, chains of buffers,
 * what a peer on the host sends, resets, plugging, time.
 *
 * FUZZ_GUEST names the row of the table below that this program is made for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chardev/char.h"
#include "fuzz-guest.h"
#include "fuzz.h"
#include "hw/virtio/virtio-mmio-internal.h"
#include "migration/internal.h"
#include "net/net.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "sysemu/input.h"

#define MAX_STEPS   400
#define TIME_MAX_NS 60000000000ll

/* What a guest of one target has before it. */
typedef struct Target {
    const char *name;
    const char *options;        /* of the machine, after "-M microvm," */
    /* Made for each input, in order: "chardev OPTS", "netdev OPTS" or "device OPTS"; "%d" is one
     * end of a socket pair, whose other is the peer. */
    const char *parts[4];
    /* A peer that is asked when the first part is made, and may refuse it; when it is removed. */
    void (*ahead)(Guest *g), (*leave)(Guest *g);
    const char *peer;           /* the socket in the folder that the peer connects to */
    const char *folder;         /* in the folder, emptied for each input */
    GuestHeadFn *head;
    void (*host)(Guest *g);     /* what else the host does */
    bool workers;               /* the device has threads */
    bool frames;                /* what the peer sends has its length before it */
} Target;

static void host_types(Guest *g);
static void host_plugs(Guest *g);
static void host_listens(Guest *g);
static void answer_ahead(Guest *g);

static const Target targets[] = {
    { "blk", "acpi=off -blockdev null-co,node-name=d,read-zeroes=on,size=1M",
      { "device virtio-blk-device,drive=d,id=t0,num-queues=2,config-wce=on,packed=on" } },
    { "net", "acpi=off",
      { "netdev socket,id=n,fd=%d",
        "device virtio-net-device,netdev=n,id=t0,packed=on,in_order=on" },
      .frames = true },
    { "console", "acpi=off",
      { "chardev socket,id=c,fd=%d",
        "device virtio-serial-device,id=t0,max_ports=4,packed=on,in_order=on",
        "device virtconsole,chardev=c,id=t1", "device virtserialport,id=t2,name=p" } },
    { "rng", "acpi=off", { "device virtio-rng-device,id=t0,packed=on,in_order=on" } },
    { "balloon", "acpi=off",
      { "device virtio-balloon-device,id=t0,deflate-on-oom=on,free-page-reporting=on"
        ",packed=on,in_order=on" } },
    { "vsock", "acpi=off",
      { "device virtio-vsock-device,id=t0,guest-cid=3,uds-path=%s/vsock,packed=on"
        ",in_order=on" },
      .peer = "vsock", .head = vsock_head, .host = host_listens },
    { "9p", "acpi=off -fsdev local,id=f,path=%s,security_model=mapped-xattr",
      { "device virtio-9p-device,id=t0,fsdev=f,mount_tag=m,packed=on" },
      .folder = "", .head = p9_head, .workers = true },
    { "scsi", "acpi=off -blockdev null-co,node-name=d,read-zeroes=on,size=1M"
      " -blockdev null-co,node-name=e,read-zeroes=on,read-only=on,size=1M"
      " -blockdev null-co,node-name=f,read-zeroes=on,size=3G",
      { "device virtio-scsi-device,id=t0,num_queues=2,packed=on",
        "device scsi-hd,drive=d,id=t1,scsi-id=0,lun=0,serial=s,device_id=d,wwn=1,port_wwn=2"
        ",port_index=1,rotation_rate=1",
        "device scsi-cd,drive=e,id=t2,scsi-id=1,lun=0",
        "device scsi-hd,drive=f,id=t3,scsi-id=1,lun=2,removable=on" },
      .head = scsi_head, .host = host_plugs },
    { "input", "acpi=off",
      { "device virtio-keyboard-device,id=t0,packed=on,in_order=on",
        "device virtio-tablet-device,id=t1,packed=on,in_order=on",
        "device virtio-mouse-device,id=t2,packed=on,serial=s" }, .host = host_types },
    { "vhost-user", "acpi=off,memory-backend=ram"
      " -object memory-backend-memfd,id=ram,size=16M,share=on",
      { "chardev socket,id=c,fd=%d",
        "device vhost-user-fs-device,chardev=c,tag=m,reply-timeout=2,id=t0" },
      .ahead = answer_ahead },
    { "usernet", "acpi=off",
      { "netdev user,id=n,guestfwd=tcp:10.0.2.9:7-unix:%s/forward,,server=on,,wait=off",
        "device virtio-net-device,netdev=n,id=t0,packed=on" },
      .ahead = usernet_ahead, .leave = usernet_leave, .peer = "forward", .host = usernet_host },
    { "pmem", "acpi=off -object memory-backend-file,id=m,share=on,mem-path=%s/pmem,size=2M"
      " -device virtio-pmem-device,memdev=m,id=t0,packed=on", { NULL }, .workers = true },
    { "board", "acpi=on,rtc=on,pic=on,pit=on,legacy=on"
      " -chardev socket,id=c,path=%s/serial,server=on,wait=off -serial chardev:c"
      " -chardev null,id=o -device isa-debugcon,chardev=o -device i8042 -device pvpanic"
      " -device ib700 -device vmcoreinfo -device vmgenid,guid=auto -device isa-debug-exit"
      " -fw_cfg name=opt/a,string=text -smbios type=1,serial=1 -action watchdog=none"
      " -no-shutdown", { NULL }, .peer = "serial" },
};

static const Target *target;
static MachineState *ms;

/* Accesses ----------------------------------------------------------------- */

static void access_at(AddressSpace *as, hwaddr addr, unsigned size, uint64_t value, bool is_write)
{
    address_space_rw_locked(as, addr, &value, size, is_write);
}

/* One access to the transport's registers: mostly words of the common part. */
static void step_register(Guest *g)
{
    unsigned how = take(g, 1), reg = take(g, 1) * 4;
    unsigned size = how & 4 ? 1u << (how & 3) : 4;

    reg = how & 8 ? reg + (how >> 6) : reg % VIRTIO_MMIO_REGION_SIZE;
    access_at(&ms->memory, g->base + reg, size, take(g, how & 16 ? 8 : 2), how & 32);
}

static const hwaddr board_windows[] = {
    0xfec00000, 0xfec10000, 0xfea00000, 0xfee00000, 0xfef00000, 0xd0000000, 0xd0000200, 0x1000000,
};

/* Any port; or what is memory-mapped besides the transports. */
static void step_board(Guest *g)
{
    unsigned how = take(g, 1);
    unsigned addr = take(g, how & 64 ? 2 : 1);
    unsigned size = 1u << (how & 3);
    uint64_t value = take(g, how & 8 ? 4 : 1);

    if (how & 4) {
        access_at(&ms->memory, board_windows[how >> 5] + addr, size, value, how & 16);
    } else {
        access_at(&ms->io, how & 64 ? addr : addr + (how & 32 ? 0x300 : 0), MIN(size, 4u), value,
                  how & 16);
    }
}

/* A PC's ports that have something behind them, byte by byte. */
static void step_port(Guest *g)
{
    static const uint16_t ports[] = {
        0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71,
        0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x510, 0x511, 0x514, 0x518, 0x505,
        0x443, 0x441, 0x402, 0xe9,
    };
    unsigned how = take(g, 1);
    unsigned port = ports[how % G_N_ELEMENTS(ports)];
    unsigned size = port >= 0x510 && port <= 0x518 ? 1u << (how >> 6) % 3 : 1;

    access_at(&ms->io, port, size, how & 32 ? take(g, size) : 0, how & 32);
}

static void step_memory(Guest *g)
{
    hwaddr addr = take(g, 3) % BUFFERS_END;
    size_t len = take(g, 1);
    const uint8_t *data = fuzz_take_bytes(&g->in, &len);
    uint8_t *p = len ? guest_ram(addr, len) : NULL;

    if (p) {
        memcpy(p, data, len);
    }
}

/* The host's side ---------------------------------------------------------- */

static void step_peer_sends(Guest *g)
{
    size_t len = take(g, 1);
    const uint8_t *data = fuzz_take_bytes(&g->in, &len);
    char trash[4096];

    if (g->peer < 0 && target->peer) {
        g->peer = fuzz_connect(target->peer);
    }
    if (g->peer >= 0) {
        const uint8_t size[4] = { [3] = len };

        send(g->peer, size, target->frames && !(len & 1) ? sizeof(size) : 0,
             MSG_DONTWAIT | MSG_NOSIGNAL);
        send(g->peer, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        fuzz_settle();
        while (!g->deaf && recv(g->peer, trash, sizeof(trash), MSG_DONTWAIT) > 0) {
            fuzz_settle();
        }
    }
}

static void step_peer_ends(Guest *g)
{
    if (g->peer >= 0) {
        close(g->peer);
        g->peer = -1;
        fuzz_settle();
    }
}

/*
 * Up to some milliseconds, or until the next timer: seconds would be thousands of the PIT's. Not
 * for ages: a timer whose saved state was changed would leave no time for the inputs after this.
 */
static void step_time(Guest *g)
{
    unsigned power = take(g, 1) % 32;
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL), next = qemu_clock_deadline_virtual();

    if (power < 25 || next < 0 || next - now > TIME_MAX_NS) {
        next = now + (1ll << power);
    }
    qemu_clock_advance_virtual(next);
    fuzz_settle();
}

static void step_reset(Guest *g)
{
    fuzz_machine_restart(ms);
}

static void step_stop(Guest *g)
{
    vm_stop(ms, RUN_STATE_PAUSED);
    fuzz_settle();
    vm_start(ms);
    fuzz_settle();
}

/* Some bytes of one of the parts that were saved; the first is the clock, which only runs on. */
static void damage(Guest *g, GPtrArray *parts)
{
    guint i = 1 + take(g, 1) % (parts->len - 1);
    g_autoptr(GByteArray) part = g_bytes_unref_to_array(g_bytes_ref(parts->pdata[i]));

    for (unsigned n = 1 + take(g, 1) % 4; n && part->len; n--) {
        unsigned at = take(g, 2) % part->len, value = take(g, 1);

        part->data[at] = value;
    }
    g_bytes_unref(parts->pdata[i]);
    parts->pdata[i] = g_bytes_new(part->data, part->len);
}

/*
 * Saved, switched off and on, and loaded again: what was saved goes on; what somebody has changed
 * is refused, or has to be lived with.
 */
static void step_save(Guest *g)
{
    bool whole = take(g, 1) & 1, ok = parts_check(ms, NULL);
    g_autoptr(GPtrArray) parts = NULL;
    Error *err = NULL;

    fuzz_settle();
    migration_stop_guest(migration_get(ms));
    if (ok) {
        parts = parts_save(ms);
        if (!whole) {
            damage(g, parts);
        }
        qemu_system_reset(ms, SHUTDOWN_CAUSE_NONE);
        ok = parts_load(ms, parts, &err);
        if (!ok && whole) {
            g_error("what was saved is not loaded: %s", error_get_pretty(err));
        }
        error_free(err);
    }
    runstate_set(ms, RUN_STATE_PAUSED);
    if (ok) {
        vm_start(ms);
    } else {
        fuzz_machine_restart(ms);
    }
    fuzz_settle();
}

/* Plugging ----------------------------------------------------------------- */

/*
 * What a back end says to the questions that a device asks while it is made: its features, with
 * those of the protocol or without; or whatever, and then it hangs up.
 */
static void answer_ahead(Guest *g)
{
    unsigned how = take(g, 1);
    size_t len = how & 1 ? take(g, 1) : 0;
    const uint8_t *data = fuzz_take_bytes(&g->in, &len);
    const struct {
        uint32_t request, flags, size;
        uint64_t value;
    } __attribute__((packed)) answers[] = {
        { 1, 5, 8, 0x130000000ull | (how & 2 ? 1u << 30 : 0) }, { 15, 5, 8, how & 4 ? 0x2b : 0x9 },
        { 17, 5, 8, 1 },
    };

    if (how & 1) {
        send(g->peer, data, len, MSG_NOSIGNAL);
        shutdown(g->peer, SHUT_WR);
        return;
    }
    send(g->peer, answers, how & 2 ? sizeof(answers) : sizeof(answers[0]), MSG_NOSIGNAL);
    if (how & 8) {
        shutdown(g->peer, SHUT_WR);
    }
}

static bool make(const char *kind, QemuOpts *opts, Error **errp)
{
    return !strcmp(kind, "chardev") ? qemu_chr_new_from_opts(opts, errp) != NULL :
           !strcmp(kind, "netdev") ? net_client_new(opts, errp) != NULL :
           qdev_device_add(ms, opts, errp) != NULL;
}

static void plug_part(Guest *g, const char *part)
{
    g_auto(GStrv) words = g_strsplit(part, " ", 2);
    g_autoptr(GString) text = g_string_new(words[1]);
    g_autofree char *number = NULL;
    Error *err = NULL;
    int fds[2] = { -1, -1 };

    if (strstr(text->str, "%d")) {
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), ==, 0);
        number = g_strdup_printf("%d", fds[0]);
        g_string_replace(text, "%d", number, 1);
        g->peer = fds[1];
    }
    if (target->ahead && part == target->parts[0]) {
        target->ahead(g);
    }
    g_string_replace(text, "%s", fuzz_folder(), 0);
    {
        g_autoptr(QemuOpts) opts = qemu_opts_parse(
            text->str, *words[0] == 'd' ? "driver" : *words[0] == 'c' ? "backend" : "type", &err);

        if ((!opts || !make(words[0], opts, &err)) && !target->ahead) {
            g_error("%s: %s", part, error_get_pretty(err));
        }
        error_free(err);
    }
}

/* One of the devices is driven; its transport speaks the version that is wanted. */
static void plug(Guest *g)
{
    hwaddr bases[4];
    unsigned n = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(target->parts) && target->parts[i]; i++) {
        plug_part(g, target->parts[i]);
    }
    for (guint i = 0; i < ms->devices->len; i++) {
        VirtIOMMIOProxy *p = virtio_mmio_transport(ms->devices->pdata[i]);

        if (p) {
            p->force_legacy = g->legacy;
            g->base = g->base ? g->base : p->slot.base;
            bases[n] = p->slot.base;
            n += p->vbus.vdev && n + 1 < G_N_ELEMENTS(bases);
        }
    }
    g->base = n ? bases[g->which % n] : g->base;
}

static void unplug(Guest *g)
{
    step_peer_ends(g);
    for (unsigned i = G_N_ELEMENTS(target->parts); i-- > 0 && target->parts[0];) {
        g_autofree char *id = g_strdup_printf("t%u", i);
        DeviceState *dev = qdev_find(ms, id);

        if (dev) {
            qdev_unrealize(dev);
        }
    }
    fuzz_settle();
    if (net_find("n") && target->leave) {
        target->leave(g);
    }
    if (net_find("n")) {
        net_client_del(net_find("n"));
    }
    if (qemu_chr_find("c") && strstr(target->parts[0] ? target->parts[0] : "", "chardev")) {
        g_assert_true(qemu_chr_remove(qemu_chr_find("c"), NULL));
    }
}

static void step_plug(Guest *g)
{
    unplug(g);
    memset(g->ring, 0, sizeof(g->ring));
    plug(g);
}

/* What else the host does ------------------------------------------------- */

/* Keys, buttons, movements; a report of up to a queue full. */
static void host_types(Guest *g)
{
    unsigned how = take(g, 1), kind = how & 3;

    for (unsigned n = 1 + (how >> 2 & 31); n; n--) {
        unsigned which = take(g, 1);
        const InputEvent event = {
            .kind = kind,
            .down = how & 128,
            .y = which & 1,
            .key = input_key_by_number(which),
            .button = which % INPUT_BUTTONS,
            .value = kind == INPUT_ABS ? which << 7 & INPUT_ABS_MAX : which * 0x1000193u,
        };

        if (kind != INPUT_KEY || event.key) {
            input_send(ms, &event);
        }
    }
    input_sync(ms);
    fuzz_settle();
}

/* Two devices of the bus go and come. */
static void host_plugs(Guest *g)
{
    unsigned i = 1 + take(g, 1) % 3;
    g_autofree char *id = g_strdup_printf("t%u", i);

    if (qdev_find(ms, id)) {
        qdev_unrealize(qdev_find(ms, id));
    } else if (qdev_find(ms, "t0")) {
        plug_part(g, target->parts[i]);
    }
    fuzz_settle();
}

/* A port of the host's: the last of the guest's connections has the peer at its other end. */
static void host_listens(Guest *g)
{
    static int listener = -1;
    unsigned how = take(g, 1);
    int fd;

    if (listener < 0) {
        listener = fuzz_listen("vsock_1024");
    }
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        step_peer_ends(g);
        g->peer = fd;
    }
    g->deaf = how & 1;
    if (how & 2 && g->peer >= 0) {
        shutdown(g->peer, how & 4 ? SHUT_RD : SHUT_WR);
    }
    fuzz_settle();
}

static void step_host(Guest *g)
{
    if (target->host) {
        target->host(g);
    }
}

/* Inputs ------------------------------------------------------------------- */

static void (*const steps[])(Guest *g) = {
    step_start, step_chain, step_kick, step_register, step_peer_sends, step_memory, step_time,
    step_board, step_peer_ends, step_reset, step_stop, step_plug, step_port, step_save,
    step_register, step_host,
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
        target = strcmp(targets[i].name, FUZZ_GUEST) ? target : &targets[i];
    }
    g_assert_nonnull(target);
    ms = fuzz_machine_new(target->options);
    guest_init(ms);
    for (guint i = 0; i < ms->devices->len; i++) {
        VirtIOMMIOProxy *p = virtio_mmio_transport(ms->devices->pdata[i]);

        if (p) {
            p->vbus.bus.hotpluggable = true;    /* a new device for each input */
        }
    }
    return 0;
}

static void drive(void *opaque)
{
    Guest *g = opaque;
    unsigned how = take(g, 1);

    g->legacy = how & 1;
    g->packed = (how & 3) == 2;
    g->which = how >> 2;
    memset(guest_ram(QUEUES, BUFFERS_END - QUEUES), 0, BUFFERS_END - QUEUES);
    if (target->folder) {
        fuzz_empty_folder(target->folder);
    }
    plug(g);
    for (unsigned i = 0; i < MAX_STEPS && g->in.p < g->in.end; i++) {
        steps[take(g, 1) % G_N_ELEMENTS(steps)](g);
    }
    fuzz_settle();
    unplug(g);
    fuzz_machine_restart(ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Guest g = {
        .in = { data, data + size }, .head = target->head, .workers = target->workers,
        .buffer = BUFFERS, .peer = -1,
    };

    fuzz_in_loop(drive, &g);
    return 0;
}
