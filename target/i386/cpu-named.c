/*
 * Models of processors that can be bought, by QEMU 7.2's names: what they have.
 *
 * Facts about processors in the notation of -cpu; QEMU tells them by query-cpu-model-expansion.
 * What all models get on top where it is there (OPTIONAL_FEATURES) is not in the rows, nor is what
 * goes with VMX.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <string.h>

#include "target/i386/cpu-named.h"

/*
 * A row: name, another name, vendor (Intel, AMD, Hygon), family, model, stepping, what it calls
 * itself, an earlier row, and what it has more or (-) less than that one. One text, for a table
 * of pointers would have to be relocated at each start.
 */
static const char rows[] =
    "Opteron_G1-v1||A|15|6|1|"
    "AMD Opteron 240 (Gen 1 Class Opteron)||"
    "fpu de pse tsc msr pae cx8 apic sep pge cmov pat clflush mmx fxsr sse sse2 pni "
    "syscall nx lm\n"
    "kvm64-v1||I|15|6|1|"
    "Common KVM processor|Opteron_G1-v1|"
    "cx16\n"
    "Conroe-v1||I|6|15|3|"
    "Intel Celeron_4x0 (Conroe/Merom Class Core 2)|Opteron_G1-v1|"
    "ssse3 lahf-lm\n"
    "Opteron_G2-v1||A|15|6|1|"
    "AMD Opteron 22xx (Gen 2 Class Opteron)|kvm64-v1|"
    "lahf-lm svm\n"
    "qemu64-v1||A|15|107|1|"
    "QEMU Virtual CPU version 2.5+|Opteron_G2-v1|\n"
    "Penryn-v1||I|6|23|3|"
    "Intel Core 2 Duo P9xxx (Penryn Class Core 2)|Conroe-v1|"
    "cx16 sse4.1\n"
    "Nehalem-v1||I|6|26|3|"
    "Intel Core i7 9xx (Nehalem Class Core i7)|Penryn-v1|"
    "sse4.2 popcnt\n"
    "Nehalem-v2|Nehalem-IBRS|I|6|26|3|"
    "Intel Core i7 9xx (Nehalem Core i7, IBRS update)|Nehalem-v1|"
    "spec-ctrl\n"
    "core2duo-v1||I|6|15|11|"
    "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz|Conroe-v1|"
    "acpi ss monitor cx16\n"
    "Westmere-v1||I|6|44|1|"
    "Westmere E56xx/L56xx/X56xx (Nehalem-C)|Nehalem-v1|"
    "pclmulqdq aes\n"
    "Westmere-v2|Westmere-IBRS|I|6|44|1|"
    "Westmere E56xx/L56xx/X56xx (IBRS update)|Westmere-v1|"
    "spec-ctrl\n"
    "Opteron_G3-v1||A|16|2|3|"
    "AMD Opteron 23xx (Gen 3 Class Opteron)|qemu64-v1|"
    "monitor popcnt rdtscp abm sse4a misalignsse\n"
    "SandyBridge-v1||I|6|42|1|"
    "Intel Xeon E312xx (Sandy Bridge)|Westmere-v1|"
    "tsc-deadline xsave avx rdtscp xsaveopt\n"
    "SandyBridge-v2|SandyBridge-IBRS|I|6|42|1|"
    "Intel Xeon E312xx (Sandy Bridge, IBRS update)|SandyBridge-v1|"
    "spec-ctrl\n"
    "phenom-v1||A|16|2|3|"
    "AMD Phenom(tm) 9550 Quad-Core Processor|Opteron_G3-v1|"
    "mmxext fxsr-opt pdpe1gb 3dnowext 3dnow npt -misalignsse\n"
    "IvyBridge-v1||I|6|58|9|"
    "Intel Xeon E3-12xx v2 (Ivy Bridge)|SandyBridge-v1|"
    "f16c rdrand fsgsbase smep erms\n"
    "IvyBridge-v2|IvyBridge-IBRS|I|6|58|9|"
    "Intel Xeon E3-12xx v2 (Ivy Bridge, IBRS)|IvyBridge-v1|"
    "spec-ctrl\n"
    "Opteron_G4-v1||A|21|1|2|"
    "AMD Opteron 62xx class CPU|Westmere-v1|"
    "xsave avx pdpe1gb rdtscp svm abm sse4a misalignsse 3dnowprefetch xop fma4 npt "
    "nrip-save\n"
    "Opteron_G5-v1||A|21|2|0|"
    "AMD Opteron 63xx class CPU|Opteron_G4-v1|"
    "fma f16c tbm\n"
    "Haswell-v1||I|6|60|4|"
    "Intel Core Processor (Haswell)|IvyBridge-v1|"
    "fma pcid movbe bmi1 hle avx2 bmi2 invpcid rtm abm\n"
    "Haswell-v2|Haswell-noTSX|I|6|60|1|"
    "Intel Core Processor (Haswell, no TSX)|Haswell-v1|"
    "-hle -rtm\n"
    "Haswell-v3|Haswell-IBRS|I|6|60|4|"
    "Intel Core Processor (Haswell, IBRS)|Haswell-v1|"
    "spec-ctrl\n"
    "Haswell-v4|Haswell-noTSX-IBRS|I|6|60|1|"
    "Intel Core Processor (Haswell, no TSX, IBRS)|Haswell-v2|"
    "spec-ctrl\n"
    "Broadwell-v1||I|6|61|2|"
    "Intel Core Processor (Broadwell)|Haswell-v1|"
    "rdseed adx smap 3dnowprefetch\n"
    "Broadwell-v2|Broadwell-noTSX|I|6|61|2|"
    "Intel Core Processor (Broadwell, no TSX)|Broadwell-v1|"
    "-hle -rtm\n"
    "Broadwell-v3|Broadwell-IBRS|I|6|61|2|"
    "Intel Core Processor (Broadwell, IBRS)|Broadwell-v1|"
    "spec-ctrl\n"
    "Broadwell-v4|Broadwell-noTSX-IBRS|I|6|61|2|"
    "Intel Core Processor (Broadwell, no TSX, IBRS)|Broadwell-v2|"
    "spec-ctrl\n"
    "Denverton-v1||I|6|95|1|"
    "Intel Atom Processor (Denverton)|IvyBridge-v2|"
    "monitor movbe mpx rdseed smap clflushopt sha-ni arch-capabilities ssbd pdpe1gb "
    "3dnowprefetch xsavec xgetbv1 rdctl-no skip-l1dfl-vmentry -avx -f16c\n"
    "Denverton-v2||I|6|95|1|"
    "Intel Atom Processor (Denverton)|Denverton-v1|"
    "-monitor -mpx\n"
    "Denverton-v3||I|6|95|1|"
    "Intel Atom Processor (Denverton)|Denverton-v2|"
    "xsaves\n"
    "Skylake-Client-v1||I|6|94|3|"
    "Intel Core Processor (Skylake)|Broadwell-v1|"
    "xsavec xgetbv1\n"
    "Skylake-Client-v2|Skylake-Client-IBRS|I|6|94|3|"
    "Intel Core Processor (Skylake, IBRS)|Broadwell-v3|"
    "xsavec xgetbv1\n"
    "Skylake-Client-v3|Skylake-Client-noTSX-IBRS|I|6|94|3|"
    "Intel Core Processor (Skylake, IBRS, no TSX)|Broadwell-v4|"
    "xsavec xgetbv1\n"
    "Skylake-Client-v4||I|6|94|3|"
    "Intel Core Processor (Skylake, IBRS, no TSX)|Skylake-Client-v3|"
    "xsaves\n"
    "KnightsMill-v1||I|6|133|0|"
    "Intel Xeon Phi Processor (Knights Mill)|Broadwell-v2|"
    "ss avx512f avx512pf avx512er avx512cd avx512-vpopcntdq avx512-4vnniw avx512-4fmaps "
    "pdpe1gb -pcid -invpcid -smap\n"
    "Snowridge-v1||I|6|134|1|"
    "Intel Atom Processor (SnowRidge)|Denverton-v1|"
    "clwb umip gfni cldemote movdiri movdir64b core-capability split-lock-detect "
    "-rdctl-no -skip-l1dfl-vmentry\n"
    "Snowridge-v2||I|6|134|1|"
    "Intel Atom Processor (Snowridge, no MPX)|Snowridge-v1|"
    "-mpx\n"
    "Snowridge-v3||I|6|134|1|"
    "Intel Atom Processor (Snowridge, no MPX)|Snowridge-v2|"
    "xsaves\n"
    "Snowridge-v4||I|6|134|1|"
    "Intel Atom Processor (Snowridge, no MPX)|Snowridge-v3|"
    "-core-capability -split-lock-detect\n"
    "Dhyana-v1||H|24|0|1|"
    "Hygon Dhyana Processor|Broadwell-v2|"
    "monitor clflushopt mmxext fxsr-opt pdpe1gb svm cr8legacy sse4a misalignsse osvw "
    "topoext ibpb npt nrip-save xsavec xgetbv1 -pclmulqdq -pcid -tsc-deadline -aes -erms "
    "-invpcid\n"
    "Dhyana-v2||H|24|0|1|"
    "Hygon Dhyana Processor|Dhyana-v1|"
    "xsaves\n"
    "Skylake-Server-v1||I|6|85|4|"
    "Intel Xeon Processor (Skylake)|Skylake-Client-v1|"
    "avx512f avx512dq clflushopt clwb avx512cd avx512bw avx512vl pku pdpe1gb\n"
    "Skylake-Server-v2|Skylake-Server-IBRS|I|6|85|4|"
    "Intel Xeon Processor (Skylake, IBRS)|Skylake-Server-v1|"
    "spec-ctrl -clflushopt\n"
    "Skylake-Server-v3|Skylake-Server-noTSX-IBRS|I|6|85|4|"
    "Intel Xeon Processor (Skylake, IBRS, no TSX)|Skylake-Server-v2|"
    "-hle -rtm\n"
    "Skylake-Server-v4||I|6|85|4|"
    "Intel Xeon Processor (Skylake, IBRS, no TSX)|Skylake-Server-v3|\n"
    "Skylake-Server-v5||I|6|85|4|"
    "Intel Xeon Processor (Skylake, IBRS, no TSX)|Skylake-Server-v3|"
    "xsaves\n"
    "EPYC-v1||A|23|1|2|"
    "AMD EPYC Processor|Dhyana-v1|"
    "pclmulqdq aes sha-ni -ibpb\n"
    "EPYC-v2|EPYC-IBPB|A|23|1|2|"
    "AMD EPYC Processor (with IBPB)|EPYC-v1|"
    "ibpb\n"
    "EPYC-v3||A|23|1|2|"
    "AMD EPYC Processor|EPYC-v2|"
    "perfctr-core clzero xsaveerptr xsaves\n"
    "Cascadelake-Server-v1||I|6|85|6|"
    "Intel Xeon Processor (Cascadelake)|Skylake-Server-v1|"
    "avx512vnni spec-ctrl ssbd\n"
    "Cascadelake-Server-v2||I|6|85|6|"
    "Intel Xeon Processor (Cascadelake)|Cascadelake-Server-v1|"
    "arch-capabilities rdctl-no ibrs-all skip-l1dfl-vmentry mds-no\n"
    "Cascadelake-Server-v3|Cascadelake-Server-noTSX|I|6|85|6|"
    "Intel Xeon Processor (Cascadelake)|Cascadelake-Server-v2|"
    "-hle -rtm\n"
    "Cascadelake-Server-v4||I|6|85|6|"
    "Intel Xeon Processor (Cascadelake)|Cascadelake-Server-v3|\n"
    "Cascadelake-Server-v5||I|6|85|6|"
    "Intel Xeon Processor (Cascadelake)|Cascadelake-Server-v3|"
    "xsaves\n"
    "EPYC-Rome-v1||A|23|49|0|"
    "AMD EPYC-Rome Processor|EPYC-v3|"
    "clwb umip rdpid wbnoinvd amd-stibp\n"
    "EPYC-Rome-v2||A|23|49|0|"
    "AMD EPYC-Rome Processor|EPYC-Rome-v1|"
    "ibrs amd-ssbd\n"
    "Icelake-Server-v1||I|6|134|0|"
    "Intel Xeon Processor (Icelake)|Cascadelake-Server-v1|"
    "avx512vbmi umip avx512vbmi2 gfni vaes vpclmulqdq avx512bitalg avx512-vpopcntdq la57 "
    "wbnoinvd\n"
    "Icelake-Server-v2|Icelake-Server-noTSX|I|6|134|0|"
    "Intel Xeon Processor (Icelake)|Icelake-Server-v1|"
    "-hle -rtm\n"
    "Icelake-Server-v3||I|6|134|0|"
    "Intel Xeon Processor (Icelake)|Icelake-Server-v2|"
    "arch-capabilities rdctl-no ibrs-all skip-l1dfl-vmentry mds-no pschange-mc-no taa-no\n"
    "Icelake-Server-v4||I|6|106|0|"
    "Intel Xeon Processor (Icelake)|Icelake-Server-v3|"
    "avx512ifma sha-ni rdpid fsrm\n"
    "Icelake-Server-v5||I|6|106|0|"
    "Intel Xeon Processor (Icelake)|Icelake-Server-v4|"
    "xsaves\n"
    "Icelake-Server-v6||I|6|106|0|"
    "Intel Xeon Processor (Icelake)|Icelake-Server-v5|\n"
    "Cooperlake-v1||I|6|85|10|"
    "Intel Xeon Processor (Cooperlake)|Cascadelake-Server-v2|"
    "stibp avx512-bf16 pschange-mc-no taa-no\n"
    "Cooperlake-v2||I|6|85|10|"
    "Intel Xeon Processor (Cooperlake)|Cooperlake-v1|"
    "xsaves\n"
    "EPYC-Milan-v1||A|25|1|1|"
    "AMD EPYC-Milan Processor|EPYC-Rome-v2|"
    "pcid erms invpcid pku fsrm svme-addr-chk\n";

