/*
 * Loads libzstd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/zstd-lib.h"

#include "qemu/library.h"

#define ZSTD_SONAME "libzstd.so.1"

bool zstd_lib_load(ZstdLib *lib, Error **errp)
{
    static const LibrarySymbol symbols[] = {
        { "ZSTD_decompress", offsetof(ZstdLib, decompress) },
        { "ZSTD_isError", offsetof(ZstdLib, is_error) },
        { "ZSTD_createDStream", offsetof(ZstdLib, new_stream) },
        { "ZSTD_freeDStream", offsetof(ZstdLib, free_stream) },
        { "ZSTD_DCtx_setParameter", offsetof(ZstdLib, set_parameter) },
        { "ZSTD_decompressStream", offsetof(ZstdLib, decompress_stream) },
    };

    if (!library_load(ZSTD_SONAME, symbols, G_N_ELEMENTS(symbols), lib, errp)) {
        error_prepend(errp, "zstd needs libzstd: ");
        return false;
    }
    return true;
}
