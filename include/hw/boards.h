/*
 * Machines: the state that owns everything.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BOARDS_H
#define HW_BOARDS_H

#include <glib.h>
#include <stdatomic.h>

#include "exec/memory.h"
#include "hw/irq.h"
#include "hw/qdev.h"
#include "sysemu/rtc.h"
#include "sysemu/runstate.h"

typedef struct AccelState AccelState;
typedef struct CPUState CPUState;
typedef struct HostMemoryBackend HostMemoryBackend;
typedef struct MachineClass MachineClass;
typedef struct MonitorHub MonitorHub;
struct EventField;

/* -smp. All counts are at least 1 once machine_parse_smp() is done. */
typedef struct CpuTopology {
    unsigned cpus;          /* present at start */
    unsigned max_cpus;
    unsigned sockets;
    unsigned dies;          /* per socket */
    unsigned cores;         /* per die */
    unsigned threads;       /* per core */
} CpuTopology;

/* Where a processor is; each number counts within the one before. */
typedef struct CpuPlace {
    unsigned socket, die, core, thread;
} CpuPlace;

struct MachineClass {
    ObjectClass oc;
    bool is_default;
    unsigned max_cpus;
    uint64_t default_ram_size;      /* bytes; 0: the machine has no RAM */
    const char *default_ram_id;     /* -object id that libvirt expects */
    const char *default_cpu_model;  /* where the accelerator runs the host's CPU */
    /* Build address spaces, RAM, interrupt controllers, CPUs, buses. */
    bool (*init)(MachineState *ms, Error **errp);
    /* After every -device is realized and before the map is sealed. */
    bool (*init_done)(MachineState *ms, Error **errp);
    /*
     * Load the kernel's pieces into the reset blobs and set CPU 0's first
     * state; called before the first reset.
     */
    bool (*load_kernel)(MachineState *ms, Error **errp);
    /* Roms, CPUs and board state, after the devices were reset. */
    void (*reset)(MachineState *ms);
    /*
     * -device names one for a bus of this type: boards have some only then. May be NULL.
     */
    void (*want_bus)(MachineState *ms, const char *type);
    /*
     * The fw_cfg device, made when it is first asked for: before the map is sealed. NULL
     * with errp set. May be NULL.
     */
    DeviceState *(*get_fw_cfg)(MachineState *ms, Error **errp);
    /*
     * The board's own interrupt controllers in a person's form (caller frees): how
     * often each input has interrupted, or their state. NULL: it has none. May be NULL.
     */
    char *(*irqchip_info)(MachineState *ms, bool counts);
    /* Call fn for the parts of the board itself that have state. */
    void (*foreach_state)(MachineState *ms, StateFn *fn, void *opaque);
    /* Whether the guest has ACPI, and why, in a person's form (caller frees). May be NULL. */
    char *(*acpi_info)(MachineState *ms);
};

struct MachineState {
    Object obj;
    /* What -machine says, by property rows. */
    char *accel_names;      /* "kvm:tcg" */
    QemuOpts *accel_opts;   /* of -machine: for accelerators that know them */
    char *memory_backend;   /* id of an -object memory-backend-* */
    bool mem_merge;
    bool dump_guest_core;
    bool halt_poweroff;
    bool has_power_button;  /* a device listens to powerdown requests */
    bool reports_panics;    /* a device tells of them */
    /* What other options say. */
    char *kernel_filename;
    char *initrd_filename;
    char *kernel_cmdline;   /* never NULL once parsed */
    uint64_t ram_size;
    CpuTopology smp;
    struct NumaState *numa; /* -numa: sysemu/numa.h; NULL: not given; owned */
    char *cpu_model;        /* "host,+x2apic": model and features; may be NULL */
    char *name;             /* -name guest=; may be NULL */
    char *uuid;             /* canonical text; NULL when not given */
    struct SmbiosOptions *smbios;   /* -smbios: hw/smbios/smbios.h; may be NULL */
    GPtrArray *fw_cfg_items;    /* -fw_cfg: of FWCfgItem, hw/nvram/fw_cfg.h; may be NULL */
    bool mem_lock;          /* -overcommit mem-lock=on */
    bool cpu_pm;            /* -overcommit cpu-pm=on */
    RTCConfig rtc;          /* -rtc */

