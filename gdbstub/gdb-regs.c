/*
 * A CPU's registers as gdb sees them: one row each.
 *
 * Names and groups are those of gdb's manual, "i386 Features".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "gdbstub/gdb-regs.h"

#include <string.h>

typedef enum GdbRegKind {
    GDB_REG_GPR, GDB_REG_RIP, GDB_REG_EFLAGS, GDB_REG_SEG, GDB_REG_ST, GDB_REG_FPU,
    GDB_REG_XMM, GDB_REG_YMMH, GDB_REG_MXCSR, GDB_REG_BASE, GDB_REG_CR, GDB_REG_EFER,
    GDB_REG_KERNEL_GS,
} GdbRegKind;

/* Without pointers, for the loader to have nothing to do with so many rows. */
typedef struct GdbReg {
    char name[10];
    char type[9];
    uint8_t bits;
    uint8_t kind;
    uint8_t index;
} GdbReg;

#define GPR(n, i) { n, "int64", 64, GDB_REG_GPR, i }
#define SEG(n, i) { n, "int32", 32, GDB_REG_SEG, i }
#define ST(n, i) { n, "i387_ext", 80, GDB_REG_ST, i }
#define FPU(n, i) { n, "int", 32, GDB_REG_FPU, i }
#define CR(n, i) { n, "int64", 64, GDB_REG_CR, i }
#define XMM(n, i) { n, "vec128", 128, GDB_REG_XMM, i }
#define YMMH(n, i) { n, "uint128", 128, GDB_REG_YMMH, i }

static const GdbReg core_regs[] = {
    GPR("rax", R_EAX), GPR("rbx", R_EBX), GPR("rcx", R_ECX), GPR("rdx", R_EDX),
    GPR("rsi", R_ESI), GPR("rdi", R_EDI), GPR("rbp", R_EBP), GPR("rsp", R_ESP),
    GPR("r8", R_R8), GPR("r9", R_R9), GPR("r10", R_R10), GPR("r11", R_R11),
    GPR("r12", R_R12), GPR("r13", R_R13), GPR("r14", R_R14), GPR("r15", R_R15),
    { "rip", "code_ptr", 64, GDB_REG_RIP, 0 },
    { "eflags", "int32", 32, GDB_REG_EFLAGS, 0 },
    SEG("cs", R_CS), SEG("ss", R_SS), SEG("ds", R_DS), SEG("es", R_ES), SEG("fs", R_FS),
    SEG("gs", R_GS),
    ST("st0", 0), ST("st1", 1), ST("st2", 2), ST("st3", 3), ST("st4", 4), ST("st5", 5),
    ST("st6", 6), ST("st7", 7),
    FPU("fctrl", 0), FPU("fstat", 1), FPU("ftag", 2), FPU("fiseg", 3), FPU("fioff", 4),
    FPU("foseg", 5), FPU("fooff", 6), FPU("fop", 7),
};

static const GdbReg sse_regs[] = {
    XMM("xmm0", 0), XMM("xmm1", 1), XMM("xmm2", 2), XMM("xmm3", 3), XMM("xmm4", 4),
    XMM("xmm5", 5), XMM("xmm6", 6), XMM("xmm7", 7), XMM("xmm8", 8), XMM("xmm9", 9),
    XMM("xmm10", 10), XMM("xmm11", 11), XMM("xmm12", 12), XMM("xmm13", 13),
    XMM("xmm14", 14), XMM("xmm15", 15), { "mxcsr", "int32", 32, GDB_REG_MXCSR, 0 },
};

/* Upper halves: 0 where there are none. */
static const GdbReg avx_regs[] = {
    YMMH("ymm0h", 0), YMMH("ymm1h", 1), YMMH("ymm2h", 2), YMMH("ymm3h", 3), YMMH("ymm4h", 4),
    YMMH("ymm5h", 5), YMMH("ymm6h", 6), YMMH("ymm7h", 7), YMMH("ymm8h", 8), YMMH("ymm9h", 9),
    YMMH("ymm10h", 10), YMMH("ymm11h", 11), YMMH("ymm12h", 12), YMMH("ymm13h", 13),
    YMMH("ymm14h", 14), YMMH("ymm15h", 15),
};

