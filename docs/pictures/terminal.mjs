//! Draws what a program printed to a terminal as an SVG that follows the reader's colours:
//!   FORCE_COLOR=1 cargo run --example quickstart | node docs/pictures/terminal.mjs "cargo run --example quickstart" >docs/quickstart.svg
//! Lines appear one after another, as they did; where motion is not wanted they are there at once.
import { readFileSync } from "node:fs";

const COLUMNS = 96;
const LINE = 19;
const CHARACTER = 8.43;
const MARGIN = 20;
/** The last line appears after so many seconds. */
const LASTS = 12;

const command = process.argv[2] ?? "";
const printed = readFileSync(0, "utf8").replaceAll("\r", "").trimEnd().split("\n");
const lines = [[{ text: `$ ${command}`, kind: "b" }], ...printed.flatMap((line) => wrapped(styled(line)))];

/** A line as pieces with the class that their escape sequences mean. */
function styled(line) {
  const pieces = [];
  let kinds = new Set();
  for (const part of line.split(/(\x1b\[[0-9;]*m)/)) {
    const codes = /^\x1b\[([0-9;]*)m$/.exec(part)?.[1];
    if (codes === undefined) {
      if (part) pieces.push({ text: part, kind: [...kinds].join(" ") });
      continue;
    }
    for (const code of codes.split(";").map(Number)) {
      if (code === 0) kinds = new Set();
      else if (code === 1) kinds.add("b");
      else if (code === 2) kinds.add("d");
      else if (code === 4) kinds.add("u");
      else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) kinds.add(`c${code % 10}`);
      else if (code === 39) kinds = new Set([...kinds].filter((kind) => !kind.startsWith("c")));
    }
  }
  return pieces;
}

/** The terminal's width is the picture's. */
function wrapped(pieces) {
  const rows = [[]];
  let used = 0;
  for (const { text, kind } of pieces) {
    let rest = [...text];
    while (rest.length > 0) {
      if (used === COLUMNS) {
        rows.push([]);
        used = 0;
      }
      const taken = rest.splice(0, COLUMNS - used);
      rows.at(-1).push({ text: taken.join(""), kind });
      used += taken.length;
    }
  }
  return rows;
}

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const width = Math.ceil(COLUMNS * CHARACTER + 2 * MARGIN);
const height = lines.length * LINE + 2 * MARGIN;
const drawn = lines
  .map((pieces, row) => {
    const spans = pieces.map(({ text, kind }) => (kind ? `<tspan class="${kind}">${escaped(text)}</tspan>` : escaped(text))).join("");
    const delay = ((row / lines.length) * LASTS).toFixed(2);
    return spans && `<text x="${MARGIN}" y="${MARGIN + row * LINE + 14}" style="animation-delay:${delay}s">${spans}</text>`;
  })
  .filter(Boolean)
  .join("\n");

process.stdout.write(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(command)}">
<style>
svg{--ink:#1f2328;--back:#f6f8fa;--red:#b3261e;--green:#116329;--yellow:#7d4e00;--blue:#0550ae;--magenta:#8250df;--cyan:#1b6a7a;--grey:#59636e}
@media (prefers-color-scheme:dark){svg{--ink:#e6edf3;--back:#0d1117;--red:#ff8a80;--green:#7ee787;--yellow:#f2cc60;--blue:#79c0ff;--magenta:#d2a8ff;--cyan:#7ad7e5;--grey:#9da7b1}}
rect{fill:var(--back)}
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:var(--ink);white-space:pre}
.b{font-weight:700}.d,.c0{fill:var(--grey)}.u{text-decoration:underline}
.c1{fill:var(--red)}.c2{fill:var(--green)}.c3{fill:var(--yellow)}.c4{fill:var(--blue)}.c5{fill:var(--magenta)}.c6{fill:var(--cyan)}
@media (prefers-reduced-motion:no-preference){text{animation:appear .01s both}@keyframes appear{from{opacity:0}}}
</style>
<rect width="${width}" height="${height}" rx="10"/>
${drawn}
</svg>
`);
