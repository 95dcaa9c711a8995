import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EntryType } from "../../../core/account/entry-types.ts";
import type { Backing, Draw } from "../../../core/account/lots.ts";
import type { AccountId } from "../../../core/ids.ts";
import { LANES } from "../../../core/lanes.ts";
import { composeReversal, type ReceiptBody, receiptText } from "../../../core/receipt/body.ts";
import { GENESIS_PEG, type Millicredits, type NanoUsd, type Peg } from "../../../core/units.ts";
import { extensionEntry, lotEntry, releaseEntry, transferEntry } from "../../../durable-objects/account/entries.ts";
import { type EntryBody, movementOf, parseEntryBody } from "../../../protocol/entry.ts";
import { type Posting, postingsOf, sumByBacking } from "../../../protocol/postings.ts";
import { bodyOf, idOf, TEST_TIME } from "../../support/receipts.ts";

const ACCOUNT = idOf<AccountId>("account");
const OTHER = idOf<AccountId>("other");
const LINK = { seq: 4, head: "0".repeat(64) };

function read(type: string, text: string): EntryBody {
  const body = parseEntryBody(type, text);
  if ("error" in body) throw new Error(body.error);
  return body;
}

function lotBody(type: EntryType, backing: Backing, amount: number): EntryBody {
  const kind = type === "topup" || type === "package" || type === "allotment" || type === "earned" ? type : "bonus";
  return read(type, lotEntry(type, { id: "lot", kind, backing }, amount, TEST_TIME, LINK, ""));
}

function transferBody(direction: "out" | "in", millicredits: number, stripped: number): EntryBody {
  const facts = { id: "t", other: OTHER, memo: "", millicredits: millicredits as Millicredits };
  return read("transfer", transferEntry(direction, { ...facts, stripped: stripped as NanoUsd }, TEST_TIME, LINK));
}

function extensionBody(amount: number): EntryBody {
  const level = { day: 20_779, jobs: 20, p95Ms: 2_001, first: 1, last: 4, digest: "a".repeat(64) };
  const part = { lot: "package", kind: "package", backing: "usdc", amount, concurrency: 1 } as const;
  const extension = { ...part, from: TEST_TIME, expiresAt: TEST_TIME + 86_400_000 };
  return read("extension", extensionEntry(level, 2_000, [extension], TEST_TIME, LINK));
}

const reversalOf = (original: ReceiptBody): ReceiptBody => {
  const reversal = { of: "a".repeat(64), reason: "wrong answer", by: ["a", "b"] };
  return composeReversal(original, 1, reversal, TEST_TIME + 5_000, LINK);
};

/** What postings say, as short text: book/holder backing amount. */
const written = (postings: readonly Posting[]): string[] =>
  postings.map(({ book, holder, backing, amount }) => {
    const name = { [ACCOUNT]: "account", [idOf("provider")]: "provider" }[holder] ?? holder;
    return `${book}/${name} ${backing} ${amount}`;
  });

describe("an entry in double entry", () => {
  it.each<[string, EntryBody, string[]]>([
    ["a top-up", lotBody("topup", "usdc", 70), ["lots/account usdc 70", "system/treasury usdc -70"]],
    ["a package", lotBody("package", "usdc", 70), ["lots/account usdc 70", "system/treasury usdc -70"]],
    ["an allotment", lotBody("allotment", "usdc", 70), ["lots/account usdc 70", "system/treasury usdc -70"]],
    ["a bonus", lotBody("bonus", "none", 70), ["lots/account none 70", "system/issuance none -70"]],
    ["what was earned", lotBody("earned", "none", 70), ["lots/account none 70", "system/issuance none -70"]],
    ["an expiry without backing", lotBody("expiry", "none", 7), ["lots/account none -7", "system/issuance none 7"]],
    ["an expiry with it", lotBody("expiry", "usdc", 7), ["lots/account usdc -7", "system/treasury usdc 7"]],
    ["a transfer that came", transferBody("in", 9, 0), ["lots/account none 9", "system/suspense none -9"]],
    ["a transfer without backing", transferBody("out", 9, 0), ["lots/account none -9", "system/suspense none 9"]],
    [
      "a transfer that stripped a top-up",
      transferBody("out", 9, 5),
      [
        "lots/account usdc -5",
        "lots/account none -4",
        "system/pool usdc 5",
        "system/issuance none -5",
        "system/suspense none 9",
      ],
    ],
    ["a package that lasts longer", extensionBody(0), []],
    ["one that had expired", extensionBody(70), ["lots/account usdc 70", "system/treasury usdc -70"]],
    ["a void", read("void", releaseEntry("void", bodyOf().job, "declined", TEST_TIME, LINK)), []],
    ["the end of a hold", read("hold_expired", releaseEntry("hold_expired", bodyOf().job, "x", TEST_TIME, LINK)), []],
  ])("names both sides of %s", (_name, body, expected) => {
    expect(written(postingsOf(body, ACCOUNT))).toEqual(expected);
  });

  it("keeps what a payee is owed apart from the lots of the one who pays, and turns both round", () => {
    const receipt = bodyOf();
    const lines = ["lots/account usdc -82000", "shares/provider usdc 77900", "shares/network usdc 4100"];
    expect(written(postingsOf({ type: "spent", receipt }, ACCOUNT))).toEqual(lines);
    const own = postingsOf({ type: "spent", receipt }, receipt.provider);
    expect(own.map(({ book, amount }) => [book, amount])).toEqual([
      ["lots", -82_000],
      ["shares", 77_900],
      ["shares", 4_100],
    ]);
    const back = postingsOf(read("adjustment", receiptText(reversalOf(receipt))), ACCOUNT);
    expect(written(back)).toEqual(lines.map((line) => line.replace(/-?(\d+)$/, (n) => String(-Number(n)))));
  });
});

