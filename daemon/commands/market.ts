/** `tollmill market`: what is asked and what waits; and the record of one job's auction, computed again. */

import { drawCommitment } from "../../core/auction/draw.ts";
import { type AuctionRecord, recomputeAuction } from "../../core/auction/record.ts";
import { canonicalText, hexToBytes } from "../../core/receipt/canonical.ts";
import { formatUsd } from "../../core/units.ts";
import { auctionRecord } from "../../protocol/auction.ts";
import { draws, market } from "../../protocol/network/market.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

export interface AuctionFlags extends GlobalFlags {
  readonly verify?: boolean;
}

export async function showMarket(context: Context, flags: GlobalFlags): Promise<ExitCode> {
  // Everybody may ask, so no key is sent.
  const settings = { ...(await settingsOf(context, flags)), apiKey: null };
  const found = await callJson(settings, "/api/v1/market", market);
  const { terminal } = context;
  if (flags.json === true) {
    terminal.out(JSON.stringify(found));
    return EXIT.ok;
  }
  const cells = found.pools.map(({ model, region, supply, lanes, demand, asks }) => [
    model,
    region,
    `${supply.free}/${supply.slots}`,
    String(lanes.reduce((sum, { waiting }) => sum + waiting, 0)),
    String(asks.count),
    asks.lowest ?? "none",
    asks.median ?? "none",
    demand ?? "none",
  ]);
  const numbers = ["free", "waiting", "asks", "lowest USD", "median USD", "demand"];
  terminal.out(table(["model", "region", ...numbers], cells, numbers));
  for (const { model, region, lanes } of found.pools) {
    const busy = lanes.filter(({ waiting, running, units }) => waiting + running + units > 0);
    if (busy.length === 0) continue;
    const rows = busy.map(({ lane, waiting, running, share }) => [
      lane,
      String(waiting),
      String(running),
      `${(share * 100).toFixed(1)} %`,
    ]);
    terminal.out(`\n${model} in ${region}:`);
    terminal.out(table(["lane", "waiting", "running", "share"], rows, ["waiting", "running", "share"]));
  }
  return EXIT.ok;
}

export async function showAuction(context: Context, job: string, flags: AuctionFlags): Promise<ExitCode> {
  const settings = { ...(await settingsOf(context, flags)), apiKey: null };
  const record = await callJson(settings, `/api/v1/market/auctions/${encodeURIComponent(job)}`, auctionRecord);
  const { terminal } = context;
  if (flags.verify !== true) {
    terminal.out(flags.json === true ? JSON.stringify(record) : described(record));
    return EXIT.ok;
  }
  const day = record.draw === null ? null : await callJson(settings, `/api/v1/market/draws/${record.draw.day}`, draws);
  const verdict = verdictOf(record, day?.commitment ?? null, day?.secret ?? null);
  if (flags.json === true) terminal.out(JSON.stringify({ job, ...verdict }));
  else {
    terminal.out(described(record));
    terminal.out(verdict.ok ? `✓ ${verdict.detail}` : `✗ ${verdict.detail}`);
  }
  return verdict.ok ? EXIT.ok : EXIT.refused;
}

interface Verdict {
  readonly ok: boolean;
  readonly detail: string;
}

/** Whether the same inputs lead to the same outcome, with the day's secret where it has been revealed. */
function verdictOf(record: AuctionRecord, commitment: string | null, secretText: string | null): Verdict {
  const secret = secretText === null ? null : hexToBytes(secretText);
  if (secret !== null && drawCommitment(secret) !== commitment) {
    return { ok: false, detail: "the day's secret is not the one that was committed to" };
  }
  const again = recomputeAuction(record, secret);
  if (again === null || canonicalText(again) !== canonicalText(record)) {
    return { ok: false, detail: "the asks, the demand or the draw lead to another outcome" };
  }
  if (record.draw === null) return { ok: true, detail: "asks, demand and winner follow from the record" };
  return {
    ok: true,
    detail:
      secret === null
        ? "asks, demand and winner follow from the record; whether a newcomer was drawn can be checked once the day is over"
        : "asks, demand, draw and winner follow from the record and the day's secret",
  };
}

function described(record: AuctionRecord): string {
  const { demand, asks, winner, standing_asks: all, max, draw } = record;
  const rows = asks.map(({ daemon, floor, margin, ask, quality, newcomer }) => [
    `${daemon === winner ? "* " : ""}${daemon}`,
    formatUsd(floor),
    (margin / 10_000).toFixed(2),
    formatUsd(ask),
    (quality / 20).toFixed(2),
    newcomer ? "newcomer" : "",
  ]);
  const numbers = ["floor USD", "margin", "ask USD", "quality"];
  const { slots, running, queued, basis_points: factor } = demand;
  return [
    `${record.pool} at ${new Date(record.at).toISOString()}, at most ${formatUsd(max)} USD for 1,000 tokens`,
    `demand ${(factor / 10_000).toFixed(4)}: ${slots} slots, ${running} running, ${queued} waiting; ${all} standing asks`,
    table(["daemon (* won)", ...numbers, ""], rows, numbers),
    draw === null ? "no newcomer could be drawn" : `a newcomer was ${draw.drawn ? "drawn" : "not drawn"}`,
  ].join("\n");
}
