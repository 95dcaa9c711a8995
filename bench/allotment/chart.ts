/** Line charts as SVG text, without a DOM: scales and paths are d3's, the rest is a few elements. */

import { scaleLinear } from "d3-scale";
import { curveLinear, line } from "d3-shape";

export interface Series {
  readonly name: string;
  readonly colour: string;
  readonly dashed?: boolean;
  /** One value for each day; null leaves a gap. */
  readonly values: readonly (number | null)[];
}

export interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly series: readonly Series[];
  /** Stretches of days to be shaded, with what happened in them. */
  readonly events: readonly (readonly [from: number, to: number, what: string])[];
}

const WIDTH = 860;
const HEIGHT = 320;
const MARGIN = { top: 62, right: 34, bottom: 30, left: 60 };
const MONTH_DAYS = 365 / 12;

/** Draws a chart of days. */
export function chartSvg({ title, unit, series, events }: Chart): string {
  const days = Math.max(...series.map(({ values }) => values.length));
  const all = series.flatMap(({ values }) => values.filter((value) => value !== null));
  const x = scaleLinear([0, days - 1], [MARGIN.left, WIDTH - MARGIN.right]);
  const y = scaleLinear([Math.min(0, ...all), Math.max(...all)], [HEIGHT - MARGIN.bottom, MARGIN.top]).nice();
  const top = y.range()[1] ?? MARGIN.top;
  const bottom = y.range()[0] ?? HEIGHT;
  const path = line<number | null>()
    .defined((value) => value !== null)
    .x((_, day) => x(day))
    .y((value) => y(value ?? 0))
    .curve(curveLinear)
    .digits(1);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">`,
    `<title>${title}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${MARGIN.left}" y="20" font-size="14" font-weight="bold">${title}</text>`,
    ...legend(series),
    ...events.flatMap(([from, to, what]) => [
      `<rect x="${round(x(from))}" y="${top}" width="${round(Math.max(2, x(to) - x(from)))}" height="${bottom - top}" fill="#eee"/>`,
      `<text x="${round(x((from + to) / 2))}" y="${top - 4}" text-anchor="middle" fill="#777" font-size="10">${what}</text>`,
    ]),
    ...y
      .ticks(6)
      .flatMap((tick) => [
        `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${round(y(tick))}" y2="${round(y(tick))}" stroke="#ddd"/>`,
        `<text x="${MARGIN.left - 6}" y="${round(y(tick) + 4)}" text-anchor="end">${tick.toLocaleString("en-US")}</text>`,
      ]),
    `<text x="8" y="${MARGIN.top - 16}" fill="#777">${unit}</text>`,
    ...Array.from({ length: Math.floor(days / MONTH_DAYS / 6) + 1 }, (_, index) => {
      const month = index * 6;
      return `<text x="${round(x(Math.min(days - 1, month * MONTH_DAYS)))}" y="${HEIGHT - 10}" text-anchor="middle">month ${month}</text>`;
    }),
    ...series.map(
      ({ colour, dashed, values }) =>
        `<path d="${path(values) ?? ""}" fill="none" stroke="${colour}" stroke-width="1.4"${dashed === true ? ' stroke-dasharray="5 3"' : ""}/>`,
    ),
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

function legend(series: readonly Series[]): string[] {
  return series.flatMap(({ name, colour }, index) => {
    const left = MARGIN.left + index * 190;
    return [
      `<rect x="${left}" y="28" width="14" height="4" fill="${colour}"/>`,
      `<text x="${left + 20}" y="34">${name}</text>`,
    ];
  });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
