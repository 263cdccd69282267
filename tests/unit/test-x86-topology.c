/*
 * From -smp to APIC ids.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/i386/cpu-internal.h"

typedef struct Row {
    unsigned sockets, dies, cores, threads;
    unsigned index;
    uint32_t id;
} Row;

/* Worked out by hand from SDM 3A, 9.9.3.1: one field each, of whole bits. */
static const Row rows[] = {
    { 1, 1, 1, 1, 0, 0 },
    { 4, 1, 1, 1, 3, 3 },
    { 1, 1, 8, 1, 7, 7 },
    { 1, 1, 3, 1, 2, 2 },
    { 2, 1, 3, 1, 3, 4 },           /* a gap: three cores take two bits */
    { 2, 1, 3, 2, 6, 8 },
    { 2, 1, 3, 2, 11, 0xd },
    { 2, 1, 1, 3, 3, 4 },           /* three threads take two bits */
    { 1, 1, 4, 2, 5, 5 },
    { 1, 2, 2, 2, 7, 7 },
    { 1, 3, 2, 1, 5, 5 },
    { 2, 3, 2, 1, 6, 8 },           /* three dies take two bits */
    { 2, 3, 3, 3, 53, 1 << 6 | 2 << 4 | 2 << 2 | 2 },
    { 254, 1, 1, 1, 253, 253 },
    { 85, 1, 3, 1, 254, 84 << 2 | 2 },
    { 288, 1, 1, 1, 287, 287 },
    { 3, 1, 48, 2, 287, 2 << 7 | 47 << 1 | 1 },
};

static CpuTopology topology(const Row *r)
{
    unsigned n = r->sockets * r->dies * r->cores * r->threads;

    return (CpuTopology) {
        .cpus = n, .max_cpus = n, .sockets = r->sockets, .dies = r->dies,
        .cores = r->cores, .threads = r->threads,
    };
}

static void test_ids(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        CpuTopology smp = topology(&rows[i]);

        g_assert_cmphex(x86_apic_id_from_index(&smp, rows[i].index), ==, rows[i].id);
    }
}

/* Ids of one machine rise with the index, so none comes twice. */
static void test_rising(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        CpuTopology smp = topology(&rows[i]);

        for (unsigned n = 1; n < smp.max_cpus; n++) {
            g_assert_cmpuint(x86_apic_id_from_index(&smp, n), >,
                             x86_apic_id_from_index(&smp, n - 1));
        }
        g_assert_cmpuint(x86_apic_id_limit(&smp), ==,
                         x86_apic_id_from_index(&smp, smp.max_cpus - 1) + 1);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86-topology/ids", test_ids);
    g_test_add_func("/x86-topology/rising", test_rising);
    return g_test_run();
}