describe("the postings of any entry", () => {
  const amount = fc.integer({ min: 1, max: 9e15 });
  const peg: fc.Arbitrary<Peg> = fc.oneof(
    fc.constant(GENESIS_PEG),
    fc.record({ millicredits: fc.integer({ min: 1, max: 1_000 }), nanoUsd: fc.integer({ min: 1, max: 1_000 }) }),
  );
  const credited = fc.oneof(
    fc.constantFrom<EntryType>("topup", "package", "allotment", "expiry").map((type) => [type, "usdc"] as const),
    fc.constantFrom<EntryType>("bonus", "earned", "expiry").map((type) => [type, "none"] as const),
  );
  const lot = fc.tuple(credited, amount).map(([[type, backing], value]) => lotBody(type, backing, value));
  const transfer = fc
    .tuple(fc.constantFrom("in" as const, "out" as const), amount, fc.integer({ min: 0, max: 9e12 }))
    .map(([direction, millicredits, stripped]) =>
      transferBody(direction, millicredits, direction === "in" ? 0 : stripped),
    );
  const draw = fc.record({
    kind: fc.constantFrom("topup", "bonus", "earned", "received"),
    amount: fc.integer({ min: 1, max: 90_000 }),
  });
  // The last lot covers what the others left.
  const drawn = fc.array(draw, { maxLength: 5 }).map((draws) =>
    [...draws, { kind: "topup", amount: 90_000 }].map(({ kind, amount: value }, index): Draw => {
      const backing = kind === "topup" ? "usdc" : "none";
      return { lot: `lot ${index}`, kind: kind as Draw["kind"], backing, amount: value };
    }),
  );
  const receipt = fc
    .tuple(fc.constantFrom(...LANES), drawn, peg, fc.boolean())
    .map(([lane, held, at, isReversed]): EntryBody => {
      const body = bodyOf({ held, peg: at, facts: { lane } });
      return { type: "spent", receipt: isReversed ? reversalOf(body) : body };
    });
  const entry = fc.oneof(lot, transfer, receipt);

  it("sum to zero in each backing, at any peg, and give the account what the entry moved", () => {
    fc.assert(
      fc.property(entry, peg, (body, at) => {
        const postings = postingsOf(body, ACCOUNT, at);
        expect(sumByBacking(postings)).toEqual({ usdc: 0, none: 0 });
        expect(postings.every(({ amount: value }) => value !== 0)).toBe(true);
        const { usdc, none } = sumByBacking(postings.filter(({ book }) => book === "lots"));
        const { nanoUsd, millicredits } = movementOf(body, at);
        // Adding 0 turns −0 into 0.
        expect([usdc, none]).toEqual([nanoUsd + 0, millicredits + 0]);
      }),
      { numRuns: 500 },
    );
  });

  it("leave nothing in suspense once both ends of a transfer are written, at any peg", () => {
    fc.assert(
      fc.property(amount, fc.integer({ min: 0, max: 9e12 }), peg, (millicredits, stripped, at) => {
        const both = [
          ...postingsOf(transferBody("out", millicredits, stripped), ACCOUNT, at),
          ...postingsOf(transferBody("in", millicredits, 0), OTHER, at),
        ];
        const suspense = both.filter(({ holder }) => holder === "suspense");
        expect(suspense).toHaveLength(2);
        expect(sumByBacking(suspense)).toEqual({ usdc: 0, none: 0 });
      }),
    );
  });
});
