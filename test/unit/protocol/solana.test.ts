import * as fc from "fast-check";
import { expect, it } from "vitest";
import { readArrivals, WHOLE } from "../../../protocol/solana/arrivals.ts";
import { isAddress, parsePayUrl, payUrl } from "../../../protocol/solana/pay-url.ts";
import type { ChainInstruction, ChainTransaction } from "../../../protocol/solana/transaction.ts";
import { keyOf, TREASURY, transactionOf } from "../../support/payments.ts";

const REQUEST = {
  recipient: keyOf(1),
  amount: "20.5",
  splToken: keyOf(2),
  reference: keyOf(3),
  label: "Mill & Töchter",
  memo: "a+b c",
};

it("writes links as the specification shows them", () => {
  expect(payUrl(REQUEST)).toBe(
    `solana:${keyOf(1)}?amount=20.5&spl-token=${keyOf(2)}&reference=${keyOf(3)}&label=Mill%20%26%20T%C3%B6chter&memo=a%2Bb%20c`,
  );
});

it("reads back what it wrote, whatever is in it", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 40 });
  fc.assert(
    fc.property(text, text, (label, memo) => {
      const request = { ...REQUEST, label, memo };
      expect(parsePayUrl(payUrl(request))).toEqual(request);
    }),
  );
});

it.each([
  "",
  "https://example.com",
  `solana:${keyOf(1)}`,
  payUrl({ ...REQUEST, reference: "x" }),
  payUrl({ ...REQUEST, amount: "1e3" }),
  payUrl({ ...REQUEST, amount: "-1" }),
  `${payUrl(REQUEST)}%zz`,
])("reads no link in %s", (link) => {
  expect(parsePayUrl(link)).toBeNull();
});

it("knows an address by its 32 bytes", () => {
  expect([keyOf(1), keyOf(1, 31), keyOf(1, 33), "0", "l".repeat(40), "1".repeat(32)].map(isAddress)).toEqual([
    true,
    false,
    false,
    false,
    false,
    true,
  ]);
});

const SIGNATURE = keyOf(9, 64);
const plain = transactionOf({ signature: SIGNATURE, at: 1, transfers: [{ units: 7n, references: [keyOf(20)] }] });
const own = TREASURY.tokenAccount;

/** A transaction with these instructions, after which the treasury has so much more. */
function withInstructions(instructions: ChainInstruction[], gained: bigint): ChainTransaction {
  const balances = plain.balances.map((one) => (one.account === own ? { ...one, after: one.before + gained } : one));
  return { ...plain, instructions, balances };
}
const token = (type: string, info: object): ChainInstruction => ({ program: "spl-token", type, info: { ...info } });

it("tells a transfer with its place, its payer and the references that it names", () => {
  const { arrivals, received, sent } = readArrivals(plain, TREASURY);
  expect(arrivals).toEqual([{ instruction: 0, mint: TREASURY.mint, units: 7n, payer: keyOf(4), named: [keyOf(20)] }]);
  expect([received, sent]).toEqual([7, 0]);
});

it("sees transfers of both kinds and new coins, wherever they stand, and passes over all else", () => {
  const instructions = [
    { program: "spl-memo", type: null, info: {} },
    token("transfer", { source: keyOf(5), destination: own, amount: "3" }),
    { program: null, type: null, info: {} },
    token("transferChecked", { source: keyOf(5), destination: own, tokenAmount: { amount: "4" } }),
    token("mintTo", { account: own, amount: "5" }),
    token("transfer", { source: keyOf(5), destination: keyOf(50), amount: "100" }),
    token("transfer", { source: own, destination: own, amount: "100" }),
    token("transfer", { source: own, destination: keyOf(5), amount: "2" }),
    token("approve", { source: own, amount: "9" }),
  ];
  const { arrivals, received, sent } = readArrivals(withInstructions(instructions, 10n), TREASURY);
  expect(arrivals.map(({ instruction, units }) => [instruction, units])).toEqual([
    [1, 3n],
    [3, 4n],
    [4, 5n],
  ]);
  expect([received, sent]).toEqual([12, 2]);
});

it("believes the balances where the instructions come to something else", () => {
  const more = readArrivals(withInstructions([], 9n), TREASURY);
  expect(more.arrivals.map(({ instruction, units }) => [instruction, units])).toEqual([[WHOLE, 9n]]);
  expect([more.received, more.sent]).toEqual([9, 0]);
  const less = readArrivals(withInstructions(plain.instructions.slice(), -3n), TREASURY);
  expect([less.arrivals, less.received, less.sent]).toEqual([[], 0, 3]);
});

it("sees nothing in a transaction that failed", () => {
  expect(readArrivals({ ...plain, failed: true }, TREASURY)).toMatchObject({ arrivals: [], others: [], received: 0 });
});

it("tells another coin of the same wallet, and does not count it", () => {
  const wrong = transactionOf({ signature: SIGNATURE, at: 1, wrongMint: true, transfers: [{ units: 7n }] });
  const { arrivals, others, received } = readArrivals(wrong, TREASURY);
  expect([arrivals, received]).toEqual([[], 0]);
  expect(others).toMatchObject([{ units: 7n, mint: keyOf(6) }]);
});
