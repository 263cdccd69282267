/*
 * HMP's expressions and memory formats.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hmp.h"
#include "sysemu/cpus.h"
#include "target/i386/cpu.h"

#define MAX_NESTING 64

typedef struct ExprParser {
    Monitor *mon;
    const char *p;
    unsigned depth;
    Error **errp;
} ExprParser;

static bool expr_level(ExprParser *e, unsigned level, int64_t *val);

static void expr_skip(ExprParser *e)
{
    while (g_ascii_isspace(*e->p)) {
        e->p++;
    }
}

static bool register_value(const CPUX86State *env, const char *name, int64_t *val)
{
    static const char *const names[CPU_NB_REGS] = {
        "ax", "cx", "dx", "bx", "sp", "bp", "si", "di",
        "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    };
    static const char *const segs[CPU_NB_SEGS] = { "es", "cs", "ss", "ds", "fs", "gs" };
    bool wide = name[0] == 'r' || name[0] == 'e';

    if (!strcmp(name, "pc") || (wide && !strcmp(name + 1, "ip"))) {
        *val = env->eip;
        return true;
    }
    if (wide && !strcmp(name + 1, "flags")) {
        *val = env->eflags;
        return true;
    }
    for (unsigned i = 0; i < CPU_NB_REGS; i++) {
        if (!strcmp(i < 8 && wide ? name + 1 : name, names[i])) {
            *val = name[0] == 'e' ? (int64_t)(uint32_t)env->regs[i] :
                (int64_t)env->regs[i];
            return true;
        }
    }
    for (unsigned i = 0; i < CPU_NB_SEGS; i++) {
        if (!strncmp(name, segs[i], 2) && !strcmp(name + 2, ".base")) {
            *val = env->segs[i].base;
            return true;
        }
        if (!strcmp(name, segs[i])) {
            *val = env->segs[i].selector;
            return true;
        }
    }
    if (name[0] == 'c' && name[1] == 'r' && strchr("0234", name[2]) && name[2] &&
        !name[3]) {
        *val = env->cr[name[2] - '0'];
        return true;
    }
    return false;
}

static bool expr_register(ExprParser *e, int64_t *val)
{
    CPUState *cs = monitor_cpu(e->mon);
    char name[16];
    size_t n = 0;

    for (; g_ascii_isalnum(*e->p) || *e->p == '.' || *e->p == '_'; e->p++) {
        if (n < sizeof(name) - 1) {
            name[n++] = *e->p;
        }
    }
    name[n] = '\0';
    if (!cs) {
        error_setg(e->errp, "no CPU defined");
        return false;
    }
    cpu_synchronize_state(cs);
    if (!register_value(&x86_cpu(cs)->env, name, val)) {
        error_setg(e->errp, "unknown register");
        return false;
    }
    return true;
}

static bool expr_number(ExprParser *e, int64_t *val)
{
    char *end;

    if (!*e->p) {
        error_setg(e->errp, "unexpected end of expression");
        return false;
    }
    *val = g_ascii_strtoull(e->p, &end, 0);
    if (end == e->p || !g_ascii_isdigit(*e->p)) {
        error_setg(e->errp, "invalid char '%c' in expression", *e->p);
        return false;
    }
    e->p = end;
    return true;
}

static bool expr_parens(ExprParser *e, int64_t *val)
{
    e->p++;
    if (!expr_level(e, 0, val)) {
        return false;
    }
    expr_skip(e);
    if (*e->p != ')') {
        error_setg(e->errp, "')' expected");
        return false;
    }
    e->p++;
    return true;
}

static bool expr_unary(ExprParser *e, int64_t *val)
{
    bool ok;
    char c;

    expr_skip(e);
    if (++e->depth > MAX_NESTING) {
        error_setg(e->errp, "expression too complex");
        return false;
    }
    c = *e->p;
    if (c == '+' || c == '-' || c == '~') {
        e->p++;
        ok = expr_unary(e, val);
        *val = c == '-' ? (int64_t)-(uint64_t)*val : c == '~' ? ~*val : *val;
    } else if (c == '(') {
        ok = expr_parens(e, val);
    } else if (c == '\'' && e->p[1] && e->p[2] == '\'') {
        *val = (uint8_t)e->p[1];
        e->p += 3;
        ok = true;
    } else if (c == '$') {
        e->p++;
        ok = expr_register(e, val);
    } else {
        ok = expr_number(e, val);
    }
    e->depth--;
    return ok;
}

static bool expr_apply(ExprParser *e, char op, int64_t *val, int64_t rhs)
{
    uint64_t a = *val, b = rhs;

    if ((op == '/' || op == '%') && !b) {
        error_setg(e->errp, "division by zero");
        return false;
    }
    switch (op) {
    case '+':
        a += b;
        break;
    case '-':
        a -= b;
        break;
    case '&':
        a &= b;
        break;
    case '|':
        a |= b;
        break;
    case '^':
        a ^= b;
        break;
    case '*':
        a *= b;
        break;
    case '/':
        /* The smallest number divided by -1 overflows. */
        a = rhs == -1 ? -a : (uint64_t)(*val / rhs);
        break;
    case '%':
        a = rhs == -1 ? 0 : (uint64_t)(*val % rhs);
        break;
    }
    *val = a;
    return true;
}

/* Levels of binding, loosest first: sums, bits, products. */
static bool expr_level(ExprParser *e, unsigned level, int64_t *val)
{
    static const char *const ops[] = { "+-", "&|^", "*/%" };
    int64_t rhs;
    char op;

    if (level == G_N_ELEMENTS(ops)) {
        return expr_unary(e, val);
    }
    if (!expr_level(e, level + 1, val)) {
        return false;
    }
    for (;;) {
        expr_skip(e);
        op = *e->p;
        if (!op || !strchr(ops[level], op)) {
            return true;
        }
        e->p++;
        rhs = 0;
        if (!expr_level(e, level + 1, &rhs) || !expr_apply(e, op, val, rhs)) {
            return false;
        }
    }
}

bool hmp_expr(Monitor *mon, const char **p, int64_t *result, Error **errp)
{
    ExprParser e = { .mon = mon, .p = *p, .errp = errp };

    *result = 0;
    if (!expr_level(&e, 0, result)) {
        return false;
    }
    *p = e.p;
    return true;
}

bool hmp_format(const char **p, json_t *args, Error **errp)
{
    int64_t count = 1, size = -1;
    char format[2] = "x";
    const char *s = *p;

    if (*s == '/') {
        s++;
        if (g_ascii_isdigit(*s)) {
            for (count = 0; g_ascii_isdigit(*s); s++) {
                count = MIN(count * 10 + (*s - '0'), 1000000);
            }
        }
        for (; *s && !g_ascii_isspace(*s); s++) {
            if (strchr("oduxic", *s)) {
                format[0] = *s;
            } else if (strchr("bhwg", *s)) {
                size = *s == 'b' ? 1 : *s == 'h' ? 2 : *s == 'w' ? 4 : 8;
            } else {
                error_setg(errp, "invalid char in format: '%c'", *s);
                return false;
            }
        }
        *p = s;
    }
    json_object_set_new(args, "count", json_integer(count));
    json_object_set_new(args, "format", json_string(format));
    json_object_set_new(args, "size", json_integer(size));
    return true;
}
