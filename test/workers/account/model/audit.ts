/**
 * Where every unit must be, worked out from what callers were told and from the texts of the entries: a second, simplest
 * set of books. In the first pass a transfer may be on its way; at rest it must have arrived.
 */

import { evictDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import { LOT_KINDS } from "../../../../core/account/lots.ts";
import type { ReceiptBody } from "../../../../core/receipt/body.ts";
import type { EntryRecord, KeyView } from "../../../../protocol/internal/account.ts";
import { walkChain } from "../../../support/chain.ts";
import { type Bank, entries, foldOf, sumOf } from "../bank.ts";
import { ACCOUNTS } from "./steps.ts";
import { APP_BUDGET, PACKAGE_SLOTS, type World } from "./world.ts";

interface Plain {
  readonly lot: string;
  readonly kind: string;
  readonly backing: "usdc" | "none";
  readonly nano_usd: number;
  readonly millicredits: number;
  readonly at: number;
  readonly direction: "in" | "out";
  readonly transfer: string;
  readonly account: string;
}

type Book = Record<string, number>;

/** Where a transfer draws from, in one sum for each backing, as its entry does not name the lots. */
const SENT_FROM = ["received", "earned", "topup"];
const placeOf = (kind: string, backing: string) => `${SENT_FROM.includes(kind) ? "sendable" : kind} ${backing}`;
const addTo = (book: Book, place: string, amount: number) => {
  book[place] = (book[place] ?? 0) + amount;
};
const inUnit = (part: { backing: string; nano_usd: number; millicredits: number }) =>
  part.backing === "usdc" ? part.nano_usd : part.millicredits;
const plain = ({ body }: EntryRecord) => JSON.parse(body) as Plain;

export async function audit(world: World, { atRest }: { atRest: boolean }): Promise<void> {
  const chains: EntryRecord[][] = [];
  for (let who = 0; who < ACCOUNTS; who++) {
    const bank = world.bank(who);
    await checkMemory(bank);
    const chain = await entries(bank);
    walkChain(chain);
    await checkBalance(world, who, chain);
    checkOnce(world, who, chain);
    await checkSlots(world, who, chain);
    await checkKey(world, who);
    chains.push(chain);
  }
  checkTransfers(world, chains, atRest);
  checkClosedLoop(chains);
}

/** What an object remembers is what its rows say, with its snapshot and without. */
async function checkMemory(bank: Bank): Promise<void> {
  const remembered = await bank.rpc.balance(bank.credentials);
  const keys = await keysOf(bank);
  expect(await foldOf(bank)).toBe(await foldOf(bank, false));
  await evictDurableObject(bank.stub);
  expect(await bank.rpc.balance(bank.credentials)).toEqual(remembered);
  expect(await keysOf(bank)).toEqual(keys);
}

/** Without an order: keys that were made in the same millisecond have none. */
async function keysOf(bank: Bank): Promise<Map<string, KeyView>> {
  const answer = await bank.rpc.keys(bank.credentials);
  if (!answer.ok) throw new Error(answer.refusal.code);
  return new Map(answer.value.map((key) => [key.id, key]));
}

async function checkBalance(world: World, who: number, chain: readonly EntryRecord[]): Promise<void> {
  const bank = world.bank(who);
  const expected: Book = {};
  for (const { kind, backing, amount } of world.credits.filter((each) => each.who === who)) {
    addTo(expected, placeOf(kind, backing), amount);
  }
  for (const { receipt, reversal } of world.jobs.filter((job) => job.who === who)) {
    for (const text of [receipt, reversal]) {
      if (text === null) continue;
      const { charge } = JSON.parse(text) as ReceiptBody;
      for (const part of charge.parts) addTo(expected, placeOf(part.kind, part.backing), -inUnit(part));
    }
  }
  for (const entry of chain) {
    const body = plain(entry);
    if (entry.type === "expiry") addTo(expected, placeOf(body.kind, body.backing), -inUnit(body));
    if (entry.type !== "transfer" || body.direction === undefined) continue;
    if (body.direction === "in") addTo(expected, "sendable none", body.millicredits);
    else {
      addTo(expected, "sendable usdc", -body.nano_usd);
      addTo(expected, "sendable none", body.nano_usd - body.millicredits);
    }
  }
  const answer = await bank.rpc.balance(bank.credentials);
  if (!answer.ok) throw new Error(answer.refusal.code);
  const found: Book = {};
  for (const { kind, backing, available, held, expiresAt } of answer.value.lots) {
    expect(Math.min(available, held)).toBeGreaterThanOrEqual(0);
    if (expiresAt !== null && expiresAt <= Date.now()) expect(available).toBe(0);
    addTo(found, placeOf(kind, backing), available + held);
  }
  for (const kind of LOT_KINDS) {
    for (const backing of ["usdc", "none"]) {
      const place = placeOf(kind, backing);
      expect([place, found[place] ?? 0]).toEqual([place, expected[place] ?? 0]);
    }
  }
  expect(sumOf(chain)).toBe(answer.value.available + answer.value.held);
}

/** What callers were told is in the chain once, and nothing else is. */
function checkOnce(world: World, who: number, chain: readonly EntryRecord[]): void {
  const own = world.jobs.filter((job) => job.who === who);
  const told = own.flatMap(({ receipt, reversal }) => [receipt, reversal]).filter((text) => text !== null);
  const isReceipt = ({ body }: EntryRecord) => (JSON.parse(body) as Partial<ReceiptBody>).charge !== undefined;
  expect(
    chain
      .filter(isReceipt)
      .map(({ body }) => body)
      .toSorted(),
  ).toEqual(told.toSorted());

  const credits = world.credits.filter((each) => each.who === who);
  const rest = chain.filter((entry) => !isReceipt(entry));
  const lots = rest.filter((entry) => entry.type !== "expiry" && plain(entry).lot !== undefined);
  expect(lots.map((entry) => [plain(entry).lot, entry.seq])).toEqual(credits.map(({ id, seq }) => [id, seq]));
  for (const entry of rest.filter(({ type }) => type === "expiry")) {
    const expiresAt = credits.find(({ id }) => id === plain(entry).lot)?.expiresAt ?? Number.POSITIVE_INFINITY;
    expect(expiresAt).toBeLessThanOrEqual(entry.at);
  }
  // Who voids a hold that had run out is told that it has ended, too.
  const jobsOf = (type: string) =>
    rest.filter((entry) => entry.type === type).map(({ body }) => (JSON.parse(body) as { job: string }).job);
  const [voided, expired] = [jobsOf("void"), jobsOf("hold_expired")];
  const toldVoided = own.filter((job) => job.voided).map(({ job }) => job as string);
  expect(new Set([...voided, ...expired]).size).toBe(voided.length + expired.length);
  expect(toldVoided).toEqual(expect.arrayContaining(voided));
  expect([...voided, ...expired]).toEqual(expect.arrayContaining(toldVoided));
}

/** Of the jobs that were told they have a slot, those are in it that no entry has ended. */
async function checkSlots(world: World, who: number, chain: readonly EntryRecord[]): Promise<void> {
  const answer = await world.bank(who).rpc.balance(world.bank(who).credentials);
  if (!answer.ok) throw new Error(answer.refusal.code);
  const ended = new Set(chain.map(({ body }) => (JSON.parse(body) as { job?: string }).job));
  const open = world.jobs.filter((job) => job.who === who && !ended.has(job.job));
  for (const { terms } of open) expect(terms.reserved && terms.lane !== "dedicated").toBe(false);
  const lots = answer.value.lots.filter(
    ({ kind, expiresAt }) => kind === "package" && (expiresAt ?? Date.now() + 1) > Date.now(),
  );
  const expected =
    lots.length === 0
      ? null
      : { slots: PACKAGE_SLOTS * lots.length, inUse: open.filter((job) => job.terms.reserved).length };
  expect(answer.value.packages).toEqual(expected);
}

/** No key has spent and reserved more than its budget. */
async function checkKey(world: World, who: number): Promise<void> {
  const app = (await keysOf(world.bank(who))).get(world.appKey(who));
  if (app === undefined) throw new Error("the application's key is gone");
  expect(Math.min(app.spent, app.held)).toBeGreaterThanOrEqual(0);
  expect(app.spent + app.held).toBeLessThanOrEqual(APP_BUDGET);
}

/** What left one account arrives at the one it was sent to: never twice, and at rest always. */
function checkTransfers(world: World, chains: readonly (readonly EntryRecord[])[], atRest: boolean): void {
  const moves = (direction: "in" | "out") =>
    chains.flatMap((chain, who) =>
      chain
        .filter(({ type }) => type === "transfer")
        .map(plain)
        .filter((body) => body.direction === direction)
        .map(({ transfer, account, millicredits }) => {
          const [from, to] = direction === "out" ? [who, world.indexOf(account)] : [world.indexOf(account), who];
          return `${transfer} ${from}→${to} ${millicredits}`;
        }),
    );
  const told = world.sent.map(({ id, from, to, millicredits }) => {
    return `${id} ${world.indexOf(from)}→${world.indexOf(to)} ${millicredits}`;
  });
  expect(moves("out").toSorted()).toEqual(told.toSorted());
  const arrived = moves("in");
  expect(new Set(arrived).size).toBe(arrived.length);
  if (atRest) expect(arrived.toSorted()).toEqual(told.toSorted());
  else expect(told).toEqual(expect.arrayContaining(arrived));
}

/** In each receipt what is owed is what was drawn, in the same unit; what arrives from another account has no backing. */
function checkClosedLoop(chains: readonly (readonly EntryRecord[])[]): void {
  for (const entry of chains.flat()) {
    const { charge, split } = JSON.parse(entry.body) as Partial<ReceiptBody>;
    if (charge === undefined || split === undefined) {
      const { direction, nano_usd } = plain(entry);
      if (direction === "in") expect(nano_usd).toBe(0);
      continue;
    }
    for (const backing of ["usdc", "none"] as const) {
      const drawn = charge.parts.filter((part) => part.backing === backing).map(inUnit);
      const owed = split.filter((line) => line.backing === backing).map(inUnit);
      const sum = (amounts: readonly number[]) => amounts.reduce((total, each) => total + each, 0);
      expect(sum(owed)).toBe(sum(drawn));
    }
  }
}
