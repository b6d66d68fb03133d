import { type Random, seededRandom } from "../kernel/random.ts";

/** What the demo's pictures can show. */
export const pictureKinds = [
  "jacket",
  "tee",
  "beanie",
  "backpack",
  "boot",
  "bottle",
  "mug",
  "bowl",
  "beans",
  "pot",
  "candle",
  "lamp",
  "notebook",
  "pen",
  "tape",
  "card",
  "ink",
  "case",
] as const;

/** One of {@link pictureKinds}. */
export type PictureKind = (typeof pictureKinds)[number];

/** Whether a text names a picture. */
export function isPictureKind(text: string): text is PictureKind {
  return (pictureKinds as readonly string[]).includes(text);
}

interface Palette {
  readonly ground: string;
  readonly shade: string;
  readonly main: string;
  readonly dark: string;
  readonly accent: string;
}

const hues = [14, 32, 48, 96, 150, 172, 198, 214, 236, 262, 318, 344];

/**
 * Draws a product as an SVG of 480 by 480, the same for the same kind and seed.
 *
 * @param seed any whole number: chooses colours, pattern and details
 */
export function drawPicture(kind: PictureKind, seed: number): string {
  const random = seededRandom(seed * 2_654_435_761);
  const palette = choosePalette(random);
  const shape = shapes[kind](palette, random);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 480" role="img" aria-label="${kind}">`,
    `<rect width="480" height="480" fill="${palette.ground}"/>`,
    backdrop(palette, random),
    `<ellipse cx="240" cy="408" rx="128" ry="16" fill="${palette.shade}"/>`,
    shape,
    "</svg>",
  ].join("");
}

function choosePalette(random: Random): Palette {
  const hue = pick(hues, random);
  const second = (hue + pick([28, 150, 180, 210], random)) % 360;
  const light = 46 + random() * 16;
  return {
    ground: `hsl(${second} 38% 93%)`,
    shade: `hsl(${second} 22% 82%)`,
    main: `hsl(${hue} 48% ${light}%)`,
    dark: `hsl(${hue} 46% ${light - 20}%)`,
    accent: `hsl(${second} 62% 62%)`,
  };
}

function backdrop(palette: Palette, random: Random): string {
  const kind = Math.floor(random() * 3);
  if (kind === 0)
    return `<circle cx="240" cy="230" r="${170 + random() * 30}" fill="#fff" opacity=".55"/>`;
  if (kind === 1) {
    return `<path d="M0 300 Q120 ${250 + random() * 40} 240 300 T480 300 V480 H0Z" fill="#fff" opacity=".5"/>`;
  }
  return `<rect x="70" y="60" width="340" height="340" rx="170" fill="#fff" opacity=".45" transform="rotate(${Math.round(random() * 40)} 240 230)"/>${dots(palette, random)}`;
}

function dots(palette: Palette, random: Random): string {
  return Array.from({ length: 9 }, () => {
    const [x, y] = [Math.round(random() * 480), Math.round(random() * 300)];
    return `<circle cx="${x}" cy="${y}" r="${(2 + random() * 4).toFixed(1)}" fill="${palette.accent}" opacity=".5"/>`;
  }).join("");
}

function pick<Item>(items: readonly Item[], random: Random): Item {
  return items[Math.floor(random() * items.length)] as Item;
}

/** Bands, dots or a badge on a part of the product. */
function decoration(
  palette: Palette,
  random: Random,
  box: readonly [number, number, number, number],
): string {
  const [x, y, width, height] = box;
  const kind = Math.floor(random() * 4);
  if (kind === 0) {
    const step = height / 4;
    return [0.6, 2, 3.2]
      .map(
        (at) =>
          `<rect x="${x}" y="${y + at * step}" width="${width}" height="${step * 0.45}" fill="${palette.accent}" opacity=".85"/>`,
      )
      .join("");
  }
  if (kind === 1) {
    return `<circle cx="${x + width / 2}" cy="${y + height / 2}" r="${Math.min(width, height) / 4}" fill="${palette.accent}"/>`;
  }
  if (kind === 2) {
    return Array.from({ length: 12 }, (_, at) => {
      const [column, row] = [at % 4, Math.floor(at / 4)];
      return `<circle cx="${x + ((column + 0.5) * width) / 4}" cy="${y + ((row + 0.5) * height) / 3}" r="${Math.min(width, height) / 18}" fill="#fff" opacity=".8"/>`;
    }).join("");
  }
  const middle = y + height / 2;
  return `<path d="M${x} ${middle} l${width / 4} ${-height / 5} ${width / 4} ${height / 5} ${width / 4} ${-height / 5} ${width / 4} ${height / 5}" fill="none" stroke="${palette.accent}" stroke-width="${height / 14}" stroke-linejoin="round"/>`;
}

