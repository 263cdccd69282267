/*
 * The AML writer and the ACPI tables, byte by byte: expected bytes are written out from the
 * specification.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/acpi/acpi.h"
#include "hw/acpi/aml.h"

#define BASE 0xe0000u

typedef struct Fixture {
    GByteArray *buf;
    Aml aml;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->buf = g_byte_array_new();
    aml_init(&f->aml, f->buf);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_assert_cmpuint(f->aml.depth, ==, 0);
    g_byte_array_unref(f->buf);
}

/* What was written since the last call. */
#define expect(f, ...) do { \
        static const uint8_t bytes[] = { __VA_ARGS__ }; \
        g_assert_cmpmem((f)->buf->data, (f)->buf->len, bytes, sizeof(bytes)); \
        g_byte_array_set_size((f)->buf, 0); \
    } while (0)

static void test_integers(Fixture *f, gconstpointer data)
{
    aml_integer(&f->aml, 0);
    aml_integer(&f->aml, 1);
    expect(f, 0x00, 0x01);
    aml_integer(&f->aml, 2);
    aml_integer(&f->aml, 0xff);
    expect(f, 0x0a, 2, 0x0a, 0xff);
    aml_integer(&f->aml, 0x100);
    aml_integer(&f->aml, 0xffff);
    expect(f, 0x0b, 0x00, 0x01, 0x0b, 0xff, 0xff);
    aml_integer(&f->aml, 0x10000);
    aml_integer(&f->aml, 0xfea00000);
    expect(f, 0x0c, 0, 0, 1, 0, 0x0c, 0, 0, 0xa0, 0xfe);
    aml_integer(&f->aml, 0x123456789aull);
    expect(f, 0x0e, 0x9a, 0x78, 0x56, 0x34, 0x12, 0, 0, 0);
    aml_string(&f->aml, "GED");
    expect(f, 0x0d, 'G', 'E', 'D', 0);
    aml_eisa_id(&f->aml, "PNP0C0C");
    expect(f, 0x0c, 0x41, 0xd0, 0x0c, 0x0c);
    aml_eisa_id(&f->aml, "PNP0501");
    expect(f, 0x0c, 0x41, 0xd0, 0x05, 0x01);
}

static void test_paths(Fixture *f, gconstpointer data)
{
    aml_path(&f->aml, "\\");
    expect(f, '\\', 0);
    aml_path(&f->aml, "GED");
    expect(f, 'G', 'E', 'D', '_');
    aml_path(&f->aml, "\\_S5");
    expect(f, '\\', '_', 'S', '5', '_');
    aml_path(&f->aml, "\\_SB.GED");
    expect(f, '\\', 0x2e, '_', 'S', 'B', '_', 'G', 'E', 'D', '_');
    aml_path(&f->aml, "A.B1.C");
    expect(f, 0x2f, 3, 'A', '_', '_', '_', 'B', '1', '_', '_', 'C', '_', '_', '_');
    aml_name(&f->aml, "_UID");
    aml_integer(&f->aml, 1);
    expect(f, 0x08, '_', 'U', 'I', 'D', 0x01);
}

/* Lengths on both sides of each limit: a PkgLength counts itself. */
static void test_lengths(Fixture *f, gconstpointer data)
{
    static const struct {
        unsigned payload, size;
        uint8_t encoded[3];
    } rows[] = {
        /* 4 of the name, the payload, the length itself */
        { 58, 1, { 0x3f } },
        { 59, 2, { 0x41, 0x04 } },
        { 4089, 2, { 0x4f, 0xff } },
        { 4090, 3, { 0x81, 0x00, 0x01 } },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_byte_array_set_size(f->buf, 0);
        aml_begin_scope(&f->aml, "_SB");
        for (unsigned n = 0; n < rows[i].payload; n++) {
            aml_integer(&f->aml, 1);
        }
        aml_end(&f->aml);
        g_assert_cmpuint(f->buf->len, ==, 1 + rows[i].size + 4 + rows[i].payload);
        g_assert_cmphex(f->buf->data[0], ==, 0x10);
        g_assert_cmpmem(f->buf->data + 1, rows[i].size, rows[i].encoded, rows[i].size);
        g_assert_cmpmem(f->buf->data + 1 + rows[i].size, 4, "_SB_", 4);
    }
}

