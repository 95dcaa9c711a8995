/** Which transactions the network signs as the fee payer: each rule is broken once. */

import {
  createAssociatedTokenAccountIdempotentInstruction,
  createTransferCheckedInstruction,
  createTransferInstruction,
  TOKEN_2022_PROGRAM_ID,
} from "@solana/spl-token";
import {
  AddressLookupTableAccount,
  ComputeBudgetProgram,
  PublicKey,
  SystemProgram,
  type TransactionInstruction,
} from "@solana/web3.js";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { topUpFor } from "../../../core/deposits/top-up.ts";
import { LIMITS } from "../../../core/limits.ts";
import { GENESIS_PEG, type Millicredits, microUsdc } from "../../../core/units.ts";
import { memoOf } from "../../../protocol/x402/challenge.ts";
import { checkPayment, type Wanted } from "../../../protocol/x402/check-payment.ts";
import { encodeHeader, parsePayment } from "../../../protocol/x402/messages.ts";
import { readWire, signWire } from "../../../workers/x402/wire.ts";
import { keyOf, TREASURY } from "../../support/payments.ts";
import {
  type Draft,
  FEE_PAYER,
  keypair,
  memoInstruction,
  PAYER,
  PAYERS_TOKENS,
  type Parts,
  partsOf,
  signedPayment,
} from "../../support/x402.ts";

const WANTED: Wanted = {
  feePayer: FEE_PAYER.publicKey.toBase58(),
  mint: TREASURY.mint,
  tokenAccount: TREASURY.tokenAccount,
  amount: microUsdc(50_000_000),
  memo: keyOf(80),
};
const PARTS = partsOf(WANTED);
const [MINT, TO] = [new PublicKey(WANTED.mint), new PublicKey(WANTED.tokenAccount)];
const [FEES, OTHER] = [FEE_PAYER.publicKey, new PublicKey(keyOf(90))];

function codeOf(changes: Partial<Draft>): string {
  const checked = checkPayment(readWire(signedPayment(WANTED, changes)).wire, WANTED);
  return checked.ok ? "ok" : checked.refusal.code;
}

const inOrder = (parts: Parts, ...more: TransactionInstruction[]) => ({
  instructions: [parts.limit, parts.price, parts.transfer, parts.memo, ...more],
});
const changed = (changes: Partial<Parts>) => inOrder({ ...PARTS, ...changes });
const transfer = (changes: Partial<Wanted>) => changed({ transfer: partsOf({ ...WANTED, ...changes }).transfer });
const transferOf = (source: PublicKey, authority: PublicKey, amount = 50_000_000) =>
  createTransferCheckedInstruction(source, MINT, TO, authority, amount, 6);
const units = (count: number) => ComputeBudgetProgram.setComputeUnitLimit({ units: count });
const priced = (microLamports: number) => ComputeBudgetProgram.setComputeUnitPrice({ microLamports });

it("takes what pays exactly what was asked for, and says who pays", () => {
  const checked = checkPayment(readWire(signedPayment(WANTED)).wire, WANTED);
  expect(checked).toEqual({ ok: true, payer: PAYER.publicKey.toBase58() });
});

