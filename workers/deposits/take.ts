/** Looks at one transaction: reads what it brought, finds who is meant, judges it, and writes all of that at once. */

import { type DepositReason, judgePayment, type Part } from "../../core/deposits/judge.ts";
import { type AccountId, base62 } from "../../core/ids.ts";
import { hashText, hexToBytes } from "../../core/receipt/canonical.ts";
import { MAX_AMOUNT, type MicroUsdc, microUsdc, nanoUsd, nanoUsdOf } from "../../core/units.ts";
import { type IntentRow, intentsByReference } from "../../db/deposit-intents.ts";
import { addTransaction, type DepositRow, isPackagePaid, takenSignatures } from "../../db/deposits.ts";
import { type Arrival, type Reading, readArrivals, type Treasury, WHOLE } from "../../protocol/solana/arrivals.ts";
import type { ChainTransaction } from "../../protocol/solana/transaction.ts";
import type { Chain } from "./chain.ts";

/** Beyond this an amount of USDC has no exact nanoUSD. */
const MOST_MICRO_USDC = MAX_AMOUNT / 1_000;
/** Whoever is overtaken reads again; more than two payments of a package at the same moment are no accident. */
const ATTEMPTS = 4;

/** Takes a transaction in, once, whoever else does at the same time. `now` stands in for a block without a time. */
export async function takeTransaction(
  db: D1Database,
  chain: Chain,
  treasury: Treasury,
  signature: string,
  now: number,
): Promise<void> {
  const transaction = await chain.transaction(signature);
  const reading = readArrivals(transaction, treasury);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const intents = await intentsByReference(db, [...transaction.keys, ...transaction.memos]);
    const rows = await rowsOf(db, transaction, reading, treasury, intents, now);
    const { slot, at } = transaction;
    const { received, sent } = reading;
    if (await addTransaction(db, { signature, slot, at: at ?? now, received, sent }, rows)) return;
    if ((await takenSignatures(db, [signature])).size > 0) return;
  }
  throw new Error(`transaction ${signature} could not be taken in`);
}

async function rowsOf(
  db: D1Database,
  transaction: ChainTransaction,
  { arrivals, others }: Reading,
  treasury: Treasury,
  intents: readonly IntentRow[],
  now: number,
): Promise<DepositRow[]> {
  const rowOf = rowMaker(transaction, treasury, now);
  if (transaction.failed) return intents.map((intent) => rowOf({ intent, reason: "failed", state: "failed" }));
  const wrong = others.map((arrival) => {
    const intent = only(intentsOf(arrival, [...arrivals, ...others], intents));
    return rowOf({ arrival, intent, reason: "wrong_mint" });
  });
  // Another coin without a reference is no business of the network's.
  const rows = wrong.filter(({ account }) => account !== null);
  const paid = new Set<string>();
  for (const arrival of arrivals) {
    const meant = intentsOf(arrival, [...arrivals, ...others], intents);
    const amount = microUsdc(Number(arrival.units));
    const intent = only(meant);
    const reason = suspicion(arrival, amount, meant);
    if (reason !== null || intent === null) {
      rows.push(rowOf({ arrival, intent, amount, reason: reason ?? "no_reference" }));
      continue;
    }
    const name = `${intent.account}/${intent.id}`;
    const paidBefore = paid.has(name) || (await isPackagePaid(db, intent.account, intent.id));
    for (const part of judgePayment(askedOf(intent), amount, transaction.at ?? now, paidBefore)) {
      if (part.kind === "package") paid.add(name);
      rows.push(rowOf({ arrival, intent, amount: part.amount, part, reason: part.reason, state: "seen" }));
    }
  }
  return rows;
}

/** Why an arrival is left to operators, or null. */
function suspicion({ instruction }: Arrival, amount: MicroUsdc, meant: readonly IntentRow[]): DepositReason | null {
  if (instruction === WHOLE) return "unreadable";
  if (meant.length === 0) return "no_reference";
  if (meant.length > 1) return "several_references";
  return amount > MOST_MICRO_USDC ? "account_full" : null;
}

/** The intents that an arrival names; where it names none, those of the transaction that no other arrival names. */
function intentsOf(arrival: Arrival, all: readonly Arrival[], intents: readonly IntentRow[]): readonly IntentRow[] {
  const named = intents.filter(({ reference }) => arrival.named.includes(reference));
  if (named.length > 0) return named;
  return intents.filter(({ reference }) => !all.some((other) => other.named.includes(reference)));
}

function only(intents: readonly IntentRow[]): IntentRow | null {
  return intents.length === 1 ? (intents[0] ?? null) : null;
}

function askedOf({ kind, micro_usdc, expires_at, package: id, included, slots, valid_ms }: IntentRow) {
  const terms =
    id === null || included === null || slots === null || valid_ms === null
      ? null
      : { id, included, slots, validMs: valid_ms };
  return { kind, amount: micro_usdc, expiresAt: expires_at, package: terms };
}

interface RowFacts {
  readonly arrival?: Arrival;
  readonly intent: IntentRow | null;
  readonly amount?: MicroUsdc;
  readonly part?: Part;
  readonly reason: DepositReason;
  readonly state?: "seen" | "suspense" | "failed";
}

function rowMaker({ signature, at, slot: _slot }: ChainTransaction, treasury: Treasury, now: number) {
  return ({ arrival, intent, amount = microUsdc(0), part, reason, state = "suspense" }: RowFacts): DepositRow => {
    const instruction = arrival?.instruction ?? WHOLE;
    const kind = part?.kind ?? "topup";
    const isPackage = kind === "package";
    return {
      id: depositId(signature, instruction, intent, kind),
      signature,
      instruction,
      at: at ?? now,
      seen_at: now,
      account: intent?.account ?? null,
      intent: intent?.id ?? null,
      kind,
      mint: arrival?.mint || treasury.mint,
      units: String(part?.amount ?? arrival?.units ?? 0n),
      micro_usdc: amount,
      payer: arrival?.payer ?? null,
      state,
      reason,
      lot: part?.lot ?? (amount <= MOST_MICRO_USDC ? nanoUsdOf(amount) : nanoUsd(0)),
      package: isPackage ? (intent?.package ?? null) : null,
      slots: isPackage ? (intent?.slots ?? null) : null,
      // From when it was seen, so that a late look takes nothing away; fixed here, so that every try to credit is the same.
      lot_expires_at: isPackage ? now + (intent?.valid_ms ?? 0) : null,
      seq: null,
      resolution: null,
    };
  };
}

/** Follows from what it names, so that the same payment is the same deposit. */
export function depositId(
  signature: string,
  instruction: number,
  intent: { readonly account: AccountId; readonly id: string } | null,
  kind: "topup" | "package",
): string {
  // A failed transaction has a row for each intent that it names, and a package's payment one for what is over it.
  const whose = intent === null ? "" : `${intent.account}/${intent.id}`;
  return base62(
    hexToBytes(hashText(`tollmill/deposit/v1\n${signature}/${instruction}/${whose}/${kind}`)).subarray(0, 16),
  );
}
