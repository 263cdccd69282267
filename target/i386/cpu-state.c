/*
 * What a saved machine holds of a CPU: the architectural state, whoever runs it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "sysemu/cpus.h"
#include "target/i386/cpu.h"

#define MAX_XSAVE (1u << 20)

STATE_NOT(CPUX86State, put_level, "what the accelerator shall take");
STATE_NOT(CPUX86State, xsave_size, "with xsave_area");
STATE_NOT(CPUX86State, has_lapic, "a part of its own, of who has them");
STATE_NOT(CPUX86State, lapic, "a part of its own, of who has them");
STATE_NOT(X86CPU, cs, "threads, and whose turn it is");
STATE_NOT(X86CPU, apic_id, "of the machine's topology");
STATE_NOT(X86CPU, x2apic_at_reset, "of the machine's topology");
STATE_NOT(X86CPU, apic, "a part of its own");
STATE_NOT(X86CPU, cpuid, "of the command line: compared");

static const StateField segment_fields[] = {
    STATE_INT(SegmentCache, selector),
    STATE_INT(SegmentCache, attr),
    STATE_INT(SegmentCache, limit),
    STATE_INT(SegmentCache, base),
    STATE_END
};

static const StateField table_fields[] = {
    STATE_INT(DescriptorTable, base),
    STATE_INT(DescriptorTable, limit),
    STATE_END
};

static const StateField fpreg_fields[] = {
    STATE_INT(FPReg, mantissa),
    STATE_INT(FPReg, exponent),
    STATE_END
};

static void save_xsave(const void *field, const char *name, GByteArray *out)
{
    const CPUX86State *env = (const void *)((const char *)field - offsetof(CPUX86State,
                                                                           xsave_area));

    state_put_bytes(out, name, env->xsave_area, env->xsave_size);
}

static bool load_xsave(void *field, const char *name, StateReader *in, Error **errp)
{
    CPUX86State *env = (void *)((char *)field - offsetof(CPUX86State, xsave_area));
    const uint8_t *data;
    uint32_t len;

    if (!state_get_bytes(in, name, &data, &len, errp)) {
        return false;
    }
    if (len > MAX_XSAVE) {
        error_setg(errp, "XSAVE area of %u bytes", len);
        return false;
    }
    g_free(env->xsave_area);
    env->xsave_area = len ? g_memdup2(data, len) : NULL;
    env->xsave_size = len;
    return true;
}

static const StateInfo xsave_info = { .save = save_xsave, .load = load_xsave };

/* Up to 16 GHz. */
const StateField x86_clock_fields[] = {
    STATE_INT(X86Clock, kvmclock),
    STATE_MAX(X86Clock, tsc_khz, 16000000),
    STATE_BOOL(X86Clock, one_by_one),
    STATE_END
};

#define INT(f) STATE_INT(CPUX86State, f)
#define BOOL(f) STATE_BOOL(CPUX86State, f)

static const StateField env_fields[] = {
    STATE_ARRAY(CPUX86State, regs), INT(eip), INT(eflags),
    STATE_STRUCTS(CPUX86State, segs, segment_fields),
    STATE_STRUCT(CPUX86State, ldt, segment_fields),
    STATE_STRUCT(CPUX86State, tr, segment_fields),
    STATE_STRUCT(CPUX86State, gdt, table_fields),
    STATE_STRUCT(CPUX86State, idt, table_fields),
    STATE_ARRAY(CPUX86State, cr), INT(cr8), STATE_ARRAY(CPUX86State, dr),
    INT(xcr0), INT(efer), INT(apic_base),
    INT(star), INT(lstar), INT(cstar), INT(fmask), INT(kernel_gs_base),
    INT(sysenter_cs), INT(sysenter_esp), INT(sysenter_eip), INT(pat),
    INT(tsc), INT(tsc_clock), INT(tsc_adjust), INT(tsc_aux), INT(tsc_deadline),
    INT(misc_enable), INT(spec_ctrl), INT(mtrr_deftype),
    STATE_ARRAY(CPUX86State, mtrr_fixed), STATE_BYTES(CPUX86State, mtrr_var),
    INT(wall_clock_msr), INT(system_time_msr), INT(async_pf_en_msr), INT(async_pf_int_msr),
    INT(steal_time_msr), INT(pv_eoi_en_msr), INT(poll_control_msr),
    STATE_STRUCTS(CPUX86State, fpregs, fpreg_fields),
    INT(fpuc), INT(fpus), INT(fptag), INT(fpop), INT(fpcs), INT(fpds), INT(fpip), INT(fpdp),
    INT(mxcsr), STATE_BYTES(CPUX86State, xmm),
    STATE_CUSTOM(CPUX86State, xsave_area, xsave_info),
    STATE_MAX(CPUX86State, mp_state, X86_MP_HALTED), INT(sipi_vector),
    INT(exception_pending), INT(exception_injected), INT(exception_nr), BOOL(has_error_code),
    INT(error_code), BOOL(exception_has_payload),
    INT(interrupt_injected), INT(interrupt_nr), BOOL(interrupt_soft), INT(interrupt_shadow),
    STATE_MAX(CPUX86State, nmi_pending, 2), BOOL(nmi_injected), BOOL(nmi_masked),
    BOOL(init_pending), BOOL(has_sipi), BOOL(pv_unhalted),
    STATE_END
};

static const StateField cpu_fields[] = {
    STATE_STRUCT(X86CPU, env, env_fields),
    STATE_END
};

static void cpu_pre_save(void *obj)
{
    cpu_synchronize_state(obj);
}

static bool cpu_post_load(void *obj, Error **errp)
{
    X86CPU *cpu = obj;

    cpu->env.put_level = X86_PUT_LOADED;
    cpu_set_dirty(&cpu->cs);
    return true;
}

const StateDesc x86_cpu_state = {
    .name = "cpu",
    .version = 1,
    .fields = cpu_fields,
    .pre_save = cpu_pre_save,
    .post_load = cpu_post_load,
};