describe("refuses", () => {
  const table = new AddressLookupTableAccount({
    key: new PublicKey(keyOf(91)),
    state: { deactivationSlot: 2n ** 64n - 1n, lastExtendedSlot: 0, lastExtendedSlotStartIndex: 0, addresses: [TO] },
  });
  const lamports = SystemProgram.transfer({ fromPubkey: PAYER.publicKey, toPubkey: OTHER, lamports: 1 });
  const drain = SystemProgram.transfer({ fromPubkey: FEES, toPubkey: OTHER, lamports: 1 });
  const open = createAssociatedTokenAccountIdempotentInstruction(PAYER.publicKey, OTHER, OTHER, MINT);
  const multisig = createTransferCheckedInstruction(PAYERS_TOKENS, MINT, TO, OTHER, 50_000_000, 6, [PAYER]);
  const nonce = SystemProgram.nonceAdvance({ noncePubkey: OTHER, authorizedPubkey: PAYER.publicKey });

  it.each<[string, Partial<Draft>, string]>([
    ["a unit more", transfer({ amount: microUsdc(50_000_001) }), "payment_wrong_amount"],
    ["a unit less", transfer({ amount: microUsdc(49_999_999) }), "payment_wrong_amount"],
    ["another coin", transfer({ mint: keyOf(92) }), "payment_wrong_mint"],
    ["another destination", transfer({ tokenAccount: keyOf(93) }), "payment_wrong_destination"],
    ["the treasury paying itself", changed({ transfer: transferOf(TO, PAYER.publicKey) }), "payment_wrong_destination"],
    [
      "the network's fee payer for the payer",
      changed({ transfer: transferOf(PAYERS_TOKENS, FEES) }),
      "payment_wrong_fee_payer",
    ],
    ["the fee payer as a source", changed({ transfer: transferOf(FEES, PAYER.publicKey) }), "payment_wrong_fee_payer"],
    ["the fee payer in a memo", changed({ memo: memoInstruction(WANTED.memo, FEES) }), "payment_wrong_fee_payer"],
    [
      "the fee payer drained",
      { instructions: [PARTS.limit, PARTS.price, drain, PARTS.memo] },
      "payment_wrong_fee_payer",
    ],
    [
      "another fee payer",
      { feePayer: keypair(13).publicKey, signers: [keypair(13), PAYER] },
      "payment_wrong_fee_payer",
    ],
    ["the payer as the fee payer", { feePayer: PAYER.publicKey }, "payment_wrong_fee_payer"],
    ["a fifth instruction", inOrder(PARTS, lamports), "payment_foreign_instruction"],
    ["a second transfer", inOrder(PARTS, PARTS.transfer), "payment_foreign_instruction"],
    ["another program's instruction", changed({ memo: lamports }), "payment_foreign_instruction"],
    ["a token account that is opened", changed({ price: open }), "payment_foreign_instruction"],
    ["a nonce that is advanced first", changed({ limit: nonce }), "payment_foreign_instruction"],
    [
      "the newer token program",
      changed({
        transfer: createTransferCheckedInstruction(
          PAYERS_TOKENS,
          MINT,
          TO,
          PAYER.publicKey,
          50_000_000,
          6,
          [],
          TOKEN_2022_PROGRAM_ID,
        ),
      }),
      "payment_foreign_instruction",
    ],
    [
      "an unchecked transfer",
      changed({ transfer: createTransferInstruction(PAYERS_TOKENS, TO, PAYER.publicKey, 50_000_000) }),
      "payment_foreign_instruction",
    ],
    ["a multisig's transfer", changed({ transfer: multisig }), "payment_foreign_instruction"],
    ["no compute budget", { instructions: [PARTS.transfer, PARTS.memo] }, "payment_foreign_instruction"],
    ["a budget in another order", changed({ limit: PARTS.price, price: PARTS.limit }), "payment_foreign_instruction"],
    ["no memo", { instructions: [PARTS.limit, PARTS.price, PARTS.transfer] }, "payment_foreign_instruction"],
    ["two memos", inOrder(PARTS, PARTS.memo), "payment_foreign_instruction"],
    [
      "a memo that names an account",
      changed({ memo: memoInstruction(WANTED.memo, OTHER) }),
      "payment_foreign_instruction",
    ],
    ["another memo", changed({ memo: memoInstruction(keyOf(81)) }), "payment_wrong_memo"],
    ["a longer memo", changed({ memo: memoInstruction(`${WANTED.memo}!`) }), "payment_wrong_memo"],
    ["a lookup table", { tables: [table] }, "payment_foreign_instruction"],
    ["more units than it needs", changed({ limit: units(LIMITS.x402ComputeUnits + 1) }), "payment_fee_too_high"],
    ["a price above the bound", changed({ limit: units(100_000), price: priced(100_001) }), "payment_fee_too_high"],
    ["nobody's signature", { signers: [] }, "payment_wrong_signature"],
    [
      "a transfer that somebody else signs",
      { ...changed({ transfer: transferOf(PAYERS_TOKENS, keypair(14).publicKey) }), signers: [keypair(15)] },
      "payment_wrong_signature",
    ],
  ])("%s", (_what, changes, code) => {
    const signers = changes.signers?.filter((signer) => namesOf(changes).has(signer.publicKey.toBase58()));
    expect(codeOf(signers === undefined ? onlyNamed(changes) : { ...changes, signers })).toBe(code);
  });

  it("a signer who is not the one whose money it is", () => {
    const moved = transferOf(PAYER.publicKey, OTHER);
    for (const key of moved.keys) key.isSigner = key.pubkey.equals(PAYER.publicKey);
    expect(codeOf(changed({ transfer: moved }))).toBe("payment_wrong_signature");
  });

  it("a message that was changed after it was signed", () => {
    const bytes = signedPayment(WANTED);
    const last = bytes.length - 40;
    bytes[last] = (bytes[last] ?? 0) ^ 1;
    const checked = checkPayment(readWire(bytes).wire, WANTED);
    expect(checked.ok).toBe(false);
  });
});