static const GdbReg base_regs[] = {
    { "fs_base", "int64", 64, GDB_REG_BASE, R_FS }, { "gs_base", "int64", 64, GDB_REG_BASE, R_GS },
};

/* What gdb has no group for; not in its "g" packets, and only to be looked at. */
static const GdbReg system_regs[] = {
    CR("cr0", 0), CR("cr2", 2), CR("cr3", 3), CR("cr4", 4), CR("cr8", 8),
    { "efer", "int64", 64, GDB_REG_EFER, 0 },
    { "k_gs_base", "int64", 64, GDB_REG_KERNEL_GS, 0 },
};

static const struct {
    const char *name;
    const GdbReg *regs;
    unsigned n;
} features[] = {
    { "org.gnu.gdb.i386.core", core_regs, G_N_ELEMENTS(core_regs) },
    { "org.gnu.gdb.i386.sse", sse_regs, G_N_ELEMENTS(sse_regs) },
    { "org.gnu.gdb.i386.avx", avx_regs, G_N_ELEMENTS(avx_regs) },
    { "org.gnu.gdb.i386.segments", base_regs, G_N_ELEMENTS(base_regs) },
    { "org.microvm.i386.system", system_regs, G_N_ELEMENTS(system_regs) },
};

static const GdbReg *find_reg(unsigned n)
{
    for (unsigned f = 0; f < G_N_ELEMENTS(features); f++) {
        if (n < features[f].n) {
            return &features[f].regs[n];
        }
        n -= features[f].n;
    }
    g_assert_not_reached();
}

unsigned gdb_num_regs(void)
{
    unsigned n = 0;

    for (unsigned f = 0; f < G_N_ELEMENTS(features); f++) {
        n += features[f].n;
    }
    return n;
}

unsigned gdb_num_general_regs(void)
{
    return gdb_num_regs() - G_N_ELEMENTS(system_regs);
}

unsigned gdb_reg_size(unsigned n)
{
    return find_reg(n)->bits / 8;
}

char *gdb_target_xml(void)
{
    GString *s = g_string_new("<?xml version=\"1.0\"?>\n"
                              "<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target>\n"
                              "<architecture>i386:x86-64</architecture>\n");

    for (unsigned f = 0; f < G_N_ELEMENTS(features); f++) {
        g_string_append_printf(s, "<feature name=\"%s\">\n", features[f].name);
        if (features[f].regs == sse_regs) {
            g_string_append(s, "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>\n"
                            "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>\n"
                            "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>\n"
                            "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
                            "<field name=\"v16_int8\" type=\"v16i8\"/>"
                            "<field name=\"v2_int64\" type=\"v2i64\"/></union>\n");
        }
        for (unsigned i = 0; i < features[f].n; i++) {
            const GdbReg *r = &features[f].regs[i];

            g_string_append_printf(s, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"%s/>\n",
                                   r->name, r->bits, r->type,
                                   features[f].regs == system_regs ? " group=\"system\"" : "");
        }
        g_string_append(s, "</feature>\n");
    }
    g_string_append(s, "</target>\n");
    return g_string_free(s, FALSE);
}

/* The tag word in its full form: two bits a register, by what it holds. */
static uint32_t full_tag_word(const CPUX86State *env)
{
    uint32_t tags = 0;

    for (unsigned i = 0; i < 8; i++) {
        const FPReg *r = &env->fpregs[i];
        unsigned exp = r->exponent & 0x7fff;
        unsigned tag = !(env->fptag & 1 << i) ? 3 :
            exp == 0x7fff || (exp == 0 && r->mantissa) ||
            (exp && !(r->mantissa >> 63)) ? 2 : !exp && !r->mantissa ? 1 : 0;

        tags |= tag << (i * 2);
    }
    return tags;
}

