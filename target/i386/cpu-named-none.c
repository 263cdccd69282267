/*
 * A program without the models of processors that can be bought.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/cpu-named.h"

char **x86_named_model_find(const char *name)
{
    return NULL;
}

char *x86_named_model_name(unsigned i)
{
    return NULL;
}
