/*
 * Writing ACPI Machine Language (ACPI 6.5, chapter 20) and resource descriptors (6.4).
 *
 * A stream: each call appends what it names, operators stand before their operands, and what
 * has a length is opened by an aml_begin_…() and closed by aml_end(). So
 *
 *     aml_begin_device(aml, "COM1");
 *     aml_name(aml, "_HID");
 *     aml_eisa_id(aml, "PNP0501");
 *     aml_name(aml, "_CRS");
 *     aml_begin_resources(aml);
 *     aml_res_io(aml, 0x3f8, 8, 0);
 *     aml_end(aml);
 *     aml_end(aml);
 *
 * is Device (COM1) { Name (_HID, EisaId ("PNP0501")) Name (_CRS, ResourceTemplate () { … }) }.
 * Misuse (an end without a begin, a malformed name) is our own bug and asserted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_ACPI_AML_H
#define HW_ACPI_AML_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define AML_MAX_DEPTH 8

typedef struct AmlBlock {
    guint start;                /* where its PkgLength belongs */
    bool resources;
} AmlBlock;

typedef struct Aml Aml;         /* as hw/qdev.h has it */
struct Aml {
    GByteArray *buf;            /* not owned */
    unsigned depth;
    AmlBlock open[AML_MAX_DEPTH];
};

/* Append to buf, which may hold other things before. */
void aml_init(Aml *aml, GByteArray *buf);

/* Blocks; aml_end() closes the one that was opened last -------------------- */

void aml_begin_scope(Aml *aml, const char *path);       /* 20.2.5.1 DefScope */
void aml_begin_device(Aml *aml, const char *name);      /* 20.2.5.2 DefDevice */
void aml_begin_method(Aml *aml, const char *name, unsigned nr_args,
                      bool serialized);                 /* 20.2.5.2 DefMethod */
void aml_begin_if(Aml *aml);        /* 20.2.5.3 DefIfElse; the predicate follows */
void aml_begin_package(Aml *aml, unsigned nr_elements); /* 20.2.5.4 DefPackage */
void aml_begin_resources(Aml *aml); /* 20.2.5.4 DefBuffer of 6.4 descriptors, and an End Tag */
void aml_end(Aml *aml);

/* Objects ------------------------------------------------------------------ */

/* 20.2.5.1 DefName; the value follows. */
void aml_name(Aml *aml, const char *name);
/* 20.2.3: in the shortest form. */
void aml_integer(Aml *aml, uint64_t value);
/* 20.2.3: ASCII. */
void aml_string(Aml *aml, const char *text);
/* A "PNP0501" as the integer that EISAID() makes of it (19.6.37). */
void aml_eisa_id(Aml *aml, const char *id);
/*
 * 20.2.2 NameString: segments of up to four characters, "\" first for the root, "."
 * between them.
 */
void aml_path(Aml *aml, const char *path);
void aml_local(Aml *aml, unsigned n);                   /* 20.2.6.2 */

/* 20.2.5.3, 20.2.5.4: operands follow. */
typedef enum AmlOp {
    AML_STORE = 0x70,           /* value, target */
    AML_AND = 0x7b,             /* operand, operand, target (an integer 0: none) */
    AML_NOTIFY = 0x86,          /* object, value */
} AmlOp;
void aml_op(Aml *aml, AmlOp op);

/*
 * 20.2.5.2 DefOpRegion in system memory, and a DefField of one field from its start:
 * accessed in 32 bits, without a lock, other bits written as zeros.
 */
void aml_memory_region(Aml *aml, const char *name, uint64_t addr, uint64_t size);
void aml_dword_field(Aml *aml, const char *region, const char *field, unsigned bits);

/* Resource descriptors, within aml_begin_resources() ----------------------- */

/* 6.4.2.1: edge-triggered, active high, not shared. */
void aml_res_irq(Aml *aml, unsigned irq);
/* 6.4.2.5: size ports at port, all 16 address bits decoded; align 0 or 1: it cannot move. */
void aml_res_io(Aml *aml, uint16_t port, uint8_t size, uint8_t align);
/* 6.4.3.4: read and write. */
void aml_res_memory32(Aml *aml, uint32_t addr, uint32_t size);
/* 6.4.3.6: one global system interrupt, edge-triggered, active high, not shared. */
void aml_res_interrupt(Aml *aml, uint32_t gsi);

#endif
