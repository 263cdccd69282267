/*
 * QMP without exports of images.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp.h"

const QmpCommand qmp_export_commands[] = { { NULL } };
const QmpEvent qmp_export_events[] = { { NULL } };
