/** Ending a hold, once: post, void or expire (economics.md §6). */

import type { JobId } from "../ids.ts";
import { isCharged, type Outcome } from "../outcome.ts";
import { priceAtRate, priceOf, type Terms, type Tokens } from "../pricing.ts";
import type { ChargePart } from "../split.ts";
import { GENESIS_PEG, type Millicredits, type NanoUsd, type Peg } from "../units.ts";
import { type Draw, type Drawn, draw } from "./lots.ts";
import type { AccountState, Hold } from "./state.ts";

/** What a job is charged: the price of its tokens, never more than its hold, drawn from what the hold reserved. */
export interface Charge {
  readonly nanoUsd: NanoUsd;
  readonly parts: readonly ChargePart[];
  readonly draws: readonly Draw[];
  readonly peg: Peg;
}

/** The price that an outcome is charged at terms for tokens, before the hold's bound. */
export function chargeable(outcome: Outcome, terms: Terms, tokens: Tokens): NanoUsd {
  return isCharged(outcome) ? priceOf(terms, tokens) : (0 as NanoUsd);
}

/** Draws the charge of a job from its open hold; a job whose hold is gone is charged nothing. */
export function chargeHold(hold: Hold | undefined, outcome: Outcome, terms: Terms, tokens: Tokens): Charge {
  if (hold === undefined) return { nanoUsd: 0 as NanoUsd, parts: [], draws: [], peg: GENESIS_PEG };
  const nanoUsd = Math.min(hold.price, chargeable(outcome, terms, tokens)) as NanoUsd;
  // As in the hold, an allotment pays the catalog's rate at most.
  const first = draw(hold.draws, nanoUsd, hold.peg, { allotment: priceAtRate(terms.rate, tokens) });
  const { draws, covered } = first.covered === nanoUsd ? first : drawRest(hold, first, nanoUsd);
  if (covered !== nanoUsd) throw new Error(`hold of ${hold.job} does not cover its own charge`);
  return { nanoUsd, parts: partsOf(draws), draws: draws.map(({ covers: _, ...rest }) => rest), peg: hold.peg };
}

/** What a bound of the first drawing left uncovered, from whatever else the hold reserved: prices round by a unit. */
function drawRest(hold: Hold, first: Drawn, nanoUsd: NanoUsd): Drawn {
  const taken = new Map(first.draws.map(({ lot, amount }) => [lot, amount]));
  const left = hold.draws.map((each) => ({ ...each, amount: each.amount - (taken.get(each.lot) ?? 0) }));
  const rest = draw(left, (nanoUsd - first.covered) as NanoUsd, hold.peg);
  const draws = new Map(first.draws.map((each) => [each.lot, each]));
  for (const each of rest.draws) {
    const before = draws.get(each.lot);
    const covers = ((before?.covers ?? 0) + each.covers) as NanoUsd;
    draws.set(each.lot, { ...each, amount: (before?.amount ?? 0) + each.amount, covers });
  }
  return { draws: [...draws.values()], covered: (first.covered + rest.covered) as NanoUsd };
}

/** Adds up draws of one kind and backing into the parts that a receipt lists. */
function partsOf(draws: readonly (Draw & { covers: NanoUsd })[]): ChargePart[] {
  const parts = new Map<string, ChargePart>();
  for (const { kind, backing, amount, covers } of draws) {
    const key = `${kind}/${backing}`;
    const before = parts.get(key);
    // In the order of RFC 8785, as all that goes into a receipt.
    parts.set(key, {
      backing,
      kind,
      millicredits: ((before?.millicredits ?? 0) + (backing === "usdc" ? 0 : amount)) as Millicredits,
      nano_usd: ((before?.nano_usd ?? 0) + covers) as NanoUsd,
    });
  }
  return [...parts.values()];
}

/** The open holds whose time is over. */
export function expiredHolds(state: AccountState, now: number): JobId[] {
  return [...state.holds.values()].filter((hold) => hold.expiresAt <= now).map((hold) => hold.job);
}

/** The lots whose time is over and that still have something available; what is held expires when it is released. */
export function expiredLots(state: AccountState, now: number): { lot: string; amount: number }[] {
  return [...state.lots.values()]
    .filter((lot) => lot.expiresAt !== null && lot.expiresAt <= now && lot.available > 0)
    .map((lot) => ({ lot: lot.id, amount: lot.available }));
}
