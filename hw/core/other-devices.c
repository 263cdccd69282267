/*
 * Devices that QEMU's other machines have: why they are not here, and what is instead.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/qdev.h"

#include <string.h>

#define NO_DISPLAY "there is no graphical display, use isa-serial or virtconsole"
#define USE_DISK "use virtio-blk-device"
#define USE_NIC "use virtio-net-device"

/* The first row with a pattern that fits says it. */
static const struct {
    const char *patterns;       /* of g_pattern_match_simple(), with spaces between */
    const char *why;
} other_devices[] = {
    { "vhost-user-fs-pci vhost-user-fs-ccw", "use vhost-user-fs-device" },
    { "vhost-user-blk-pci vhost-user-blk-ccw", "use vhost-user-blk-device" },
    { "virtio-9p* vhost-user-fs*", "file systems of the host cannot be shared" },
    { "virtio-mem* nvdimm pc-dimm", "memory is fixed, use -m" },
    { "virtio-crypto*", "there is no crypto device" },
    { "virtio-iommu* *-iommu AMDVI-PCI", "there is no IOMMU" },
    { "virtio-gpu* virtio-vga* vhost-user-gpu* vhost-user-vga", NO_DISPLAY },
    { "VGA *-vga qxl bochs-display ramfb sga vmware-svga", NO_DISPLAY },
    { "virtio-input* vhost-user-input* vmmouse usb-kbd usb-mouse usb-*tablet",
      "use virtio-keyboard-device, virtio-mouse-device or virtio-tablet-device" },
    { "virtio-keyboard* virtio-mouse* virtio-tablet* i8042", "there is no keyboard or mouse" },
    { "vhost-user-vsock*", "use vhost-vsock-device or virtio-vsock-device" },
    { "vhost-user-rng*", "use virtio-rng-device" },
    { "e1000* i825* i82801 ne2k_* pcnet* rtl8139 tulip vmxnet3 rocker pvrdma usb-net", USE_NIC },
    { "vhost-scsi* vhost-user-scsi* vhost-user-blk* scsi-* am53c974 dc390 lsi* megasas* mptsas* "
      "pvscsi virtio-scsi*", USE_DISK },
    { "ide-* isa-ide piix*-ide *ahci nvme* sd-card sdhci* cxl-type3 floppy isa-fdc usb-storage "
      "usb-uas usb-bot usb-mtp", USE_DISK },
    { "AC97 ac97 adlib cs4231a ES1370 es1370 gus hda-* *intel-hda sb16 usb-audio "
      "virtio-sound* vhost-user-snd*", "there is no sound card" },
    { "pci-serial* usb-serial isa-parallel ipoctal232 tpci200",
      "use isa-serial or virtserialport" },
    { "usb-* *-usb-* *xhci pci-ohci u2f-* ccid-*", "there is no USB" },
    { "i6300esb diag288 sbsa_gwdt", "use ib700" },
    { "vfio-*", "devices of the host cannot be passed through" },
    { "ivshmem*", "memory is not shared between guests" },
    { "tpm-*", "there is no TPM" },
    { "guest-loader", "use loader, or -kernel and -initrd" },
    { "loader", "use -kernel and -initrd" },
    { "mc146818rtc", "use -M microvm,rtc=on" },
    { "*-cpu", "CPUs are fixed, use -cpu and -smp" },
    { "pci* x-pci* *-pci *-pci-* *_pci *-ccw *-bridge pxb* cxl-* ioh3420 x*3130-* edu acpi-erst",
      "there is no PCI" },
    { "vhost-user-gpio* vhost-user-i2c* hv-* hyperv-* vmbus-* isa-applesmc *ipmi* i2c-* "
      "pc-testdev vmgenid", "this machine has no such device" },
};

static bool fits_any(const char *patterns, const char *name)
{
    g_auto(GStrv) words = g_strsplit(patterns, " ", -1);

    for (char **word = words; *word; word++) {
        if (g_pattern_match_simple(*word, name)) {
            return true;
        }
    }
    return false;
}

/* "virtio-blk-pci-transitional" is for PCI what "virtio-blk-device" is here. */
static const ObjectClass *same_device(const char *name)
{
    static const char *const ends[] = {
        "-pci", "-ccw", "-pci-transitional", "-pci-non-transitional", "",
    };
    const ObjectClass *oc = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(ends) && !oc; i++) {
        if (g_str_has_suffix(name, ends[i])) {
            g_autofree char *stem = g_strndup(name, strlen(name) - strlen(ends[i]));
            g_autofree char *device = g_strconcat(stem, "-device", NULL);

            oc = object_class_by_name(device_classes, device);
            oc = oc ? oc : object_class_by_name(device_classes, stem);
        }
    }
    return oc;
}

char *qdev_why_not(const char *name)
{
    const ObjectClass *oc = same_device(name);

    if (oc) {
        return g_strdup_printf(": there is no PCI, use %s", oc->name);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(other_devices); i++) {
        if (fits_any(other_devices[i].patterns, name)) {
            return g_strconcat(": ", other_devices[i].why, NULL);
        }
    }
    return object_class_did_you_mean(device_classes, name);
}
