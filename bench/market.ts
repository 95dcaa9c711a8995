/** `npm run market`: plays a market of a hundred thousand accounts and ten thousand daemons (docs/market-simulation.md). */

import { MARKET_USAGE, type MarketOptions, readMarketOptions } from "./market/options.ts";
import { play } from "./market/play.ts";
import { goalsOf, type MarketReport, renderMarket } from "./market/report.ts";
import { scenariosAt } from "./market/scenario.ts";

function simulate({ seed, scale, only }: MarketOptions): MarketReport {
  const start = performance.now();
  const progress = (text: string): void => void process.stderr.write(`  ${text}\n`);
  const scenarios = scenariosAt(scale).filter(({ name }) => only?.has(name) ?? true);
  const played = scenarios.flatMap((scenario) => play(scenario, seed, progress));
  const seconds = (performance.now() - start) / 1_000;
  return { date: new Date().toISOString().slice(0, 10), seed, seconds, played };
}

function main(): void {
  let options: MarketOptions;
  try {
    options = readMarketOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${MARKET_USAGE}`);
    process.exitCode = 1;
    return;
  }
  const report = simulate(options);
  console.log(options.json ? JSON.stringify(report, null, 2) : renderMarket(report));
  if (goalsOf(report.played).some(({ reached }) => reached === false)) process.exitCode = 1;
}

main();
