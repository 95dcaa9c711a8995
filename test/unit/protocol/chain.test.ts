import { describe, expect, it } from "vitest";
import { ENTRY_TYPES } from "../../../core/account/entry-types.ts";
import type { ServiceLevel } from "../../../core/account/service-level.ts";
import { epochOf } from "../../../core/allotment/epochs.ts";
import { canonicalText, hashText } from "../../../core/receipt/canonical.ts";
import { LedgerChain, type LedgerEntry } from "../../../protocol/chain.ts";
import { movementOf, parseEntryBody } from "../../../protocol/entry.ts";
import { entryOf, fullLedger, TestLedger } from "../../support/ledgers.ts";
import { type ReceiptOptions, receiptOf, TEST_TIME } from "../../support/receipts.ts";

/** Takes entries until one does not fit, and tells which and why. */
function check(entries: readonly LedgerEntry[], claim = false) {
  const chain = new LedgerChain();
  for (const entry of entries) {
    const bad = chain.add(entry, { claim });
    if (bad !== null) return { chain, bad: `${bad.seq} ${bad.check}` };
  }
  return { chain, bad: null };
}

/** Changes an entry's body and chains all after it again, as whoever owns the network could. */
function forge(entries: readonly LedgerEntry[], seq: number, change: (body: Record<string, unknown>) => void) {
  let previous: string | null = null;
  return entries.map((entry) => {
    const body = JSON.parse(entry.body) as Record<string, unknown>;
    if (previous !== null) body["previous"] = previous;
    if (entry.seq === seq) change(body);
    const text = canonicalText(body);
    previous = hashText(text);
    return { ...entry, body: text };
  });
}

describe("a ledger of every kind of entry", () => {
  const { entries, sum } = fullLedger();

  it("holds, and comes to what the account has", () => {
    const { chain, bad } = check(entries, true);
    expect(bad).toBeNull();
    expect(chain.sum.nanoUsd + chain.sum.millicredits).toBe(sum);
    // Top-ups of 500,000, less one job of two, as the other was taken back, and the 40,000 whose backing a transfer took.
    expect(chain.sum.nanoUsd).toBe(500_000 - 82_000 - 40_000);
    expect([chain.seq, chain.receipts, chain.lastReceipt?.seq]).toEqual([10, 4, 10]);
    expect(chain.head).toBe(hashText(entries.at(-1)?.body ?? ""));
  });

  it("changes nothing for an entry that does not fit", () => {
    const { chain } = check(entries.slice(0, 4));
    const before = { seq: chain.seq, head: chain.head, sum: chain.sum };
    expect(chain.add(entryOf(entries, 6))).toMatchObject({ seq: 5, check: "order" });
    expect({ seq: chain.seq, head: chain.head, sum: chain.sum }).toEqual(before);
    expect(chain.add(entryOf(entries, 5))).toBeNull();
  });

  it.each(entries.map(({ seq }) => seq))("misses entry %i", (seq) => {
    // Without the last one it is the ledger of before.
    const without = entries.filter((entry) => entry.seq !== seq);
    const renumbered = without.map((entry, index) => ({ ...entry, seq: index + 1 }));
    expect([check(without).bad, check(renumbered).bad?.split(" ")[0]]).toEqual(
      seq === entries.length ? [null, undefined] : [`${seq} order`, String(seq)],
    );
  });
});

const PLAIN = ENTRY_TYPES.filter((type) => !["spent", "adjustment", "slice", "extension"].includes(type));

it("entries of slices have a form that is known, and move what their parts say", () => {
  const { v, at, seq, previous } = JSON.parse(entryOf(fullLedger().entries, 1).body) as Record<string, unknown>;
  const part = { lot: "top", kind: "topup", backing: "usdc", nano_usd: 70, millicredits: 0 };
  const other = { ...part, lot: "earned", kind: "earned", backing: "none", nano_usd: 0, millicredits: 5 };
  const text = (moved: string) =>
    canonicalText({ v, at, seq, previous, type: "slice", slice: 3, moved, parts: [part, other] });
  const [out, into] = [parseEntryBody("slice", text("out")), parseEntryBody("slice", text("in"))];
  if ("error" in out || "error" in into) throw new Error("no form of a slice's entry");
  expect([movementOf(out), movementOf(into)]).toEqual([
    { nanoUsd: -70, millicredits: -5 },
    { nanoUsd: 70, millicredits: 5 },
  ]);
  expect(parseEntryBody("slice", text("sideways"))).toHaveProperty("error");
});