static uint32_t fpu_value(const CPUX86State *env, unsigned index)
{
    switch (index) {
    case 0:
        return env->fpuc;
    case 1:
        return env->fpus;
    case 2:
        return full_tag_word(env);
    case 4:
        return env->fpip;
    case 6:
        return env->fpdp;
    case 7:
        return env->fpop;
    default:
        return 0;       /* the selectors, which long mode does not keep */
    }
}

static const FPReg *st_reg(const CPUX86State *env, unsigned i)
{
    return &env->fpregs[((env->fpus >> 11) + i) & 7];
}

/* The upper half of a YMM register in XSAVE's standard form (SDM 1, 13.4), or NULL. */
static uint8_t *ymm_upper(const CPUX86State *env, unsigned i)
{
    return env->xsave_size < 576 + 256 ? NULL : (uint8_t *)env->xsave_area + 576 + 16 * i;
}

static void write_ymm_upper(const CPUX86State *env, unsigned i, const uint8_t *buf)
{
    uint8_t *upper = ymm_upper(env, i);

    if (upper) {
        memcpy(upper, buf, 16);
        *((uint8_t *)env->xsave_area + 512) |= XCR0_AVX;    /* not in its initial state */
    }
}

void gdb_read_reg(const CPUX86State *env, unsigned n, uint8_t *buf)
{
    const GdbReg *r = find_reg(n);
    uint64_t value = 0;

    switch (r->kind) {
    case GDB_REG_GPR:
        value = env->regs[r->index];
        break;
    case GDB_REG_RIP:
        value = env->eip;
        break;
    case GDB_REG_EFLAGS:
        value = env->eflags;
        break;
    case GDB_REG_SEG:
        value = env->segs[r->index].selector;
        break;
    case GDB_REG_BASE:
        value = env->segs[r->index].base;
        break;
    case GDB_REG_CR:
        value = r->index == 8 ? env->cr8 : env->cr[r->index];
        break;
    case GDB_REG_EFER:
        value = env->efer;
        break;
    case GDB_REG_KERNEL_GS:
        value = env->kernel_gs_base;
        break;
    case GDB_REG_MXCSR:
        value = env->mxcsr;
        break;
    case GDB_REG_FPU:
        value = fpu_value(env, r->index);
        break;
    case GDB_REG_XMM:
        memcpy(buf, env->xmm[r->index].b, 16);
        return;
    case GDB_REG_YMMH:
        memset(buf, 0, 16);
        if (ymm_upper(env, r->index)) {
            memcpy(buf, ymm_upper(env, r->index), 16);
        }
        return;
    case GDB_REG_ST:
        memcpy(buf, &st_reg(env, r->index)->mantissa, 8);
        memcpy(buf + 8, &st_reg(env, r->index)->exponent, 2);
        return;
    }
    memcpy(buf, &value, r->bits / 8);
}

void gdb_write_reg(CPUX86State *env, unsigned n, const uint8_t *buf)
{
    const GdbReg *r = find_reg(n);
    uint64_t value = 0;

    memcpy(&value, buf, MIN(r->bits / 8u, 8u));
    switch (r->kind) {
    case GDB_REG_GPR:
        env->regs[r->index] = value;
        break;
    case GDB_REG_RIP:
        env->eip = value;
        break;
    case GDB_REG_EFLAGS:
        env->eflags = value | 2;
        break;
    case GDB_REG_BASE:
        env->segs[r->index].base = value;
        break;
    case GDB_REG_XMM:
        memcpy(env->xmm[r->index].b, buf, 16);
        break;
    case GDB_REG_YMMH:
        write_ymm_upper(env, r->index, buf);
        break;
    default:
        break;
    }
}
