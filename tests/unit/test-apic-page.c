/*
 * Local APIC: saved and loaded, by hostile files, too; also with registers that are elsewhere.
 *
 * Numbers of registers are from the SDM and not from the code under test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/core/state.h"
#include "qemu/timer.h"
#include "target/i386/apic-page.h"

static bool load_page(const GByteArray *buf, APICPage *page)
{
    StateReader in = { .p = buf->data, .left = buf->len };
    Error *err = NULL;
    bool ok = apic_page_load(5, page, &in, &err) && state_check_end(&in, &err);

    error_free(err);
    return ok;
}

/* What has been saved is there again: all registers that are kept, and the timer's mode. */
static void check_page(uint32_t lvtt, uint32_t current, uint64_t deadline, bool x2apic)
{
    g_autoptr(GByteArray) buf = g_byte_array_new();
    APICPage page = { .base = 0xfee00800 | (x2apic ? 1 << 10 : 0), .tsc_deadline = deadline };
    APICPage back = { .wide = x2apic };

    for (unsigned i = 0; i < 8; i++) {
        page.regs[0x10 + i] = 0x10000000u << i;
        page.regs[0x20 + i] = 0x01010101 * i;
        page.regs[0x18 + i] = 0x80000001;
    }
    page.regs[0x08] = 0x20;
    page.regs[0x0d] = 0x02000000;
    page.regs[0x0e] = 0xffffffff;
    page.regs[0x0f] = 0x1ff;
    page.regs[0x30] = 0x000840fd;
    page.regs[0x31] = 0x03000000;
    page.regs[0x32] = lvtt;
    page.regs[0x35] = 0x10700;
    page.regs[0x37] = 0xfe;
    page.regs[0x38] = 4000000000u;
    page.regs[0x39] = current;
    page.regs[0x3e] = 0xa;    /* it began 128 s before the clock did */
    apic_page_save(5, &page, buf);
    g_assert_true(load_page(buf, &back));
    if (current == 0 && !(lvtt >> 17 & 3)) {
        page.regs[0x20 + (lvtt & 0xff) / 32] |= 1u << lvtt % 32;
    }
    page.regs[0x02] = x2apic ? 5 : 5 << 24;
    page.regs[0x03] = back.regs[0x03];
    for (unsigned i = 0; i < G_N_ELEMENTS(page.regs); i++) {
        g_assert_cmphex(page.regs[i], ==, back.regs[i]);
    }
    g_assert_cmphex(back.base, ==, page.base);
    g_assert_cmphex(back.tsc_deadline, ==, deadline);
}

static void test_page(void)
{
    check_page(0xec, 3000000000u, 0, false);            /* one-shot */
    check_page(0xec, 0, 0, false);                      /* that is due */
    check_page(0x200ec, 3000000000u, 0, true);          /* periodic */
    check_page(0x400ec, 0, 0x123456789abcull, true);    /* deadline */
}

/* Each byte as others: refused or loaded, and nothing of ours is called that is not there. */
static void test_hostile_page(void)
{
    g_autoptr(GByteArray) buf = g_byte_array_new();
    APICPage page = { .base = 0xfee00800 };

    page.regs[0x32] = 0x400ec;
    apic_page_save(5, &page, buf);
    for (guint i = 0; i < buf->len; i++) {
        uint8_t old = buf->data[i];

        for (unsigned value = 0; value < 256; value += 15) {
            buf->data[i] = value;
            load_page(buf, &page);
        }
        buf->data[i] = old;
    }
}

/* The timer ---------------------------------------------------------------- */

/* Puts value where a load would. */
static void put(APICState *apic, const char *name, int64_t value)
{
    const StateField *row = apic_state.fields;

    while (strcmp(row->name, name)) {
        row++;
    }
    g_assert_cmpuint(row->size, ==, sizeof(value));
    memcpy((char *)apic + row->offset, &value, sizeof(value));
}

/* A load that is refused leaves nothing that outlives a reset; one that is not, nothing worse. */
static void test_timer(void)
{
    static const APICBusOps ops;
    APICBus *bus = apic_bus_new(1, &ops, NULL);
    APICState *apic = apic_new(bus, 0, true);

    put(apic, "timer_start", INT64_MAX);
    g_assert_false(apic_state.post_load(apic, NULL));
    apic_reset(apic);
    g_assert_true(apic_state.post_load(apic, NULL));
    put(apic, "timer_expire", -2);
    g_assert_false(apic_state.post_load(apic, NULL));
    apic_reset(apic);
    g_assert_true(apic_state.post_load(apic, NULL));
    put(apic, "timer_tsc", 1);                      /* not in this mode */
    g_assert_false(apic_state.post_load(apic, NULL));
    apic_reset(apic);
    apic_mmio_write(apic, 0xf0, 0x1ff, 4);
    apic_mmio_write(apic, 0x320, 0xec, 4);          /* one-shot */
    apic_mmio_write(apic, 0x3e0, 0xb, 4);           /* divide by 1 */
    apic_mmio_write(apic, 0x380, 1000, 4);
    put(apic, "timer_start", INT64_MAX / 8);        /* later than now */
    g_assert_true(apic_state.post_load(apic, NULL));
    g_assert_cmpuint(apic_mmio_read(apic, 0x390, 4), ==, 1000);
    apic_mmio_write(apic, 0x3e0, 0xa, 4);           /* by 128 */
    g_assert_cmpuint(apic_mmio_read(apic, 0x390, 4), ==, 1000);
    g_assert_true(apic_state.post_load(apic, NULL));
    apic_bus_free(bus);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qemu_clock_virtual_manual();
    qemu_clock_set_virtual(1000000);
    g_test_add_func("/apic-page/registers", test_page);
    g_test_add_func("/apic-page/hostile", test_hostile_page);
    g_test_add_func("/apic-page/timer", test_timer);
    return g_test_run();
}
