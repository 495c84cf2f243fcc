"""How well a text can be read on a ground, by WCAG 2.2; and which text stands on which."""

from __future__ import annotations

from desktop.look.tokens import Palette


def text_pairs(palette: Palette) -> dict[str, tuple[str, str]]:
    """Every text colour with every background it is drawn on: name -> (text, background)."""
    grounds = ("window", "sidebar", "surface", "raised", "sunken", "selected")
    pairs = {
        f"{ink} on {ground}": (getattr(palette, ink), getattr(palette, ground))
        for ink in ("text", "muted", "accent_ink")
        for ground in grounds
    }
    for tone in ("accent", "success", "warning", "danger"):
        for ground in ("window", "surface", "sunken", "raised", f"{tone}_soft"):
            pairs[f"{tone}_ink on {ground}"] = (getattr(palette, f"{tone}_ink"), getattr(palette, ground))
        pairs[f"text on {tone}_soft"] = (palette.text, getattr(palette, f"{tone}_soft"))
        pairs[f"muted on {tone}_soft"] = (palette.muted, getattr(palette, f"{tone}_soft"))
    for code in ("keyword", "text", "number", "comment", "name"):
        pairs[f"code_{code} on sunken"] = (getattr(palette, f"code_{code}"), palette.sunken)
    pairs["on_accent on accent"] = (palette.on_accent, palette.accent)
    pairs["on_accent on accent_hover"] = (palette.on_accent, palette.accent_hover)
    pairs["on_danger on danger"] = (palette.on_danger, palette.danger)
    pairs["text on hit"] = (palette.text, palette.hit)
    return pairs


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2), 1 to 21."""

    def luminance(color: str) -> float:
        parts = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
        red, green, blue = (p / 12.92 if p <= 0.04045 else float(((p + 0.055) / 1.055) ** 2.4) for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