type Shape = (palette: Palette, random: Random) => string;

const shapes: Readonly<Record<PictureKind, Shape>> = {
  jacket: (p, r) =>
    `<path d="M168 120 L214 96 Q240 120 266 96 L312 120 L372 210 L336 232 L322 208 L326 392 L154 392 L158 208 L144 232 L108 210Z" fill="${p.main}"/>` +
    `<path d="M240 116 V392" stroke="${p.dark}" stroke-width="6"/><path d="M214 96 Q240 140 266 96 L258 88 Q240 104 222 88Z" fill="${p.dark}"/>` +
    decoration(p, r, [176, 210, 54, 70]) +
    `<rect x="256" y="300" width="46" height="8" rx="4" fill="${p.dark}"/><rect x="178" y="300" width="46" height="8" rx="4" fill="${p.dark}"/>`,
  tee: (p, r) =>
    `<path d="M172 112 L214 100 Q240 128 266 100 L308 112 L366 182 L324 216 L312 198 V388 H168 V198 L156 216 L114 182Z" fill="${p.main}"/>` +
    `<path d="M214 100 Q240 128 266 100" fill="none" stroke="${p.dark}" stroke-width="7"/>` +
    decoration(p, r, [192, 190, 96, 110]),
  beanie: (p, r) =>
    `<path d="M128 320 Q120 150 240 146 Q360 150 352 320Z" fill="${p.main}"/><circle cx="240" cy="138" r="30" fill="${p.accent}"/>` +
    decoration(p, r, [160, 210, 160, 90]) +
    `<rect x="114" y="312" width="252" height="64" rx="26" fill="${p.dark}"/>`,
  backpack: (p, r) =>
    `<path d="M196 122 Q240 66 284 122" fill="none" stroke="${p.dark}" stroke-width="14"/><rect x="142" y="112" width="196" height="284" rx="56" fill="${p.main}"/>` +
    decoration(p, r, [172, 160, 136, 80]) +
    `<rect x="166" y="270" width="148" height="98" rx="20" fill="${p.dark}"/><rect x="226" y="262" width="28" height="22" rx="6" fill="${p.accent}"/>`,
  boot: (p, r) =>
    `<path d="M176 108 H282 L288 270 Q372 286 380 352 V380 H172Z" fill="${p.main}"/><rect x="164" y="372" width="222" height="28" rx="10" fill="${p.dark}"/>` +
    `<rect x="170" y="100" width="118" height="30" rx="12" fill="${p.accent}"/>` +
    [160, 190, 220, 250]
      .map((y) => `<path d="M226 ${y} H290" stroke="${p.dark}" stroke-width="6"/>`)
      .join("") +
    (r() > 0.5 ? `<circle cx="206" cy="210" r="12" fill="${p.accent}"/>` : ""),
  bottle: (p, r) =>
    `<rect x="210" y="74" width="60" height="44" rx="10" fill="${p.dark}"/><path d="M196 128 H284 Q300 150 300 176 V376 Q300 400 276 400 H204 Q180 400 180 376 V176 Q180 150 196 128Z" fill="${p.main}"/>` +
    decoration(p, r, [184, 220, 112, 100]),
  mug: (p, r) =>
    `<path d="M330 206 Q398 206 392 268 Q388 320 322 318" fill="none" stroke="${p.dark}" stroke-width="24"/><path d="M136 164 H334 L322 372 Q318 400 290 400 H180 Q152 400 148 372Z" fill="${p.main}"/>` +
    `<ellipse cx="235" cy="164" rx="99" ry="20" fill="${p.dark}"/>` +
    decoration(p, r, [162, 220, 146, 110]),
  bowl: (p, r) =>
    `<path d="M104 218 H376 Q372 392 240 396 Q108 392 104 218Z" fill="${p.main}"/><ellipse cx="240" cy="218" rx="136" ry="30" fill="${p.dark}"/>` +
    decoration(p, r, [176, 276, 128, 60]),
  beans: (p, r) =>
    `<path d="M150 130 H330 L344 396 H136Z" fill="${p.main}"/><path d="M150 130 L166 92 H314 L330 130Z" fill="${p.dark}"/><rect x="182" y="200" width="116" height="124" rx="10" fill="#fff" opacity=".9"/>` +
    `<ellipse cx="240" cy="250" rx="26" ry="36" fill="${p.dark}" transform="rotate(24 240 250)"/><path d="M226 220 Q250 250 254 282" stroke="#fff" stroke-width="5" fill="none"/>` +
    (r() > 0.5 ? `<rect x="200" y="304" width="80" height="8" fill="${p.accent}"/>` : ""),
  pot: (p, r) =>
    `<path d="M240 250 Q180 150 206 96 Q250 150 240 250 Q260 130 316 120 Q306 200 240 250 Q170 190 130 190 Q160 246 240 250" fill="hsl(${110 + Math.round(r() * 40)} 34% 44%)"/>` +
    `<path d="M150 248 H330 L308 388 Q306 400 294 400 H186 Q174 400 172 388Z" fill="${p.main}"/><rect x="140" y="236" width="200" height="34" rx="10" fill="${p.dark}"/>` +
    decoration(p, r, [190, 290, 100, 80]),
  candle: (p, r) =>
    `<path d="M240 96 Q268 134 240 158 Q212 134 240 96Z" fill="hsl(38 92% 58%)"/><path d="M240 150 V190" stroke="#444" stroke-width="5"/>` +
    `<rect x="158" y="184" width="164" height="214" rx="18" fill="${p.main}"/><ellipse cx="240" cy="190" rx="82" ry="16" fill="${p.dark}"/>` +
    `<rect x="184" y="250" width="112" height="84" rx="8" fill="#fff" opacity=".9"/>` +
    decoration(p, r, [196, 262, 88, 60]),
  lamp: (p, r) =>
    `<path d="M168 200 L206 84 H274 L312 200Z" fill="${p.main}"/>` +
    decoration(p, r, [206, 120, 68, 60]) +
    `<rect x="232" y="200" width="16" height="176" fill="${p.dark}"/><rect x="170" y="372" width="140" height="26" rx="13" fill="${p.dark}"/><path d="M176 204 L150 330 H330 L304 204Z" fill="hsl(48 92% 72%)" opacity=".35"/>`,
  notebook: (p, r) =>
    `<rect x="142" y="92" width="206" height="304" rx="12" fill="${p.dark}"/><rect x="132" y="86" width="206" height="304" rx="12" fill="${p.main}"/>` +
    `<rect x="304" y="86" width="12" height="304" fill="${p.accent}"/><rect x="164" y="140" width="110" height="54" rx="6" fill="#fff" opacity=".92"/>` +
    decoration(p, r, [164, 230, 116, 110]),
  pen: (p, r) =>
    `<g transform="rotate(${32 + Math.round(r() * 16)} 240 240)"><rect x="218" y="82" width="44" height="238" rx="16" fill="${p.main}"/><rect x="218" y="170" width="44" height="14" fill="${p.accent}"/>` +
    `<path d="M220 318 H260 L244 392 H236Z" fill="${p.dark}"/><rect x="254" y="96" width="12" height="110" rx="6" fill="${p.dark}"/></g>`,
  tape: (p, r) =>
    `<circle cx="226" cy="256" r="134" fill="${p.main}"/><circle cx="226" cy="256" r="104" fill="${p.accent}" opacity=".55"/><circle cx="226" cy="256" r="66" fill="${p.ground}"/>` +
    `<path d="M226 390 H392 V360 H300" fill="${p.main}"/>` +
    (r() > 0.4
      ? Array.from(
          { length: 12 },
          (_, at) =>
            `<circle cx="${(226 + 119 * Math.cos(at * 0.5236)).toFixed(1)}" cy="${(256 + 119 * Math.sin(at * 0.5236)).toFixed(1)}" r="7" fill="#fff"/>`,
        ).join("")
      : ""),
  card: (p, r) =>
    `<rect x="118" y="158" width="250" height="180" rx="10" fill="${p.dark}" transform="rotate(-8 240 248)"/><rect x="112" y="150" width="256" height="190" rx="10" fill="#fff"/>` +
    `<rect x="128" y="166" width="224" height="158" rx="6" fill="${p.main}"/>` +
    decoration(p, r, [168, 196, 144, 100]),
  ink: (p, r) =>
    `<rect x="204" y="118" width="72" height="60" rx="10" fill="${p.dark}"/><path d="M162 214 Q162 178 200 178 H280 Q318 178 318 214 V372 Q318 398 292 398 H188 Q162 398 162 372Z" fill="${p.main}" opacity=".92"/>` +
    `<rect x="184" y="248" width="112" height="92" rx="8" fill="#fff" opacity=".92"/>` +
    decoration(p, r, [200, 262, 80, 64]),
  case: (p, r) =>
    `<rect x="96" y="196" width="288" height="150" rx="66" fill="${p.main}"/><path d="M112 236 H368" stroke="${p.dark}" stroke-width="8" stroke-dasharray="10 7"/>` +
    `<rect x="352" y="228" width="36" height="18" rx="9" fill="${p.accent}"/>` +
    decoration(p, r, [176, 258, 128, 66]),
};