static void test_blocks(Fixture *f, gconstpointer data)
{
    aml_begin_device(&f->aml, "COM1");
    aml_end(&f->aml);
    expect(f, 0x5b, 0x82, 5, 'C', 'O', 'M', '1');
    aml_begin_package(&f->aml, 2);
    aml_integer(&f->aml, 5);
    aml_integer(&f->aml, 0);
    aml_end(&f->aml);
    expect(f, 0x12, 5, 2, 0x0a, 5, 0);
    aml_begin_method(&f->aml, "_EVT", 1, true);
    aml_op(&f->aml, AML_STORE);
    aml_path(&f->aml, "ESEL");
    aml_local(&f->aml, 0);
    aml_begin_if(&f->aml);
    aml_op(&f->aml, AML_AND);
    aml_local(&f->aml, 0);
    aml_integer(&f->aml, 2);
    aml_integer(&f->aml, 0);
    aml_op(&f->aml, AML_NOTIFY);
    aml_path(&f->aml, "PWRB");
    aml_integer(&f->aml, 0x80);
    aml_end(&f->aml);
    aml_end(&f->aml);
    expect(f, 0x14, 26, '_', 'E', 'V', 'T', 0x09,
           0x70, 'E', 'S', 'E', 'L', 0x60,
           0xa0, 13, 0x7b, 0x60, 0x0a, 0x02, 0x00, 0x86, 'P', 'W', 'R', 'B', 0x0a, 0x80);
    aml_memory_region(&f->aml, "EREG", 0xfea00000, 4);
    expect(f, 0x5b, 0x80, 'E', 'R', 'E', 'G', 0, 0x0c, 0, 0, 0xa0, 0xfe, 0x0a, 4);
    aml_dword_field(&f->aml, "EREG", "ESEL", 32);
    expect(f, 0x5b, 0x81, 11, 'E', 'R', 'E', 'G', 0x43, 'E', 'S', 'E', 'L', 32);
    aml_dword_field(&f->aml, "EREG", "ESEL", 256);
    expect(f, 0x5b, 0x81, 12, 'E', 'R', 'E', 'G', 0x43, 'E', 'S', 'E', 'L', 0x40, 0x10);
}

static void test_resources(Fixture *f, gconstpointer data)
{
    aml_begin_resources(&f->aml);
    aml_res_io(&f->aml, 0x3f8, 8, 0);
    aml_res_irq(&f->aml, 4);
    aml_end(&f->aml);
    expect(f, 0x11, 16, 0x0a, 13,
           0x47, 1, 0xf8, 0x03, 0xf8, 0x03, 0, 8,
           0x22, 0x10, 0x00,
           0x79, 0);
    aml_begin_resources(&f->aml);
    aml_res_memory32(&f->aml, 0xd0000200, 0x200);
    aml_res_interrupt(&f->aml, 25);
    aml_end(&f->aml);
    expect(f, 0x11, 26, 0x0a, 23,
           0x86, 9, 0, 1, 0x00, 0x02, 0x00, 0xd0, 0x00, 0x02, 0, 0,
           0x89, 6, 0, 0x03, 1, 25, 0, 0, 0,
           0x79, 0);
}

/* Tables ------------------------------------------------------------------- */

static uint64_t rd(const uint8_t *p, unsigned size)
{
    uint64_t value = 0;

    while (size--) {
        value = value << 8 | p[size];
    }
    return value;
}

static uint8_t byte_sum(const uint8_t *p, size_t len)
{
    uint8_t sum = 0;

    while (len--) {
        sum += *p++;
    }
    return sum;
}

static const uint8_t *check_table(const AcpiTables *t, uint64_t addr, const char *signature,
                                  uint8_t revision, uint32_t length)
{
    const uint8_t *table = t->blob->data + (addr - BASE);

    g_assert_cmphex(addr % 16, ==, 0);
    g_assert_cmpmem(table, 4, signature, 4);
    g_assert_cmpuint(rd(table + 4, 4), ==, length);
    g_assert_cmpuint(addr - BASE + length, <=, t->blob->len);
    g_assert_cmpuint(table[8], ==, revision);
    g_assert_cmpuint(byte_sum(table, length), ==, 0);
    g_assert_cmpmem(table + 10, 6, "QEMU  ", 6);
    g_assert_cmpmem(table + 16, 8, "MICROVM ", 8);
    g_assert_cmpmem(table + 28, 4, "QEMU", 4);
    return table;
}

/* The address of the table that the XSDT names as number n. */
static uint64_t listed(const AcpiTables *t, unsigned n)
{
    const uint8_t *rsdp = t->blob->data;

    g_assert_cmpmem(rsdp, 8, "RSD PTR ", 8);
    g_assert_cmpuint(rsdp[15], ==, 2);
    g_assert_cmpuint(rd(rsdp + 16, 4), ==, 0);
    g_assert_cmpuint(rd(rsdp + 20, 4), ==, 36);
    g_assert_cmpuint(byte_sum(rsdp, 20), ==, 0);
    g_assert_cmpuint(byte_sum(rsdp, 36), ==, 0);
    return rd(check_table(t, rd(rsdp + 24, 8), "XSDT", 1, 36 + 8 * t->nr_listed) + 36 + 8 * n,
              8);
}

