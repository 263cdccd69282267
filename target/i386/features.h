/*
 * Features of x86 processors: constants for the bits of feature-list.h, and sets of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_FEATURES_H
#define TARGET_I386_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

#include "target/i386/feature-list.h"

#define X86_WORD_ENUM(word, ...) FEAT_##word,
typedef enum FeatureWord {
    X86_FEATURE_WORDS(X86_WORD_ENUM, X86_WORD_ENUM)
    FEATURE_WORDS,
    FEAT_FIRST_MSR = FEAT_ARCH_CAPABILITIES,
} FeatureWord;

/* X86_FEATURE_SMAP and so on: word * 32 + bit. */
#define X86_FEATURE_ENUM(word, bit, id, name) X86_FEATURE_##id = FEAT_##word * 32 + (bit),
#define X86_FEATURE_NONE(word, bit, name)
typedef enum X86Feature {
    X86_FEATURES(X86_FEATURE_ENUM, X86_FEATURE_NONE)
} X86Feature;

typedef struct X86FeatureSet {
    uint32_t w[FEATURE_WORDS];
} X86FeatureSet;

static inline bool x86_feature_in(const X86FeatureSet *set, X86Feature f)
{
    return set->w[f / 32] >> (f % 32) & 1;
}

static inline void x86_feature_add(X86FeatureSet *set, X86Feature f)
{
    set->w[f / 32] |= 1u << (f % 32);
}

static inline void x86_feature_remove(X86FeatureSet *set, X86Feature f)
{
    set->w[f / 32] &= ~(1u << (f % 32));
}

#endif