describe("a package that lasts a day longer", () => {
  const slot = { held: [{ lot: "package", kind: "package", backing: "usdc", amount: 82_000 }] } as const;
  const waited = (ms: number): ReceiptOptions => {
    const times = { queued: TEST_TIME, dispatched: TEST_TIME + ms, first_token: null, completed: TEST_TIME + ms };
    return { ...slot, facts: { lane: "dedicated", times, reserved: TEST_TIME } };
  };
  /** A job that waited, one without a reserved slot, and one that nobody took. */
  const missed = () =>
    new TestLedger()
      .credit("topup", 500_000)
      .spend("topup", waited(3_000))
      .spend("topup", { ...slot, facts: { lane: "dedicated" } })
      .timeOut();

  it("does so by what the entries before it say, and brings back what had expired", () => {
    const { entries, sum } = missed().extend(70).spend();
    const { chain, bad } = check(entries, true);
    expect(bad).toBeNull();
    expect(chain.sum.nanoUsd).toBe(sum);
    const { jobs, p95_ms, first, last } = JSON.parse(entryOf(entries, 5).body) as Record<string, unknown>;
    expect([jobs, p95_ms, first, last]).toEqual([2, 3_600_000, 2, 4]);
  });

  it.each<[string, Partial<ServiceLevel>]>([
    ["of more jobs", { jobs: 3 }],
    ["of another wait", { p95Ms: 3_000 }],
    ["of other entries", { first: 3 }],
    ["by another digest", { digest: "0".repeat(64) }],
    ["of another day", { day: epochOf(TEST_TIME) - 1 }],
  ])("does not do so %s", (_what, changes) => {
    expect(check(missed().extend(0, changes).entries).bad).toBe("5 service");
  });

  it("does not do so where nothing was missed", () => {
    const inTime = new TestLedger().credit("topup", 500_000).spend("topup", waited(2_000)).extend();
    expect(check(inTime.entries).bad).toBe("3 service");
  });
});

it.each(PLAIN)("entries of type %s have a form that is known", (type) => {
  const samples = [1, 4, 6].map((seq) => JSON.parse(entryOf(fullLedger().entries, seq).body) as object);
  const texts = samples.map((sample) => canonicalText({ ...sample, type }));
  expect(texts.some((text) => "plain" in parseEntryBody(type, text))).toBe(true);
});

describe("a ledger that was changed and chained again", () => {
  const { entries } = fullLedger();

  it.each<[string, string, number, (body: Record<string, unknown>) => void]>([
    ["names another number", "order", 4, (body) => (body["seq"] = 5)],
    ["names another entry before it", "chain", 4, (body) => (body["previous"] = "0".repeat(64))],
    ["has a key that nobody knows", "form", 2, (body) => (body["extra"] = 1)],
    ["is of another type than its line", "form", 1, (body) => (body["type"] = "topup")],
    ["has another time than its line", "form", 1, (body) => (body["at"] = 1)],
    ["takes more than was there", "amounts", 8, (body) => (body["millicredits"] = 2_000_000)],
    ["gives more than an account can hold", "form", 2, (body) => (body["nano_usd"] = 9.1e15)],
    ["bills tokens that nobody claimed", "price", 5, (body) => Object.assign(body["usage"] as object, { prompt: 101 })],
    ["is charged otherwise", "price", 5, (body) => Object.assign(body["charge"] as object, { nano_usd: 81_999 })],
    [
      "gives more back than was charged",
      "price",
      9,
      (body) => Object.assign(body["charge"] as object, { nano_usd: -82_001 }),
    ],
    ["pays somebody else", "split", 5, (body) => (body["provider"] = "somebody")],
  ])("%s: %s", (_what, name, seq, change) => {
    expect(check(forge(entries, seq, change)).bad).toBe(`${seq} ${name}`);
  });

  it("breaks at a claim of another daemon, where signatures are checked", () => {
    const forged = forge(entries, 5, (body) => (body["fence"] = 2));
    expect([check(forged, true).bad, check(forged, false).bad]).toEqual(["5 claim_signature", null]);
  });

  it("calls no charge a reversal, and no reversal a charge", () => {
    const typed = (seq: number, type: string) =>
      check(entries.map((entry) => (entry.seq === seq ? { ...entry, type } : entry))).bad;
    expect([typed(5, "adjustment"), typed(9, "spent")]).toEqual(["5 form", "9 form"]);
  });

  it("takes no job back twice", () => {
    const twice = new TestLedger().credit("topup", 500_000).spend().reverse(2).reverse(2);
    expect(check(twice.entries).bad).toBe("4 amounts");
  });

  it("charges no job twice", () => {
    const twice = new TestLedger().credit("topup", 500_000).spend().spend("topup", { index: 0 });
    expect(check(twice.entries).bad).toBe("3 amounts");
  });

  it("never runs backwards", () => {
    const [first, second, third] = entries as [LedgerEntry, LedgerEntry, LedgerEntry];
    expect(check([first, second, { ...third, at: first.at }]).bad).toBe("3 order");
    expect(check([first, second, { ...third, at: "2026-11-22T12:00:09Z" }]).bad).toBe("3 form");
    expect(check([first, second, { ...third, type: "bonus" }]).bad).toBe("3 form");
  });

  it("has receipts whose bytes are canonical", () => {
    const body = ` ${receiptOf().body}`;
    expect(check([{ seq: 1, at: "2026-11-22T12:00:00.000Z", type: "spent", body }]).bad).toBe("1 form");
    const first = entryOf(entries, 1);
    expect(check([{ ...first, body: first.body.replace(",", ", ") }]).bad).toBe("1 form");
  });
});
