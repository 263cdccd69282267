/*
 * As much of GLib as the proven files use, for Frama-C. What is freed by itself in the program is
 * not freed here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PROOF_GLIB_H
#define PROOF_GLIB_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef int gboolean;
typedef int gint;
typedef unsigned guint;
typedef size_t gsize;
typedef int64_t gint64;
typedef void *gpointer;
typedef const void *gconstpointer;
typedef struct GByteArray GByteArray;
typedef struct GBytes GBytes;
typedef struct GPtrArray GPtrArray;
typedef struct GArray GArray;
typedef struct GString GString;
typedef struct GHashTable GHashTable;
typedef struct GMainContext GMainContext;
typedef struct GMainLoop GMainLoop;
typedef struct GSource GSource;
typedef struct GThread GThread;
typedef struct GList { gpointer data; struct GList *next, *prev; } GList;
typedef struct GQueue { GList *head, *tail; guint length; } GQueue;
typedef int GIOCondition;
typedef gboolean (*GUnixFDSourceFunc)(gint fd, GIOCondition condition, gpointer opaque);
typedef void (*GDestroyNotify)(gpointer);
typedef struct GMutex { int held; } GMutex;
typedef struct GCond { int waits; } GCond;

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define G_N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))
#define G_GNUC_PRINTF(a, b)
#define G_DEFINE_AUTOPTR_CLEANUP_FUNC(type, fn)
#define G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(type, fn)
#define G_GSIZE_FORMAT "zu"
#define g_autofree
#define g_malloc malloc
#define g_new0(type, n) ((type *)calloc((n), sizeof(type)))
#define g_error(...) abort()
#define g_free free
#define g_assert(condition) ((void)(condition))

void g_byte_array_append(GByteArray *a, const uint8_t *data, guint len);

#endif
