/*
 * Transactions: several things at one moment, or none of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "transaction.h"

#include "job-group.h"

typedef struct Transaction {
    BlockAction **actions;
    unsigned n;
    bool grouped, ok;
    Error **errp;
} Transaction;

/* The jobs of all actions, which are prepared, end together. */
static void make_group(const Transaction *t)
{
    g_autoptr(GPtrArray) group = g_ptr_array_new();

    for (unsigned i = 0; i < t->n; i++) {
        BlockAction *a = t->actions[i];

        if (a->ops->job) {
            job_group_join(group, a->ops->job(a));
        }
    }
}

static void run_quiet(void *opaque)
{
    Transaction *t = opaque;
    unsigned n = 0;

    t->ok = true;
    while (t->ok && n < t->n) {
        t->ok = t->actions[n]->ops->prepare(t->actions[n], t->errp);
        n++;
    }
    if (t->ok && t->grouped) {
        make_group(t);
    }
    for (unsigned i = 0; t->ok && i < n; i++) {
        if (t->actions[i]->ops->commit) {
            t->actions[i]->ops->commit(t->actions[i]);
        }
    }
    while (!t->ok && n--) {
        if (t->actions[n]->ops->abort) {
            t->actions[n]->ops->abort(t->actions[n]);
        }
    }
}

static void collect(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    g_ptr_array_add(opaque, blk);
}

bool block_transaction(GPtrArray *actions, bool grouped, Error **errp)
{
    g_autoptr(GPtrArray) blks = g_ptr_array_new();
    Transaction t = { (BlockAction **)actions->pdata, actions->len, grouped, false, errp };

    /* Which disks the actions are about is known when they are prepared. */
    blk_foreach(collect, blks);
    block_quiesce((BlockBackend **)blks->pdata, blks->len, run_quiet, &t);
    return t.ok;
}

bool block_transaction_one(BlockAction *action, Error **errp)
{
    g_autoptr(GPtrArray) actions = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(actions, action);
    return block_transaction(actions, false, errp);
}

static bool abort_prepare(BlockAction *a, Error **errp)
{
    error_setg(errp, "Transaction aborted using Abort action");
    return false;
}

static const BlockActionOps abort_action = { .prepare = abort_prepare };

BlockAction *block_action_abort(void)
{
    BlockAction *a = g_new0(BlockAction, 1);

    a->ops = &abort_action;
    return a;
}
