"""bench.html: the figures as bars beside the peers, and plots against the number of machines.

One file without anything from elsewhere: HTML, its style and SVG.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import html
import math
import os

COLOURS = {"floor": "#9a9a9a", "microvm-kvm": "#0b6e4f", "microvm": "#2a9d6f",
           "qemu-microvm": "#c9742b", "qemu": "#8c3b1f"}
HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Benchmarks</title><style>
body { font: 14px sans-serif; margin: 2em auto; max-width: 72em; color: #222; }
table { border-collapse: collapse; width: 100%; }
td, th { border-top: 1px solid #ddd; padding: .4em .6em; text-align: left; vertical-align: middle; }
.ratio { text-align: right; white-space: nowrap; }
.figure { min-width: 14em; }
.hint { color: #777; font-size: 12px; }
svg { display: block; }
svg text { font: 12px sans-serif; fill: #222; }
</style></head><body>
"""
BAR, WIDTH, NAMES = 16, 420, 110


def unbroken(label):
    """A label whose options (-version) stay in one piece."""
    return label.replace(" -", " \N{NON-BREAKING HYPHEN}")


def bars(values, texts):
    """One bar for each program, the longest as wide as there is room."""
    most = max(values.values()) or 1
    rows = []
    for n, (name, value) in enumerate(values.items()):
        y, width = n * (BAR + 3), max(1, value / most * WIDTH)
        rows.append(f'<text x="{NAMES - 6}" y="{y + 12}" text-anchor="end">{name}</text>'
                    f'<rect x="{NAMES}" y="{y}" width="{width:.1f}" height="{BAR}" '
                    f'fill="{COLOURS.get(name, "#666")}"/>'
                    f'<text x="{NAMES + width + 5:.1f}" y="{y + 12}">{html.escape(texts[name])}'
                    "</text>")
    return f'<svg width="{NAMES + WIDTH + 110}" height="{len(values) * (BAR + 3)}">' \
        + "".join(rows) + "</svg>"


def nice(least):
    """The least of 1, 2, 2.5, 5 times a power of ten that is not below."""
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= least)


def apart(places):
    """The heights of names, each at its line or as far above as the one below it wants."""
    moved, last = {}, math.inf
    for name, place in sorted(places.items(), key=lambda item: -item[1]):
        last = moved[name] = min(place, last - 14)
    return moved


def plot(series, unit):
    """Lines through points (number of machines, value): {name: {n: value}}."""
    left, top, width, height = 60, 12, 460, 240
    counts = sorted({n for points in series.values() for n in points})
    step = nice(max((v for points in series.values() for v in points.values()), default=0) / 4)
    most = 4 * step

    def x(n):
        return left + n / counts[-1] * width

    def y(v):
        return top + height - v / most * height

    out = [f'<svg width="{left + width + 130}" height="{top + height + 36}">']
    for v in (step * n for n in range(5)):
        out.append(f'<path d="M{left} {y(v):.1f}h{width}" stroke="#ddd"/>'
                   f'<text x="{left - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{v:.3g}</text>')
    for n in counts:
        out.append(f'<text x="{x(n):.1f}" y="{top + height + 16}" text-anchor="middle">{n}</text>')
    out.append(f'<text x="{left + width / 2}" y="{top + height + 32}" text-anchor="middle">'
               f"machines; {html.escape(unit)}</text>")
    names = apart({name: y(points[max(points)]) for name, points in series.items()})
    for name, points in series.items():
        dots = sorted(points.items())
        colour = COLOURS.get(name, "#666")
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="'
                   + " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in dots) + '"/>')
        out += [f'<circle cx="{x(n):.1f}" cy="{y(v):.1f}" r="3" fill="{colour}"/>'
                for n, v in dots]
        out.append(f'<text x="{x(dots[-1][0]) + 8:.1f}" y="{names[name] + 4:.1f}">{name}</text>')
    return "".join(out) + "</svg>"


def machines(rows):
    """The plots of the part "machines": {program: {N: {elapsed, pss_kib}}}."""
    out = []
    for key, title, unit, scale in (
            ("elapsed", "Time until all have booted and ended", "seconds", 1),
            ("pss_kib", "Memory beside the guests' RAM", "MiB", 1024)):
        series = {name: {int(n): v[key] / scale for n, v in counts.items() if key in v}
                  for name, counts in rows.items()}
        series = {name: points for name, points in series.items() if points}
        if series:
            out.append(f"<h2>{title}</h2>{plot(series, unit)}")
    return "\n".join(out)


def write(path, figures, many):
    """figures: rows (label, {name: value}, {name: text}, ratio, whether more is better); many:
    the part "machines"."""
    table = "\n".join(
        f'<tr><td class="figure">{html.escape(unbroken(label))}<br><span class="hint">'
        f'{"more" if more else "less"} is better</span></td><td>{bars(values, texts)}</td>'
        f'<td class="ratio">{ratio}</td></tr>' for label, values, texts, ratio, more in figures)
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(f"{HEAD}<h1>Beside Debian's QEMU</h1>\n<table><tr><th>figure</th><th>floor, "
                'programs</th><th class="ratio">ours / best other</th></tr>\n'
                f"{table}\n</table>\n{machines(many)}\n</body></html>\n")
    os.replace(path + ".new", path)