static const char *next_row(const char *row)
{
    return strchr(row, '\n') + 1;
}

/* The field that begins here is name. */
static bool is_field(const char *field, const char *name, size_t len)
{
    return !strncmp(field, name, len) && field[len] == '|';
}

/* By its name, by another one that it has, or without "-v1". */
static bool is_called(const char *row, const char *name)
{
    size_t len = strlen(name);
    const char *alias = strchr(row, '|') + 1;

    return len && (is_field(row, name, len) || is_field(alias, name, len) ||
                   (!strncmp(row, name, len) && is_field(row + len, "-v1", 3)));
}

static char **split(const char *row)
{
    g_autofree char *line = g_strndup(row, strcspn(row, "\n"));

    return g_strsplit(line, "|", -1);
}

char **x86_named_model_find(const char *name)
{
    const char *row = rows;
    g_auto(GStrv) parent = NULL;
    char **f, *all;

    while (*row && !is_called(row, name)) {
        row = next_row(row);
    }
    f = *row ? split(row) : NULL;
    parent = f && *f[X86_ROW_PARENT] ? x86_named_model_find(f[X86_ROW_PARENT]) : NULL;
    if (parent) {
        all = g_strdup_printf("%s %s", parent[X86_ROW_FEATURES], f[X86_ROW_FEATURES]);
        g_free(f[X86_ROW_FEATURES]);
        f[X86_ROW_FEATURES] = all;
    }
    return f;
}

/* These two are there without a version in every program. */
static bool is_older_name(const char *row)
{
    return g_str_has_prefix(row, "kvm64-") || g_str_has_prefix(row, "qemu64-");
}

/* A row has up to three names. */
char *x86_named_model_name(unsigned i)
{
    for (const char *row = rows; *row; row = next_row(row)) {
        size_t len = strcspn(row, "|"), alias = strcspn(row + len + 1, "|");
        bool first = !strncmp(row + len - 3, "-v1", 3) && !is_older_name(row);

        if (i-- == 0) {
            return g_strndup(row, len);
        }
        if (first && i-- == 0) {
            return g_strndup(row, len - 3);
        }
        if (alias && i-- == 0) {
            return g_strndup(row + len + 1, alias);
        }
    }
    return NULL;
}
