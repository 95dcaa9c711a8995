/** The published record of an auction, from which anybody derives its outcome again (economics.md §4). */

import type { DaemonId, JobId } from "../ids.ts";
import { GENESIS_PARAMETERS, type ParameterName, type Parameters } from "../parameters.ts";
import type { ElectricityFloor } from "../pricing.ts";
import type { BasisPoints, NanoUsd } from "../units.ts";
import { type AuctionOf, type Bidder, type DrawSource, holdAuction, type Question } from "./auction.ts";
import { Book } from "./book.ts";
import { demandOf, type Load } from "./demand.ts";
import { Draws } from "./draw.ts";
import { askAt, marginOf, roundedUp, standingAsk, standingFloor } from "./standing.ts";

export const AUCTION_VERSION = "tollmill/auction/v1";

/** The parameters ◆ that decide an auction; a record carries those that were in force. */
const RULES = [
  "auctionMarginBasisPoints",
  "demandFromBasisPoints",
  "demandFullBasisPoints",
  "demandMostBasisPoints",
  "newcomerReachBasisPoints",
  "newcomerShareBasisPoints",
  "promptWeightDenominator",
  "promptWeightNumerator",
] as const satisfies readonly ParameterName[];
export type AuctionRules = Readonly<Record<(typeof RULES)[number], number>>;

/** One daemon's ask. Prices are nanoUSD for 1,000 completion tokens, rounded up. */
export interface RecordedAsk {
  readonly daemon: DaemonId;
  /** What its floor follows from. */
  readonly power: ElectricityFloor;
  readonly floor: NanoUsd;
  /** The margin that counts, in basis points. */
  readonly margin: BasisPoints;
  /** floor · margin, and that times demand. */
  readonly standing: NanoUsd;
  readonly ask: NanoUsd;
  /** In twentieths: decides between equal asks. */
  readonly quality: number;
  /** Jobs that it ran beside, and when its last one had ended or it had come; milliseconds since 1970. */
  readonly running: number;
  readonly idle_since: number;
  readonly newcomer: boolean;
}

export interface AuctionRecord {
  readonly v: typeof AUCTION_VERSION;
  readonly job: JobId;
  /** `region/model`. */
  readonly pool: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The most that the job paid, in nanoUSD for 1,000 completion tokens. */
  readonly max: NanoUsd;
  readonly rules: AuctionRules;
  readonly demand: Load & { readonly basis_points: BasisPoints };
  /** Standing asks of the pool; `asks` are those that were looked at, in the order in which they are asked. */
  readonly standing_asks: number;
  readonly asks: readonly RecordedAsk[];
  /** Null where no newcomer could be drawn; `among` are those who could, where one was. */
  readonly draw: { readonly day: number; readonly drawn: boolean; readonly among: readonly DaemonId[] } | null;
  readonly winner: DaemonId;
  readonly winning_ask: NanoUsd;
  readonly second_ask: NanoUsd | null;
}

/** Where and when an auction was held. */
export interface Setting {
  readonly pool: string;
  readonly at: number;
  readonly load: Load;
  readonly standingAsks: number;
}

/** Writes an auction down. */
export function recordAuction(
  { job, max, demand }: Question,
  { pool, at, load, standingAsks }: Setting,
  auction: AuctionOf<Bidder>,
  parameters: Parameters,
): AuctionRecord {
  const { winner, winningAsk, secondAsk, considered, draw } = auction;
  return {
    v: AUCTION_VERSION,
    job,
    pool,
    at,
    max,
    rules: Object.fromEntries(RULES.map((name) => [name, parameters[name]])) as AuctionRules,
    demand: { basis_points: demand, slots: load.slots, running: load.running, queued: load.queued },
    standing_asks: standingAsks,
    asks: considered.map((bidder) => ({
      daemon: bidder.daemon,
      power: bidder.power,
      floor: roundedUp(bidder.floor),
      margin: bidder.margin,
      standing: roundedUp(bidder.standing),
      ask: askAt(bidder.standing, demand),
      quality: bidder.quality,
      running: bidder.running,
      idle_since: bidder.idleSince,
      newcomer: bidder.newcomer,
    })),
    draw: draw && { day: draw.day, drawn: draw.drawn, among: draw.among.map(({ daemon }) => daemon) },
    winner: winner.daemon,
    winning_ask: winningAsk,
    second_ask: secondAsk,
  };
}

/**
 * The record that the same inputs lead to: power, margins, qualities, the load and, where it has been revealed, the day's
 * secret. Without a secret the record's word is taken for what was drawn. Null where nobody could have won.
 */
export function recomputeAuction(record: AuctionRecord, secret: Uint8Array | null): AuctionRecord | null {
  const { slots, running, queued } = record.demand;
  const parameters = { ...GENESIS_PARAMETERS, ...record.rules };
  const load = { slots, running, queued };
  const demand = demandOf(load, parameters);
  if (demand === null) return null;
  const book = new Book<Bidder>();
  for (const asked of record.asks) book.put(bidderOf(asked, parameters), true);
  const question = { job: record.job, max: record.max, demand };
  const draws = secret === null ? toldBy(record) : new Draws(secret, record.draw?.day ?? 0);
  const auction = holdAuction(question, book, () => true, draws, parameters);
  if (auction === null) return null;
  const setting = { pool: record.pool, at: record.at, load, standingAsks: record.standing_asks };
  return recordAuction(question, setting, auction, parameters);
}

function bidderOf(asked: RecordedAsk, rules: Parameters): Bidder {
  const { daemon, power, margin, quality, running, idle_since: idleSince, newcomer } = asked;
  const floor = standingFloor(power, rules);
  const standing = standingAsk(floor, margin, rules);
  return { daemon, power, margin: marginOf(margin, rules), floor, standing, quality, running, idleSince, newcomer };
}

/** What a record says of its own draw. */
function toldBy({ draw, winner }: AuctionRecord): DrawSource {
  return {
    day: draw?.day ?? 0,
    of: () => ({ isDrawn: () => draw?.drawn ?? false, pick: () => Math.max(0, draw?.among.indexOf(winner) ?? 0) }),
  };
}
