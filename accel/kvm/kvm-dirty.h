/*
 * The dirty log of KVM's vCPUs: hooks of AccelClass.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef ACCEL_KVM_DIRTY_H
#define ACCEL_KVM_DIRTY_H

#include "exec/dirty-log.h"
#include "sysemu/accel.h"

bool kvm_dirty_start(AccelState *as, Error **errp);
uint64_t kvm_dirty_take(AccelState *as, DirtyLog *log, uint64_t *words);
void kvm_dirty_stop(AccelState *as);

#endif
