/**
 * An account's money told again, row by row, by the rules alone: what each hold reserved of which lot, what each receipt
 * drew of that, and what was left. Its rows say in which order they were written, so there is one right story.
 */

import { expect } from "vitest";
import type { EntryRecord } from "../../../protocol/internal/account.ts";
import { type Books, bodyOf, type HoldRow } from "./books.ts";
import { type Asked, capOf, MINIMUM_BALANCE, priceOf, promptBoundOf } from "./prices.ts";

interface Lot {
  readonly id: string;
  readonly kind: string;
  available: number;
}

interface Draw {
  readonly lot: Lot;
  readonly amount: number;
}

/** The lots that pay first: bonus before top-up, and of one kind the one whose id comes first. */
const inOrder = (a: Lot, b: Lot): number => (a.kind === b.kind ? (a.id < b.id ? -1 : 1) : a.kind < b.kind ? -1 : 1);

/** Tells an account's story to its end. `askedBy` gives the call of a body's hash. */
export function retell(books: Books, askedBy: (body: string) => Asked): void {
  const story = new Story(askedBy);
  for (let seq = 0; seq <= books.entries.length; seq++) {
    const entry = books.entries[seq - 1];
    if (entry !== undefined) story.entry(entry);
    story.holdsOf(books.holds.filter((row) => row.afterSeq === seq));
  }
  expect({ available: books.available, held: books.held }).toEqual(story.balance());
}

class Story {
  readonly #askedBy: (body: string) => Asked;
  #lots: Lot[] = [];
  readonly #holds = new Map<string, Draw[]>();
  readonly #charged = new Map<string, Draw[]>();

  constructor(askedBy: (body: string) => Asked) {
    this.#askedBy = askedBy;
  }

  balance(): { available: number; held: number } {
    return { available: this.#available, held: sum([...this.#holds.values()].flat().map(({ amount }) => amount)) };
  }

  get #available(): number {
    return sum(this.#lots.map(({ available }) => available));
  }

  /** The rows between two entries. A refusal's place among the holds is not known, so one of the balances must fit it. */
  holdsOf(rows: readonly HoldRow[]): void {
    const balances = [this.#available];
    for (const row of rows) {
      if (row.held === null) continue;
      this.#hold(row);
      balances.push(this.#available);
    }
    for (const row of rows)
      if (row.refused !== null) expect(balances.some((balance) => this.#isRight(row, balance))).toBe(true);
  }

  #hold({ job, body, held }: HoldRow): void {
    const { available } = { available: this.#available };
    const { promptBound, completionCap, price } = termsOf(this.#askedBy(body), available);
    expect(held).toMatchObject({ promptBound, completionCap, price });
    expect(available).toBeGreaterThanOrEqual(Math.max(price, MINIMUM_BALANCE));
    this.#holds.set(job, take(this.#lots, price));
  }

  #isRight({ body, refused }: HoldRow, balance: number): boolean {
    if (refused?.type !== "soft_stop") return false;
    const required = balance < MINIMUM_BALANCE ? MINIMUM_BALANCE : termsOf(this.#askedBy(body), balance).price;
    const { stop } = refused;
    return (
      stop.balance === balance &&
      stop.required === required &&
      stop.shortfall === required - balance &&
      required > balance
    );
  }

  entry(entry: EntryRecord): void {
    const body = bodyOf(entry);
    if (body.lot !== undefined && body.kind !== undefined) {
      const available = (body.millicredits ?? 0) + (body.nano_usd ?? 0);
      this.#lots = [...this.#lots, { id: body.lot, kind: body.kind, available }].toSorted(inOrder);
      return;
    }
    if (body.reversal !== undefined) {
      for (const { lot, amount } of this.#charged.get(body.job ?? "") ?? []) lot.available += amount;
      return;
    }
    const draws = this.#holds.get(body.job ?? "") ?? [];
    this.#holds.delete(body.job ?? "");
    const sources = draws.map(({ lot, amount }) => ({ ...lot, available: amount }));
    if (body.charge !== undefined) {
      const charged = take(sources, body.charge.nano_usd);
      const parts = Map.groupBy(charged, ({ lot }) => lot.kind);
      expect(body.charge.parts.map(({ kind, nano_usd }) => [kind, nano_usd])).toEqual(
        [...parts].map(([kind, part]) => [kind, sum(part.map(({ amount }) => amount))]),
      );
    }
    const rests = sources.map(({ available }) => available);
    for (const [index, { lot }] of draws.entries()) lot.available += rests[index] ?? 0;
    const charged = draws.map(({ lot, amount }, index) => ({ lot, amount: amount - (rests[index] ?? 0) }));
    this.#charged.set(body.job ?? "", charged);
  }
}

function termsOf(asked: Asked, available: number): { promptBound: number; completionCap: number; price: number } {
  const promptBound = promptBoundOf(asked);
  const completionCap = capOf(asked, available);
  return {
    promptBound,
    completionCap,
    price: priceOf({ prompt: promptBound, completion: completionCap * asked.choices }),
  };
}

/** Takes an amount from lots in their order. A nanoUSD is a millicredit, as the peg has not moved since genesis. */
function take(lots: readonly Lot[], amount: number): Draw[] {
  let rest = amount;
  const draws: Draw[] = [];
  for (const lot of lots) {
    const part = Math.min(rest, lot.available);
    if (part === 0) continue;
    lot.available -= part;
    rest -= part;
    draws.push({ lot, amount: part });
  }
  expect(rest).toBe(0);
  return draws;
}

const sum = (amounts: readonly number[]): number => amounts.reduce((total, amount) => total + amount, 0);
