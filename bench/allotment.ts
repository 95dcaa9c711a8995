/** Plays three years of the daily allotment and draws docs/economics/*.svg: `node bench/allotment.ts`. */

import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { epochOf } from "../core/allotment/epochs.ts";
import { RATE_SCALE } from "../core/allotment/rate.ts";
import { GENESIS_PARAMETERS } from "../core/parameters.ts";
import { seeded } from "../core/random.ts";
import { chartSvg, type Series } from "./allotment/chart.ts";
import { alarmsPerSecond, costOfDay } from "./allotment/midnight.ts";
import { type DayResult, simulate } from "./allotment/simulate.ts";
import { EVENTS, threeYears } from "./allotment/three-years.ts";

const SEED = 7;
const NANO = 1e9;
const MILLION = 1_000_000;
const folder = fileURLToPath(new URL("../docs/economics/", import.meta.url));

const results = simulate(threeYears(SEED), epochOf(Date.UTC(2027, 0, 1)), GENESIS_PARAMETERS);

function series(name: string, colour: string, valueOf: (result: DayResult) => number | null, dashed = false): Series {
  return { name, colour, dashed, values: results.map(valueOf) };
}

/** nanoUSD for a whole token, in thousandths of a dollar for a thousand of them. */
const perThousand = (rate: bigint) => Number((rate * 1_000_000_000_000n) / RATE_SCALE) / 1e6;

const CHARTS = {
  revenue: {
    title: "Revenue of a day and its 7-day average",
    unit: "USD",
    series: [
      series("revenue of the day", "#bbb", ({ revenue }) => revenue / NANO),
      series("R, the average", "#0a58ca", ({ row }) => row && row.average / NANO),
    ],
  },
  budget: {
    title: "What all allotments of a day come to, and their bound",
    unit: "USD",
    series: [
      series("B_max, the bound", "#c1121f", ({ row }) => row && row.budgetMost / NANO, true),
      series("granted", "#0a58ca", ({ granted }) => granted / NANO),
      series("spent", "#2a9d8f", ({ spent }) => spent / NANO),
    ],
  },
  rate: {
    title: "The rate, and the rate that it aims at",
    unit: "m$ / 1,000",
    series: [
      series("r*, the aim", "#bbb", ({ row }) => row && perThousand(row.target)),
      series("r, the rate in force", "#0a58ca", ({ row }) => (row === null ? 0 : perThousand(row.rate))),
    ],
  },
  stake: {
    title: "Stake that counts, and how much the budget counts by what was spent",
    unit: "million / %",
    series: [
      series("stake in million tokens", "#0a58ca", ({ row }) => row && Number(row.stake / 1_000_000_000n) / 1e6),
      series("a, in per cent", "#e09f3e", ({ row }) => row && row.activity / 100),
    ],
  },
};

mkdirSync(folder, { recursive: true });
for (const [name, chart] of Object.entries(CHARTS)) {
  writeFileSync(`${folder}${name}.svg`, chartSvg({ ...chart, events: EVENTS }));
}
const rows = results.flatMap(({ row }) => row ?? []);
const closest = Math.max(...rows.map(({ obligation, budgetMost }) => (budgetMost === 0 ? 0 : obligation / budgetMost)));
console.log(
  `${results.length} days, ${rows.length} rows; obligation at most ${(closest * 100).toFixed(4)} % of its bound`,
);
console.log(`days at the bound: ${rows.filter(({ bounds }) => bounds.includes("obligation")).length}`);
console.log(`granted ${(results.reduce((sum, { granted }) => sum + granted, 0) / NANO).toFixed(2)} USD`);
console.log(`spent   ${(results.reduce((sum, { spent }) => sum + spent, 0) / NANO).toFixed(2)} USD`);
console.log(`revenue ${(results.reduce((sum, { revenue }) => sum + revenue, 0) / NANO).toFixed(2)} USD`);
const alarms = alarmsPerSecond(MILLION, seeded(SEED));
console.log(
  `a million accounts: ${Math.min(...alarms)} to ${Math.max(...alarms)} alarms a second, for ${alarms.length} s`,
);
console.log(`a day of a million that use nothing: ${costOfDay(MILLION).toFixed(2)} USD`);
