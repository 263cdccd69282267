/*
 * The MP tables, field by field and as an independent parser reads them.
 *
 * Offsets and values are written out from the specification here, so that a
 * mistake in the structure definitions is found too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "hw/i386/microvm.h"
#include "hw/i386/mptable.h"

#define MAX_TABLE 8192

static uint16_t rd16(const uint8_t *p)
{
    return p[0] | p[1] << 8;
}

static uint32_t rd32(const uint8_t *p)
{
    return rd16(p) | (uint32_t)rd16(p + 2) << 16;
}

static uint8_t byte_sum(const uint8_t *p, size_t len)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < len; i++) {
        sum += p[i];
    }
    return sum;
}

static MPTableInfo default_info(const uint8_t *ids, uint32_t n)
{
    return (MPTableInfo) {
        .nr_cpus = n,
        .apic_ids = ids,
        .ioapic_id = 0xfe,
        .ioapic_addr = 0xfec00000,
        .lapic_addr = 0xfee00000,
        .cpu_signature = 0x00800f12,
        .cpu_features = 0x178bfbff,
        .pic = true,
        .nr_gsis = 16,
        .gsi_mask = 0xffff,
    };
}

static void test_floating(void)
{
    uint8_t fp[MPTABLE_FLOATING_SIZE];

    memset(fp, 0xaa, sizeof(fp));
    mptable_generate_floating(0x0009e000, fp);
    g_assert_cmpmem(fp, 4, "_MP_", 4);
    g_assert_cmphex(rd32(fp + 4), ==, 0x9e000);
    g_assert_cmpuint(fp[8], ==, 1);
    g_assert_cmpuint(fp[9], ==, 4);
    g_assert_cmpuint(byte_sum(fp, 16), ==, 0);
    for (int i = 11; i < 16; i++) {
        g_assert_cmpuint(fp[i], ==, 0);
    }
}

static void test_fields(void)
{
    static const uint8_t ids[] = { 0, 1 };
    MPTableInfo info = default_info(ids, 2);
    uint8_t buf[MAX_TABLE];
    size_t len = 44 + 2 * 20 + 8 + 8 + 16 * 8 + 2 * 8;
    const uint8_t *p = buf + 44;

    g_assert_cmpuint(mptable_size(&info), ==, len);
    g_assert_cmpuint(mptable_generate(&info, buf, sizeof(buf)), ==, len);

    g_assert_cmpmem(buf, 4, "PCMP", 4);
    g_assert_cmpuint(rd16(buf + 4), ==, len);
    g_assert_cmpuint(buf[6], ==, 4);
    g_assert_cmpuint(byte_sum(buf, len), ==, 0);
    g_assert_cmpmem(buf + 8, 20, "QEMU    microvm     ", 20);
    g_assert_cmphex(rd32(buf + 28), ==, 0);
    g_assert_cmpuint(rd16(buf + 32), ==, 0);
    g_assert_cmpuint(rd16(buf + 34), ==, 2 + 1 + 1 + 16 + 2);
    g_assert_cmphex(rd32(buf + 36), ==, 0xfee00000);
    g_assert_cmphex(rd32(buf + 40), ==, 0);

    static const uint8_t cpus[] = {
        0, 0, 0x14, 3, 0x12, 0x0f, 0x80, 0, 0xff, 0xfb, 0x8b, 0x17,
        0, 0, 0, 0, 0, 0, 0, 0,
        0, 1, 0x14, 1, 0x12, 0x0f, 0x80, 0, 0xff, 0xfb, 0x8b, 0x17,
        0, 0, 0, 0, 0, 0, 0, 0,
    };
    g_assert_cmpmem(p, 40, cpus, 40);
    p += 40;
    g_assert_cmpmem(p, 8, "\x01\x00ISA   ", 8);
    p += 8;
    g_assert_cmpmem(p, 8, "\x02\xfe\x11\x01\x00\x00\xc0\xfe", 8);
    p += 8;
    for (int i = 0; i < 16; i++, p += 8) {
        const uint8_t irq[] = { 3, 0, 0, 0, 0, i, 0xfe, i };

        g_assert_cmpmem(p, 8, irq, 8);
    }
    g_assert_cmpmem(p, 8, "\x04\x03\x00\x00\x00\x00\x00\x00", 8);
    g_assert_cmpmem(p + 8, 8, "\x04\x01\x00\x00\x00\x00\xff\x01", 8);
}

/* What the parser below found. */
typedef struct Parsed {
    unsigned cpus, bsps, buses, ioapics, io_ints, local_ints;
    uint8_t ioapic_id;
    bool apic_seen[256];
    int pin_of_irq[256];        /* -1: no entry */
} Parsed;

static void parse_entry(Parsed *out, const uint8_t *p)
{
    switch (p[0]) {
    case 0:
        g_assert_true(p[3] & 1);
        out->cpus++;
        out->bsps += p[3] >> 1 & 1;
        g_assert_false(out->apic_seen[p[1]]);
        out->apic_seen[p[1]] = true;
        break;
    case 1:
        out->buses++;
        break;
    case 2:
        out->ioapics++;
        out->ioapic_id = p[1];
        break;
    case 3:
        out->io_ints++;
        g_assert_cmpuint(p[6], ==, out->ioapic_id);
        out->pin_of_irq[p[5]] = p[7];
        break;
    case 4:
        out->local_ints++;
        break;
    default:
        g_assert_not_reached();
    }
}

