"""The morning report as one HTML file that needs nothing else: no scripts, no links, pictures inside.

Everything a user or a model said is escaped; the page cannot be made to load or run anything.
"""

from __future__ import annotations

import base64
from html import escape

from slowwave.night import plots
from slowwave.night.folder import NightFolder
from slowwave.night.morning import Asked, Morning, Taught, morning

_STYLE = """
:root { color-scheme: light; --ink: #1f2933; --soft: #52606d; --line: #e4e7eb; --good: #0072b2; --bad: #d55e00; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: .25rem }
h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem }
.soft { color: var(--soft) } .no { color: var(--bad) } code { background: #f5f7fa; padding: .1rem .3rem }
img { max-width: 100%; display: block; margin: .6rem 0 }
table { border-collapse: collapse; width: 100% } .asked { table-layout: fixed }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere } .source { overflow-wrap: break-word }
th { font-weight: 600; color: var(--soft); font-size: .85rem }
.tag { border-radius: .3rem; padding: .05rem .45rem; font-size: .85rem; color: #fff; background: var(--good);
  white-space: nowrap }
.tag.bad { background: var(--bad) }
"""


def page(night: NightFolder) -> str:
    """The page of a night that has its verdict."""
    m = morning(night)
    body = "".join([
        f"<h1>{escape(m.headline)}</h1><p class='soft'>Persona {escape(m.persona)}. "
        f"Serving <code>{escape(m.serving)}</code>. To take it back: <code>{escape(m.undo)}</code>"
        f"{''.join(f'<br>{escape(text)}' for text in m.besides.values())}</p>",
        _not_learned(m), _lessons(m), _came_in(m), _training(m), _reasons(m),
    ])  # fmt: skip
    allowed = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    policy = f'<meta http-equiv="Content-Security-Policy" content="{allowed}">'
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>{policy}<title>slowwave, night {m.night}</title>"
        f"<style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _not_learned(m: Morning) -> str:
    if not m.lessons:
        return ""
    if not m.not_learned:
        return "<h2>What was not learned</h2><p>Every lesson of this night was learned.</p>"
    rows = "".join(
        f"<tr><td>{escape(row.note)}</td><td>{_tag(row, m)}</td><td>{escape(row.why)}</td></tr>"
        for row in m.not_learned
    )
    rest = "They stay for the next night, until they were tried too often." if m.verdict == "promoted" else (
        "The new weights were not kept, so none of this night's lessons is in the served version."
    )  # fmt: skip
    return f"<h2>What was not learned</h2><p>{rest}</p>{_table('lesson|exam|why', rows)}"


def _lessons(m: Morning) -> str:
    if not m.lessons:
        return ""
    image = _image(plots.lessons(m), "Share of held-out questions right before and after, by lesson")
    parts = [f"<h2>Before and after</h2><p class='soft'>Questions that were never trained on.</p>{image}"]
    for row in m.lessons:
        rows = "".join(
            f"<tr><td>{escape(asked.question)}{_near(asked)}</td><td>{escape(asked.before)}</td>"
            f"<td{_wrong(asked)}>{escape(asked.after)}</td></tr>" for asked in row.asked
        )  # fmt: skip
        parts.append(f"<h3>{escape(row.note)} {_tag(row, m)}</h3>{_table('question|before|after', rows, 'asked')}")
    return "".join(parts)


def _came_in(m: Morning) -> str:
    if not m.came_in:
        return ""
    rows = "".join(
        f"<tr><td>{row['salience']['total']:.2f}</td><td>{escape(row['text'])}</td>"
        f"<td class=source>{escape(row['source'])}</td>"
        f"<td>{'<b>became a lesson</b>' if row['chosen'] else escape(row['why'])}</td></tr>" for row in m.came_in
    )  # fmt: skip
    image = _image(plots.salience(m), "Salience of what came in and of what became a lesson")
    table = _table("salience|experience|source|what became of it", rows)
    return f"<h2>What came in and what was chosen</h2>{image}{table}"


def _training(m: Morning) -> str:
    if not m.metrics:
        return ""
    t = m.training
    told = ""
    if t:
        strength = f" The version keeps {m.strength:.0%} of the change." if m.strength is not None else ""
        told = (
            f"<p>{t['steps']} steps on {t['decisions']} lesson scenes and {t['anchors']} anchors in "
            f"{t['seconds']:.0f} s, {t['bytes'] / 1e6:.1f} MB; ended: {escape(t['stopped'])}.{strength}</p>"
        )
    return f"<h2>Training</h2>{told}{_image(plots.training(m), 'Loss and drift over the steps')}"


def _reasons(m: Morning) -> str:
    rows = "".join(
        f"<tr><td{'' if r['ok'] else ' class=no'}>{'ok' if r['ok'] else 'not ok'}</td><td>{escape(r['text'])}</td></tr>"
        for r in m.reasons
    )
    walked = "".join(
        f"<li>At {row['fraction']:.0%} of the change: {escape(row['verdict'])}. {escape(' '.join(row['failed']))}</li>"
        for row in (m.tries if len(m.tries) > 1 else [])
    )
    image = _image(plots.margins(m), "What was lost, as a share of what may be lost")
    return f"<h2>Why this verdict</h2>{image}{_table('|', rows)}{f'<ul>{walked}</ul>' if walked else ''}"


def _table(heads: str, rows: str, kind: str = "") -> str:
    cells = "".join(f"<th>{head}</th>" for head in heads.split("|"))
    return f"<table class='{kind}'><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>"


def _image(png: bytes | None, alt: str) -> str:
    return f"<img alt='{escape(alt)}' src='data:image/png;base64,{base64.b64encode(png).decode()}'>" if png else ""


def _tag(row: Taught, m: Morning) -> str:
    return f"<span class='tag{'' if row not in m.not_learned else ' bad'}'>{escape(row.outcome)}</span>"


def _near(asked: Asked) -> str:
    return " <span class='soft'>(near miss: must not change)</span>" if asked.kind == "near_miss" else ""


def _wrong(asked: Asked) -> str:
    return " class='no'" if asked.right is False else ""
