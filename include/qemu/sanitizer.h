/*
 * Whether this is a build with AddressSanitizer: it handles crashes itself, and maps its
 * shadow at fixed addresses (from 0x7fff8000 on x86-64).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_SANITIZER_H
#define QEMU_SANITIZER_H

/* gcc defines a macro, clang has a feature. */
#ifdef __SANITIZE_ADDRESS__
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#define ADDRESS_SANITIZER __has_feature(address_sanitizer)
#else
#define ADDRESS_SANITIZER 0
#endif

#endif