/* Walk as an operating system does: by entry type, up to the entry count. */
static void parse(const uint8_t *table, size_t avail, Parsed *out)
{
    static const size_t sizes[] = { 20, 8, 8, 8, 8 };
    unsigned count = rd16(table + 34);
    size_t pos = 44;
    uint8_t last_type = 0;

    memset(out, 0, sizeof(*out));
    memset(out->pin_of_irq, 0xff, sizeof(out->pin_of_irq));
    g_assert_cmpuint(rd16(table + 4), <=, avail);
    g_assert_cmpuint(byte_sum(table, rd16(table + 4)), ==, 0);
    for (unsigned i = 0; i < count; i++) {
        uint8_t type = table[pos];

        g_assert_cmpuint(type, <, G_N_ELEMENTS(sizes));
        g_assert_cmpuint(type, >=, last_type);
        last_type = type;
        parse_entry(out, table + pos);
        pos += sizes[type];
        g_assert_cmpuint(pos, <=, rd16(table + 4));
    }
    g_assert_cmpuint(pos, ==, rd16(table + 4));
}

static void test_parse_all_sizes(void)
{
    uint8_t ids[MPTABLE_MAX_CPUS];
    uint8_t buf[MAX_TABLE];
    Parsed parsed;

    for (unsigned i = 0; i < G_N_ELEMENTS(ids); i++) {
        ids[i] = i;
    }
    for (unsigned n = 1; n <= MPTABLE_MAX_CPUS; n++) {
        MPTableInfo info = default_info(ids, n);
        size_t len = mptable_size(&info);

        memset(buf, 0xcc, sizeof(buf));
        g_assert_cmpuint(len, <=, MPTABLE_MAX_SIZE);
        g_assert_cmpuint(mptable_generate(&info, buf, len), ==, len);
        g_assert_cmphex(buf[len], ==, 0xcc);
        parse(buf, len, &parsed);
        g_assert_cmpuint(parsed.cpus, ==, n);
        g_assert_cmpuint(parsed.bsps, ==, 1);
        g_assert_cmpuint(parsed.buses, ==, 1);
        g_assert_cmpuint(parsed.ioapics, ==, 1);
        g_assert_cmpuint(parsed.io_ints, ==, 16);
        g_assert_cmpuint(parsed.local_ints, ==, 2);
    }
}

static void test_sparse_ids(void)
{
    static const uint8_t ids[] = { 0, 1, 4, 5, 64, 253 };
    MPTableInfo info = default_info(ids, G_N_ELEMENTS(ids));
    uint8_t buf[MAX_TABLE];
    Parsed parsed;

    parse(buf, mptable_generate(&info, buf, sizeof(buf)), &parsed);
    for (unsigned i = 0; i < 256; i++) {
        g_assert_cmpint(parsed.apic_seen[i], ==,
                        memchr(ids, i, sizeof(ids)) != NULL);
    }
}

static void test_lines(void)
{
    static const uint8_t ids[] = { 0 };
    MPTableInfo info = default_info(ids, 1);
    uint8_t buf[MAX_TABLE];
    Parsed parsed;

    info.nr_gsis = 24;
    info.gsi_mask = 0xfffffb;   /* no cascade */
    info.irq0_pin = 2;
    info.pic = false;
    parse(buf, mptable_generate(&info, buf, sizeof(buf)), &parsed);
    g_assert_cmpuint(parsed.io_ints, ==, 23);
    g_assert_cmpuint(parsed.local_ints, ==, 1);
    g_assert_cmpint(parsed.pin_of_irq[0], ==, 2);
    g_assert_cmpint(parsed.pin_of_irq[2], ==, -1);
    for (int i = 3; i < 24; i++) {
        g_assert_cmpint(parsed.pin_of_irq[i], ==, i);
    }
}

/* A mask bit past the wired lines gives no entry; no room gives no table. */
static void test_limits(void)
{
    static const uint8_t ids[] = { 0 };
    MPTableInfo info = default_info(ids, 1);
    uint8_t buf[MAX_TABLE];
    Parsed parsed;

    info.gsi_mask = 0xffffffff;
    parse(buf, mptable_generate(&info, buf, sizeof(buf)), &parsed);
    g_assert_cmpuint(parsed.io_ints, ==, 16);

    memset(buf, 0xcc, sizeof(buf));
    for (size_t len = 0; len < mptable_size(&info); len++) {
        g_assert_cmpuint(mptable_generate(&info, buf, len), ==, 0);
    }
    g_assert_cmphex(buf[0], ==, 0xcc);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mptable/floating", test_floating);
    g_test_add_func("/mptable/fields", test_fields);
    g_test_add_func("/mptable/all-sizes", test_parse_all_sizes);
    g_test_add_func("/mptable/sparse-apic-ids", test_sparse_ids);
    g_test_add_func("/mptable/lines", test_lines);
    g_test_add_func("/mptable/limits", test_limits);
    return g_test_run();
}
