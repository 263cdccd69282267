/*
 * libzstd, loaded for what is packed with it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_ZSTD_LIB_H
#define QEMU_ZSTD_LIB_H

#include <zstd.h>

#include "qemu/error.h"

/* The functions that we use, with the library's types. */
typedef struct ZstdLib {
    __typeof__(ZSTD_decompress) *decompress;
    __typeof__(ZSTD_isError) *is_error;
    __typeof__(ZSTD_createDStream) *new_stream;
    __typeof__(ZSTD_freeDStream) *free_stream;
    __typeof__(ZSTD_DCtx_setParameter) *set_parameter;
    __typeof__(ZSTD_decompressStream) *decompress_stream;
} ZstdLib;

/* Fill lib in. False with errp set when the library is not there. */
bool zstd_lib_load(ZstdLib *lib, Error **errp);

#endif
