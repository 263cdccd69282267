/*
 * The KVM accelerator: the VM, its memory slots and doorbells.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm-dirty.h"
#include "kvm-int.h"
#include "qemu/cutils.h"
#include "qemu/fdset.h"
#include "qemu/log.h"

/* What every line of this accelerator relies on. All are there since Linux 4.11. */
static const struct {
    int cap;
    const char *name;
} required_caps[] = {
    { KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
    { KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID" },
    { KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP" },
    { KVM_CAP_PIT2, "KVM_CAP_PIT2" },
    { KVM_CAP_IRQFD, "KVM_CAP_IRQFD" },
    { KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD" },
    { KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS" },
    { KVM_CAP_XSAVE, "KVM_CAP_XSAVE" },
    { KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
};

#define KVM_DEVICE "/dev/kvm"

/*
 * PVM's KVM is for guests that know of it: it interprets the kernel of others, at
 * a thousandth of the speed, and gives up at the first CMPXCHG16B. Who asks for it
 * by name gets it. Of the kernel's vendor modules only one is active; it is not
 * PVM's where another one is loaded.
 */
static bool kvm_is_pvm(void)
{
    return access("/sys/module/kvm_pvm", F_OK) == 0 &&
           access("/sys/module/kvm_intel", F_OK) < 0 &&
           access("/sys/module/kvm_amd", F_OK) < 0;
}

static int kvm_probe(void)
{
    if (access(KVM_DEVICE, R_OK | W_OK) < 0) {
        return -errno;
    }
    return kvm_is_pvm() ? -EOPNOTSUPP : 0;
}

/* strerror(err), and whose device it is that one may not open. */
static char *why_not_open(const char *device, int err)
{
    const struct group *gr;
    struct stat st;

    if (err != EACCES || stat(device, &st) < 0) {
        return g_strdup(strerror(err));
    }
    gr = getgrgid(st.st_gid);
    return st.st_mode & S_IWGRP && gr
        ? g_strdup_printf("%s: %s is for members of group '%s'", strerror(err), device,
                          gr->gr_name)
        : g_strdup_printf("%s: not even a group may use %s", strerror(err), device);
}

static char *kvm_why_not(int err)
{
    return why_not_open(KVM_DEVICE, err);
}

static bool kvm_open(KVMState *s, Error **errp)
{
    int version;

    s->fd = qemu_open(s->device, O_RDWR | O_CLOEXEC, 0);
    if (s->fd < 0) {
        int err = errno;
        g_autofree char *why = why_not_open(s->device, err);

        error_printf("Could not access KVM kernel module: %s\n", strerror(err));
        error_setg(errp, "failed to initialize kvm: %s", why);
        return false;
    }
    version = kvm_ioctl(s->fd, KVM_GET_API_VERSION, NULL);
    if (version < 0) {
        error_setg(errp, "failed to initialize kvm: '%s' is not KVM's device", s->device);
        return false;
    }
    if (version != KVM_API_VERSION) {
        error_setg(errp, "failed to initialize kvm: API version %d is not %d",
                   version, KVM_API_VERSION);
        return false;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(required_caps); i++) {
        if (!kvm_check_extension(s, required_caps[i].cap)) {
            error_setg(errp, "failed to initialize kvm: the host's KVM lacks %s",
                       required_caps[i].name);
            return false;
        }
    }
    return true;
}

/*
 * Memory slots. Slots only ever come: the map is sealed. KVM touches no page
 * of a slot before the guest does.
 */

static bool kvm_region_add(MemoryListener *listener, const FlatRange *range,
                           Error **errp)
{
    KVMState *s = container_of(listener, KVMState, memory_listener);
    struct kvm_userspace_memory_region slot = {
        .slot = s->nr_slots,
        .flags = range->mr->readonly ? KVM_MEM_READONLY : 0,
        .guest_phys_addr = range->start,
        .memory_size = range->size,
    };
    int ret;

    if (range->mr->kind != MEMORY_REGION_RAM) {
        kvm_coalesced_add(s, range);
        return true;
    }
    slot.userspace_addr = (uintptr_t)range->mr->host + range->offset;
    if (s->nr_slots == s->max_slots) {
        error_setg(errp, "KVM has no memory slot left for '%s' (the limit is %u)",
                   range->mr->name, s->max_slots);
        return false;
    }
    ret = kvm_ioctl(s->vmfd, KVM_SET_USER_MEMORY_REGION, &slot);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM refuses memory '%s' at 0x%" PRIx64
                         ", size 0x%" PRIx64, range->mr->name, range->start,
                         range->size);
        return false;
    }
    s->nr_slots++;
    return true;
}

static void kvm_flush_coalesced(MemoryListener *listener)
{
    kvm_coalesced_flush(container_of(listener, KVMState, memory_listener));
}

/* Doorbells: writes that KVM turns into an eventfd without leaving the kernel. */

static int kvm_set_ioeventfd(KVMState *s, hwaddr addr,
                             const MemoryRegionIoeventfd *fd, uint32_t flags)
{
    struct kvm_ioeventfd io = {
        .datamatch = fd->match_data ? fd->data : 0,
        .addr = addr,
        .len = fd->size,
        .fd = fd->e->fd,
        .flags = flags | (fd->match_data ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0),
    };

    return kvm_ioctl(s->vmfd, KVM_IOEVENTFD, &io);
}

static int kvm_mmio_eventfd_add(MemoryListener *listener, hwaddr addr,
                                const MemoryRegionIoeventfd *fd)
{
    return kvm_set_ioeventfd(container_of(listener, KVMState, memory_listener),
                             addr, fd, 0);
}

static void kvm_mmio_eventfd_del(MemoryListener *listener, hwaddr addr,
                                 const MemoryRegionIoeventfd *fd)
{
    kvm_set_ioeventfd(container_of(listener, KVMState, memory_listener), addr, fd,
                      KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static int kvm_pio_eventfd_add(MemoryListener *listener, hwaddr addr,
                               const MemoryRegionIoeventfd *fd)
{
    return kvm_set_ioeventfd(container_of(listener, KVMState, io_listener), addr,
                             fd, KVM_IOEVENTFD_FLAG_PIO);
}

static void kvm_pio_eventfd_del(MemoryListener *listener, hwaddr addr,
                                const MemoryRegionIoeventfd *fd)
{
    kvm_set_ioeventfd(container_of(listener, KVMState, io_listener), addr, fd,
                      KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DEASSIGN);
}

/* -overcommit cpu-pm=on: the guest may idle on the physical CPU. */
static void kvm_disable_exits(KVMState *s)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_DISABLE_EXITS };

    cap.args[0] = kvm_check_extension(s, KVM_CAP_X86_DISABLE_EXITS) &
                  KVM_X86_DISABLE_VALID_EXITS;
    if (!cap.args[0] || kvm_ioctl(s->vmfd, KVM_ENABLE_CAP, &cap) < 0) {
        warn_report("the host's KVM cannot keep idle guest CPUs running (cpu-pm=on)");
        return;
    }
    s->disabled_exits = cap.args[0];
}

static bool kvm_create_vm(KVMState *s, Error **errp)
{
    uint64_t identity = KVM_IDENTITY_MAP_ADDR;
    int ret = kvm_ioctl(s->fd, KVM_CREATE_VM, NULL);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "failed to initialize kvm: cannot create a VM");
        return false;
    }
    s->vmfd = ret;
    s->run_size = kvm_ioctl(s->fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
    if (s->run_size < (int)sizeof(struct kvm_run)) {
        error_setg(errp, "failed to initialize kvm: bad vCPU state size %d",
                   s->run_size);
        return false;
    }
    ret = kvm_ioctl(s->vmfd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
    if (ret == 0) {
        ret = kvm_ioctl(s->vmfd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)KVM_TSS_ADDR);
    }
    if (ret == 0 && s->shadow_mem) {
        ret = kvm_ioctl(s->vmfd, KVM_SET_NR_MMU_PAGES,
                        (void *)(uintptr_t)(s->shadow_mem / 4096));
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "failed to initialize kvm: cannot set up the VM");
        return false;
    }
    return true;
}

static bool kvm_init_machine(AccelState *as, MachineState *ms, Error **errp)
{
    KVMState *s = downcast(as, KVMState, parent);

    if (!kvm_open(s, errp) || !kvm_create_vm(s, errp)) {
        return false;
    }
    s->max_slots = kvm_check_extension(s, KVM_CAP_NR_MEMSLOTS);
    kvm_coalesced_init(s);
    s->has_xcrs = kvm_check_extension(s, KVM_CAP_XCRS);
    s->has_tsc_deadline = kvm_check_extension(s, KVM_CAP_TSC_DEADLINE_TIMER);
    s->xsave_size = MAX(kvm_check_extension(s, KVM_CAP_XSAVE2), 4096);
    if (ms->cpu_pm) {
        kvm_disable_exits(s);
    }
    kvm_init_kick();
    address_space_add_listener(&ms->memory, &s->memory_listener);
    address_space_add_listener(&ms->io, &s->io_listener);
    return true;
}

static void kvm_exit_machine(AccelState *as)
{
    KVMState *s = downcast(as, KVMState, parent);

    if (s->vmfd >= 0) {
        close(s->vmfd);
    }
    if (s->fd >= 0) {
        close(s->fd);
    }
    s->vmfd = s->fd = -1;
    g_clear_pointer(&s->loaded_pit, g_free);
    kvm_split_free(s);
    kvm_routes_free(s);
}

static void kvm_instance_init(Object *obj)
{
    KVMState *s = downcast(obj, KVMState, parent.obj);

    s->fd = s->vmfd = -1;
    s->memory_listener = (MemoryListener) {
        .region_add = kvm_region_add,
        .flush_coalesced = kvm_flush_coalesced,
        .eventfd_add = kvm_mmio_eventfd_add,
        .eventfd_del = kvm_mmio_eventfd_del,
    };
    s->io_listener = (MemoryListener) {
        .eventfd_add = kvm_pio_eventfd_add,
        .eventfd_del = kvm_pio_eventfd_del,
    };
}

static void kvm_instance_finalize(Object *obj)
{
    kvm_exit_machine(downcast(obj, AccelState, obj));
}

/* In the order of AccelIrqchipMode, and KVM_IRQCHIP_MODE_AUTO. */
static EnumNames irqchip_names = { "on", "split", "off", "auto", NULL };

static const Property kvm_props[] = {
    DEFINE_PROP_ENUM("kernel-irqchip", KVMState, irqchip_mode, irqchip_names, "auto",
                     "interrupt controllers in the host kernel"),
    DEFINE_PROP_SIZE("kvm-shadow-mem", KVMState, shadow_mem, "0",
                     "memory for shadow page tables"),
    DEFINE_PROP_STRING("device", KVMState, device, KVM_DEVICE,
                       "where KVM is: a path, or /dev/fdset/N"),
    DEFINE_PROP_IGNORED("dirty-ring-size", "accepted: bitmaps log what is written"),
    DEFINE_PROP_END
};

static const AccelClass kvm_class = {
    .oc = {
        .name = "kvm",
        .type_name = "kvm-accel",
        .desc = "the host kernel's virtual machines",
        .instance_size = sizeof(KVMState),
        .props = kvm_props,
        .init = kvm_instance_init,
        .finalize = kvm_instance_finalize,
    },
    .has_vcpu_threads = true,
    .host_cpus = true,
    .probe = kvm_probe,
    .why_not = kvm_why_not,
    .init_machine = kvm_init_machine,
    .exit_machine = kvm_exit_machine,
    .irqchip_mode = kvm_irqchip_mode,
    .create_irqchip = kvm_create_irqchip,
    .send_msi = kvm_send_msi,
    .set_msi_route = kvm_set_msi_route,
    .attach_irqfd = kvm_attach_irqfd,
    .detach_irqfd = kvm_detach_irqfd,
    .supported_cpuid = kvm_supported_cpuid,
    .vcpu_init = kvm_vcpu_init,
    .vcpu_destroy = kvm_vcpu_destroy,
    .vcpu_exec = kvm_vcpu_exec,
    .vcpu_filter = &kvm_vcpu_filter,
    .vcpu_kick = kvm_vcpu_kick,
    .get_registers = kvm_arch_get_registers,
    .put_registers = kvm_arch_put_registers,
    .is_dead = kvm_is_dead,
    .inject_nmi = kvm_inject_nmi,
    .set_debug = kvm_set_debug,
    .info = kvm_info,
    .get_chips = MACHINE_STATE(kvm_get_chips),
    .set_chips = MACHINE_STATE(kvm_set_chips),
    .foreach_state = MACHINE_STATE(kvm_foreach_state),
    .dirty_start = MACHINE_STATE(kvm_dirty_start),
    .dirty_take = MACHINE_STATE(kvm_dirty_take),
    .dirty_stop = MACHINE_STATE(kvm_dirty_stop),
};
DEFINE_CLASS(kvm, &kvm_class.oc);