/** The keys that a draft's transaction names: its library refuses signatures of others. */
function namesOf({ instructions = inOrder(PARTS).instructions, feePayer = FEES }: Partial<Draft>): Set<string> {
  const keys = instructions.flatMap(({ keys: named }) => named.filter(({ isSigner }) => isSigner));
  return new Set([feePayer.toBase58(), ...keys.map(({ pubkey }) => pubkey.toBase58())]);
}

function onlyNamed(changes: Partial<Draft>): Partial<Draft> {
  return namesOf(changes).has(PAYER.publicKey.toBase58()) ? changes : { ...changes, signers: [] };
}

it("takes the dearest fee that it may, and no lamport more", () => {
  const most = LIMITS.x402PriorityLamports * 10;
  expect(codeOf(changed({ limit: units(100_000), price: priced(most) }))).toBe("ok");
});

it("never takes a transaction of which a byte was changed", () => {
  const right = signedPayment(WANTED);
  fc.assert(
    fc.property(fc.nat(right.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bytes = Uint8Array.from(right);
      bytes[at] = (bytes[at] ?? 0) ^ change;
      let isTaken = false;
      try {
        isTaken = checkPayment(readWire(bytes).wire, WANTED).ok;
      } catch {
        // Not a transaction any more.
      }
      // The first signature is the fee payer's, and the network writes its own there.
      expect(isTaken).toBe(at >= 1 && at <= 64);
    }),
    { numRuns: 300 },
  );
});

it("signs the same transaction with the same bytes, as Solana's library does", () => {
  const bytes = signedPayment(WANTED);
  const [first, second] = [1, 2].map(() => signWire(readWire(bytes).transaction, new Uint8Array(32).fill(11)));
  expect(first).toEqual(second);
  const transaction = readWire(bytes).transaction;
  transaction.sign([FEE_PAYER]);
  expect(first?.bytes).toEqual(transaction.serialize());
});

it("tells challenges apart by each of their parts", () => {
  const challenge = {
    account: "a".repeat(22),
    deposit: "x402-1",
    kind: "package",
    package: "starter",
    amount: "50000000",
    expiresAt: 1,
  } as unknown as Parameters<typeof memoOf>[1];
  const key = new Uint8Array(32).fill(1);
  const changes = [
    {},
    { account: "b".repeat(22) },
    { deposit: "x402-2" },
    { kind: "topup" },
    { package: "team" },
    { amount: "50000001" },
    { expiresAt: 2 },
  ];
  const memos = changes.map((change) => memoOf(key, { ...challenge, ...change } as typeof challenge));
  memos.push(memoOf(new Uint8Array(32).fill(2), challenge));
  expect(new Set(memos).size).toBe(memos.length);
});

it("rounds what is missing up to whole dollars", () => {
  const top = (shortfall: number) => topUpFor(shortfall as Millicredits, GENESIS_PEG);
  expect([top(1), top(1e9), top(1e9 + 1), top(12.5e9)]).toEqual([1e9, 1e9, 2e9, 13e9]);
  expect(top(LIMITS.depositMostNanoUsd)).toBe(LIMITS.depositMostNanoUsd);
  expect(top(LIMITS.depositMostNanoUsd + 1)).toBeNull();
});

it("reads no header that is none", () => {
  const response = { success: true, transaction: "", network: "solana:x" };
  for (const header of ["", "%", "e30=", encodeHeader(response), "A".repeat(LIMITS.x402HeaderCharacters + 4)]) {
    expect([header.slice(0, 9), parsePayment(header)]).toEqual([header.slice(0, 9), null]);
  }
});
