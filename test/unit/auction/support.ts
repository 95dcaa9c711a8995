/** Bidders for tests: a floor in nanoUSD for 1,000 completion tokens, and what else differs. */

import type { Bidder } from "../../../core/auction/auction.ts";
import { Book } from "../../../core/auction/book.ts";
import { marginOf, standingAsk, standingFloor } from "../../../core/auction/standing.ts";
import type { DaemonId, JobId } from "../../../core/ids.ts";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import type { ElectricityFloor } from "../../../core/pricing.ts";
import type { BasisPoints } from "../../../core/units.ts";

export const parameters = GENESIS_PARAMETERS;

export const jobOf = (number: number) => String(number).padStart(22, "0") as JobId;

/** Power that comes to exactly so many nanoUSD for 1,000 completion tokens: watts · price / (3 · speed). */
export function powerOf(floor: number): ElectricityFloor {
  return {
    watts: 3,
    nano_usd_per_kwh: floor * 1_000,
    decode_millitokens_per_second: 1_000,
    prefill_millitokens_per_second: 10_000,
  };
}

export interface Told {
  readonly floor?: number;
  readonly power?: ElectricityFloor;
  readonly margin?: number | null;
  readonly quality?: number;
  readonly running?: number;
  readonly idleSince?: number;
  readonly newcomer?: boolean;
}

export function bidder(daemon: string, told: Told = {}): Bidder {
  const power = told.power ?? powerOf(told.floor ?? 1_000);
  const floor = standingFloor(power, parameters);
  const margin = (told.margin ?? null) as BasisPoints | null;
  return {
    daemon: daemon as DaemonId,
    power,
    floor,
    margin: marginOf(margin, parameters),
    standing: standingAsk(floor, margin, parameters),
    quality: told.quality ?? 10,
    running: told.running ?? 0,
    idleSince: told.idleSince ?? 0,
    newcomer: told.newcomer ?? false,
  };
}

export function bookOf(bidders: readonly Bidder[], isFree: (bidder: Bidder) => boolean = () => true): Book<Bidder> {
  const book = new Book<Bidder>();
  for (const each of bidders) book.put(each, isFree(each));
  return book;
}
