/*
 * -object secret: a password or key that another object may name by its id.
 *
 * libvirt gives every guest one. Nothing here needs it yet: it is read and
 * checked as clients expect, and wiped at the end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "qemu/confine.h"
#include "qemu/cutils.h"
#include "qemu/error.h"
#include "qemu/object.h"

/* A secret is a password or a key: more is a mistake. */
#define SECRET_MAX (64 * KiB)

enum { SECRET_RAW, SECRET_BASE64 };

static const char *const format_names[] = { "raw", "base64", NULL };

typedef struct Secret {
    Object obj;
    char *data;
    char *file;
    int format;
    uint8_t *bytes;     /* the secret itself, owned */
    size_t len;
} Secret;

/* The contents of the file, at most SECRET_MAX bytes; false with errp set. */
static bool read_file(Secret *s, Error **errp)
{
    int fd = open(s->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = -1;

    s->bytes = g_malloc0(SECRET_MAX + 1);
    while (fd >= 0 && s->len <= SECRET_MAX &&
           (n = read(fd, s->bytes + s->len, SECRET_MAX + 1 - s->len)) > 0) {
        s->len += n;
    }
    if (n < 0) {
        error_setg_errno(errp, confine_errno(s->file, false, errno), "Unable to read %s",
                         s->file);
    } else if (s->len > SECRET_MAX) {
        error_setg(errp, "%s: a secret has at most %u bytes", s->file, (unsigned)SECRET_MAX);
    }
    if (fd >= 0) {
        close(fd);
    }
    return n >= 0 && s->len <= SECRET_MAX;
}

static bool decode(Secret *s, Error **errp)
{
    const char *alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n";
    char *text = (char *)s->bytes;

    if (strlen(text) != s->len || strspn(text, alphabet) != s->len) {
        error_setg(errp, "Base64 data '%s' is not valid", s->file ? s->file : "data");
        return false;
    }
    s->bytes = g_base64_decode(text, &s->len);
    explicit_bzero(text, strlen(text));
    g_free(text);
    return true;
}

static bool secret_complete(Object *obj, Error **errp)
{
    Secret *s = downcast(obj, Secret, obj);

    if (s->data && s->file) {
        error_setg(errp, "'file' and 'data' are mutually exclusive");
        return false;
    }
    if (!s->data && !s->file) {
        error_setg(errp, "Must provide 'file' or 'data'");
        return false;
    }
    if (s->data) {
        s->bytes = (uint8_t *)g_strdup(s->data);
        s->len = strlen(s->data);
    } else if (!read_file(s, errp)) {
        return false;
    }
    return s->format == SECRET_RAW || decode(s, errp);
}

static void secret_finalize(Object *obj)
{
    Secret *s = downcast(obj, Secret, obj);

    if (s->bytes) {
        explicit_bzero(s->bytes, s->len);
        g_free(s->bytes);
    }
}

static const Property secret_props[] = {
    DEFINE_PROP_STRING("data", Secret, data, NULL, "The secret itself"),
    DEFINE_PROP_STRING("file", Secret, file, NULL, "File that holds the secret"),
    DEFINE_PROP_ENUM("format", Secret, format, &format_names, "raw", "raw or base64"),
    DEFINE_PROP_END
};

static const ObjectClass secret_class = {
    .name = "secret",
    .desc = "a password or key",
    .instance_size = sizeof(Secret),
    .props = secret_props,
    .complete = secret_complete,
    .finalize = secret_finalize,
};
DEFINE_CLASS(secret, &secret_class);
