/*
 * How a guest finds the virtio-mmio transports: ACPI, or the kernel's command line.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/acpi/aml.h"
#include "virtio-mmio-internal.h"

/* As Linux' driver knows it; the interrupt is an edge here (virtio-mmio-bus.c). */
void virtio_mmio_build_aml(DeviceState *dev, Aml *aml)
{
    const VirtIOMMIOProxy *p = downcast(dev, const VirtIOMMIOProxy, dev);
    g_autofree char *name = g_strdup_printf("VR%02u", p->slot.index);

    if (!p->vbus.vdev) {
        return;
    }
    aml_begin_device(aml, name);
    aml_name(aml, "_HID");
    aml_string(aml, "LNRO0005");
    aml_name(aml, "_UID");
    aml_integer(aml, p->slot.index);
    aml_name(aml, "_CCA");
    aml_integer(aml, 1);
    aml_name(aml, "_CRS");
    aml_begin_resources(aml);
    aml_res_memory32(aml, p->slot.base, VIRTIO_MMIO_REGION_SIZE);
    aml_res_interrupt(aml, p->slot.irq_num);
    aml_end(aml);
    aml_end(aml);
}

/* Where Linux stops to read parameters: at a "--", the rest is for init. */
static gsize end_of_parameters(const GString *cmdline)
{
    bool quoted = false;

    for (gsize i = 0; i < cmdline->len; i++) {
        const char *s = cmdline->str + i;

        quoted ^= *s == '"';
        if (!quoted && !strncmp(s, "--", 2) && (!s[2] || g_ascii_isspace(s[2])) &&
            (i == 0 || g_ascii_isspace(s[-1]))) {
            return MAX(i, 1) - 1;
        }
    }
    return cmdline->len;
}

void virtio_mmio_append_cmdline(MachineState *ms, GString *cmdline)
{
    g_autoptr(GString) text = g_string_new(NULL);
    gsize end = end_of_parameters(cmdline);

    for (unsigned i = 0; i < ms->devices->len; i++) {
        const VirtIOMMIOProxy *p = virtio_mmio_transport(ms->devices->pdata[i]);

        if (p && p->vbus.vdev) {
            g_string_append_printf(text, " virtio_mmio.device=%u@0x%" PRIx64 ":%u",
                                   VIRTIO_MMIO_REGION_SIZE, p->slot.base,
                                   p->slot.irq_num);
        }
    }
    if (end == 0 && cmdline->len) {
        g_string_append_c(text, ' ');       /* the "--" stands first */
    }
    g_string_insert_len(cmdline, end, text->str, text->len);
}
