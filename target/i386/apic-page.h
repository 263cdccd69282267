/*
 * State of a local APIC whose registers are elsewhere (KVM's), in the form of those that are ours:
 * what one has saved the other can load.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_APIC_PAGE_H
#define TARGET_I386_APIC_PAGE_H

#include "target/i386/apic-regs.h"
#include "target/i386/apic.h"

typedef struct APICPage {
    uint32_t regs[64];          /* by apic-regs.h's numbers */
    uint64_t base;              /* IA32_APIC_BASE */
    uint64_t tsc_deadline;      /* IA32_TSC_DEADLINE */
    bool wide;                  /* ids of 32 bits where the mode is x2APIC; else of 8, at the top */
} APICPage;

/* Fields of apic_state for the APIC with this id; the machine's clock stands still. */
void apic_page_save(uint32_t id, const APICPage *page, GByteArray *out);
/* And back. page: wide is there. False with errp set. */
bool apic_page_load(uint32_t id, APICPage *page, StateReader *in, Error **errp);

#endif