static void test_fadt(void)
{
    static const uint8_t sleep_control[] = { 0, 8, 0, 1, 0x00, 0x02, 0xa0, 0xfe, 0, 0, 0, 0 };
    static const uint8_t sleep_status[] = { 0, 8, 0, 1, 0x01, 0x02, 0xa0, 0xfe, 0, 0, 0, 0 };
    static const uint8_t reset[] = { 0, 8, 0, 1, 0x02, 0x02, 0xa0, 0xfe, 0, 0, 0, 0 };
    AcpiFadtInfo info = {
        .sleep_control = 0xfea00200, .sleep_status = 0xfea00201, .reset = 0xfea00202,
        .reset_value = 0x42, .boot_arch = ACPI_BOOT_NO_VGA | ACPI_BOOT_NO_CMOS_RTC,
    };
    AcpiTables t;
    const uint8_t *fadt;

    acpi_tables_init(&t, BASE);
    acpi_table_begin(&t, "DSDT", 2);
    info.dsdt = acpi_table_end(&t, false);
    acpi_build_fadt(&t, &info);
    acpi_tables_finish(&t);
    check_table(&t, info.dsdt, "DSDT", 2, 36);
    fadt = check_table(&t, listed(&t, 0), "FACP", 5, 268);
    for (unsigned i = 36; i < 109; i++) {       /* no fixed hardware */
        g_assert_cmpuint(fadt[i], ==, 0);
    }
    g_assert_cmphex(rd(fadt + 109, 2), ==, 0x24);
    g_assert_cmphex(rd(fadt + 112, 4), ==, 0x00100430);
    g_assert_cmpmem(fadt + 116, 12, reset, 12);
    g_assert_cmphex(fadt[128], ==, 0x42);
    g_assert_cmphex(rd(fadt + 132, 8), ==, 0);
    g_assert_cmphex(rd(fadt + 140, 8), ==, info.dsdt);
    g_assert_cmpmem(fadt + 244, 12, sleep_control, 12);
    g_assert_cmpmem(fadt + 256, 12, sleep_status, 12);
    acpi_tables_cleanup(&t);
}

static void test_madt(void)
{
    static const uint32_t ids[] = { 0, 254, 255, 0x11f };
    static const AcpiIOAPIC ioapics[] = { { 0, 0xfec00000, 0 }, { 1, 0xfec10000, 24 } };
    static const uint8_t expected[] = {
        0x00, 0x00, 0xe0, 0xfe, 1, 0, 0, 0,
        0, 8, 0, 0, 1, 0, 0, 0,
        0, 8, 1, 254, 1, 0, 0, 0,
        9, 16, 0, 0, 0xff, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0,
        9, 16, 0, 0, 0x1f, 1, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0,
        1, 12, 0, 0, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0,
        1, 12, 1, 0, 0x00, 0x00, 0xc1, 0xfe, 24, 0, 0, 0,
        4, 6, 0xff, 0, 0, 1,
        10, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0,
    };
    AcpiMadtInfo info = {
        .apic_ids = ids, .nr_cpus = 4, .lapic_addr = 0xfee00000, .pcat_compat = true,
        .ioapics = ioapics, .nr_ioapics = 2,
    };
    AcpiTables t;
    const uint8_t *madt;

    acpi_tables_init(&t, BASE);
    acpi_build_madt(&t, &info);
    info.nr_cpus = 1;
    info.nr_ioapics = 1;
    info.pcat_compat = false;
    acpi_build_madt(&t, &info);
    acpi_tables_finish(&t);
    madt = check_table(&t, listed(&t, 0), "APIC", 3, 36 + sizeof(expected));
    g_assert_cmpmem(madt + 36, sizeof(expected), expected, sizeof(expected));
    madt = check_table(&t, listed(&t, 1), "APIC", 3, 36 + 8 + 8 + 12 + 6);
    g_assert_cmpuint(rd(madt + 40, 4), ==, 0);
    acpi_tables_cleanup(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/aml/integers", Fixture, NULL, set_up, test_integers, tear_down);
    g_test_add("/aml/paths", Fixture, NULL, set_up, test_paths, tear_down);
    g_test_add("/aml/lengths", Fixture, NULL, set_up, test_lengths, tear_down);
    g_test_add("/aml/blocks", Fixture, NULL, set_up, test_blocks, tear_down);
    g_test_add("/aml/resources", Fixture, NULL, set_up, test_resources, tear_down);
    g_test_add_func("/acpi/fadt", test_fadt);
    g_test_add_func("/acpi/madt", test_madt);
    return g_test_run();
}
