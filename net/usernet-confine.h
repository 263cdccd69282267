/*
 * Confinement of the process of user networks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_USERNET_CONFINE_H
#define NET_USERNET_CONFINE_H

#include "usernet.h"

/* USERNET_CONFINE, taken apart. */
typedef struct UserNetOrders {
    unsigned flags, denied, uid, gid;
    const char *user, *root;
    GPtrArray *folders;         /* of const char * */
    unsigned connections;       /* that the networks may have together */
    UserNetSandboxFn *sandbox;  /* NULL: none */
} UserNetOrders;

/* Networks are set up, and no guest has said anything yet. False with errp set. */
bool usernet_confine(const UserNetOrders *o, Error **errp);

#endif
