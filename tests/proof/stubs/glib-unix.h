/*
 * GLib for Unix: the types are in <glib.h>.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
