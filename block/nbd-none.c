/*
 * A build without NBD.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "job-internal.h"

void block_nbd_end(void)
{
}

void block_exports_give_back(void)
{
}