    AccelState *accel;
    HostMemoryBackend *memdev;
    /* Where devices put memory: the next free address, and the end; 0: nowhere. */
    hwaddr device_memory, device_memory_end;
    AddressSpace memory;
    AddressSpace io;
    MemoryRegion system_memory;
    MemoryRegion system_io;

    struct APICBus *apic_bus;   /* hw/i386/apic.h; NULL: the accelerator has APICs */
    CPUState **cpus;        /* smp.cpus of them, by index */
    atomic_uint deaf_cpus;  /* how many sleep where no device wakes them: hw/core/cpu.h */
    GPtrArray *devices;     /* of DeviceState, in order of realization; owned */
    GPtrArray *buses;       /* of BusState */
    GPtrArray *reset_handlers;  /* sysemu/reset.h */
    GPtrArray *roms;        /* hw/loader.h */
    GPtrArray *serials;     /* of Chardev or NULL: -serial, in order */
    GPtrArray *globals;     /* of GlobalProperty: -global, in order */
    GPtrArray *objects;     /* of Object: -object, in order; owned */
    struct VMCoreInfo *vmcoreinfo;  /* hw/misc/vmcoreinfo.h; NULL: no device */
    struct Balloon *balloon;    /* sysemu/balloon.h; NULL: no device */
    GPtrArray *input_handlers;  /* sysemu/input.h; NULL: none */
    RunStateMachine rsm;

    struct QTestServer *qtest;  /* sysemu/qtest.h; NULL: no test */
    /*
     * For boards: the line to give to devices instead of irq, which is input n of the
     * interrupt controllers. NULL: irq itself.
     */
    qemu_irq (*tap_irq)(MachineState *ms, unsigned n, qemu_irq irq);
    struct GdbServer *gdb;      /* sysemu/gdbstub.h; NULL: none */
    MonitorHub *monitors;       /* monitor/monitor.h; NULL: none */
    struct Migration *migration;    /* migration/migration.h; NULL: never asked for */
    /* Who is told of events: hw/core/event.h. Set before the machine runs. */
    void (*event_fn)(MachineState *ms, const char *event,
                     const struct EventField *fields, unsigned n);
};

/* -global driver.property=value */
typedef struct GlobalProperty {
    char *driver;
    char *property;
    char *value;
    bool used;
} GlobalProperty;

/* First member of ObjectClass/Object instances: plain casts. */
static inline const MachineClass *machine_get_class(const MachineState *ms)
{
    return downcast(ms->obj.oc, const MachineClass, oc);
}

/* The rows that all machines share. */
extern const ObjectClass machine_base_class;

/*
 * -smp: fill ms->smp from "cpus", "sockets", … as QEMU ≥ 6.2 computes what is
 * left out (cores before sockets before threads). Errors name the mismatch.
 */
bool machine_parse_smp(MachineState *ms, QemuOpts *opts, Error **errp);

/* Of the processor with this index: the order that APIC ids have. */
CpuPlace cpu_place(const CpuTopology *t, unsigned index);

/* The -object with this id, or NULL. */
Object *machine_find_object(const MachineState *ms, const char *id);
/*
 * -object: opts holds "qom-type", "id" and the properties. The machine owns
 * the object. NULL with errp set on failure.
 */
Object *machine_add_object(MachineState *ms, QemuOpts *opts, Error **errp);

/*
 * Give a device's memory mr an address, a multiple of align (a power of two), and map it there.
 * Before the map is sealed. False with errp set if there is no room.
 */
bool machine_add_device_memory(MachineState *ms, MemoryRegion *mr, uint64_t align, Error **errp);

/*
 * The -cpu that stands for none: the host's CPU where accel (may be NULL) runs
 * it and the machine asks for that, else "max". Static text.
 */
const char *machine_default_cpu_model(const MachineClass *mc, const AccelState *accel);

/* Apply -global rows for the class to obj; called by qdev and by backends. */
bool machine_apply_globals(MachineState *ms, Object *obj, Error **errp);

#endif
