"""Contrast of every visible text against what is behind it, by WCAG 2.2 (1.4.3).

The formula is axe's, which takes seconds for it on a long page; this takes milliseconds. What it
does not judge, it names instead of passing over: images, gradients and anything half transparent.
"""

from playwright.sync_api import Page

SCRIPT = """
() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const rgba = (css) => {
    if (!known.has(css)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = css;
      canvas.fillRect(0, 0, 1, 1);
      known.set(css, [...canvas.getImageData(0, 0, 1, 1).data]);
    }
    return known.get(css);
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => {
      v /= 255;
      return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const style = getComputedStyle(e);
      const colour = rgba(style.backgroundColor);
      if (style.backgroundImage !== 'none') return null;
      if (colour[3] === 255) return colour;
      if (colour[3] !== 0) return null;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || element.closest('template, dialog:not([open]), svg, :disabled')) continue;
    const style = getComputedStyle(element);
    if (style.visibility === 'hidden' || !element.getClientRects().length) continue;
    const words = element.textContent.trim().slice(0, 40);
    const [colour, ground] = [rgba(style.color), behind(element)];
    let solid = colour[3] === 255;
    for (let e = element; e; e = e.parentElement) solid &&= getComputedStyle(e).opacity === '1';
    if (!ground || !solid) {
      poor.push(`${words}: on an image or half transparent, not judged`);
      continue;
    }
    const [a, b] = [luminance(colour), luminance(ground)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24
      || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) poor.push(`${words}: contrast ${ratio.toFixed(2)}`);
  }
  return poor;
}
"""


def poor_contrast(page: Page) -> list[str]:
    """Texts of too little contrast, and those that cannot be judged; the ratio."""
    found: list[str] = page.evaluate(SCRIPT)
    return found
