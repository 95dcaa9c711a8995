import { beforeEach, expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { DAY_MS } from "../../../core/time.ts";
import { FakeChain, keyOf, type Payment } from "../../support/payments.ts";
import { openAccount, type TestAccount } from "../api/support.ts";
import { arrived, ask, available, forgetDeposits, intentOf, scan, told, topup, wrongSums } from "./support.ts";

let chain: FakeChain;
let account: TestAccount;
beforeEach(async () => {
  await forgetDeposits();
  vi.useFakeTimers({ toFake: ["Date"] });
  chain = new FakeChain();
  account = await openAccount("rules-first", false);
});

let count = 0;
/** A payment to a reference of so many micro-USDC, now. */
function pay(reference: string | null, units: bigint, more: Partial<Payment> = {}): void {
  count += 1;
  const transfers = [{ units, references: reference === null ? [] : [reference] }];
  chain.add({ signature: keyOf(count, 64), slot: count, at: Date.now(), transfers, ...more });
}

const USD = 1_000_000n;

it.each([
  ["what was asked for", 5n * USD, "credited exact topup 5000000", "5000000.000"],
  ["less", 4_999_999n, "credited short topup 4999999", "4999999.000"],
  ["more", 6n * USD, "credited over topup 6000000", "6000000.000"],
])("credits a top-up with what arrived: %s", async (_what, units, row, credits) => {
  const { id, reference } = await topup(account);
  pay(reference, units);
  await scan(chain);
  await scan(chain);
  expect(await told()).toEqual([row]);
  expect(await available(account)).toBe(credits);
  const { json } = await ask(`/deposits/${id}`, { key: account.key });
  expect(json).toMatchObject({ state: "credited", payments: [{ reason: row.split(" ")[1], seq: 1 }] });
  const { json: ledger } = await ask("/ledger", { key: account.key });
  expect(ledger.data).toHaveLength(1);
  expect(ledger.data[0]).toMatchObject({ type: "topup" });
  expect(await wrongSums()).toEqual([]);
});

it.each([
  ["exact", 50n * USD, ["credited exact package 50000000"], "50000000.000"],
  ["short", 49n * USD, ["credited short topup 49000000"], "49000000.000"],
  ["over", 53n * USD, ["credited exact package 50000000", "credited over topup 3000000"], "53000000.000"],
])("credits a package that was paid %s", async (_what, units, rows, credits) => {
  const { reference } = await intentOf(account, { kind: "package", package: "starter" });
  const paidAt = Date.now();
  pay(reference, units);
  await scan(chain);
  expect(await told()).toEqual(rows);
  expect(await available(account)).toBe(credits);
  const lots = (await ask("/balance", { key: account.key })).json.lots as { kind: string; expires_at: string | null }[];
  expect(lots.filter(({ kind }) => kind === "package").map(({ expires_at }) => Date.parse(expires_at ?? ""))).toEqual(
    rows.some((row) => row.includes("package")) ? [paidAt + 30 * DAY_MS] : [],
  );
  expect(await wrongSums()).toEqual([]);
});

it("adds up the slots of packages, each for its own days", async () => {
  const slots = async () =>
    ((await ask("/balance", { key: account.key })).json.packages as { slots: number } | null)?.slots;
  const seen = [await slots()];
  for (const [id, price] of [
    ["starter", 50n],
    ["team", 400n],
    ["starter", 50n],
  ] as const) {
    const { reference } = await intentOf(account, { kind: "package", package: id });
    pay(reference, price * USD);
    await scan(chain);
    seen.push(await slots());
    vi.setSystemTime(Date.now() + 10 * DAY_MS);
  }
  // Thirty days after the first one it is over, and every ten days another one.
  for (let n = 0; n < 3; n++) {
    seen.push(await slots());
    vi.setSystemTime(Date.now() + 10 * DAY_MS);
  }
  expect(seen).toEqual([undefined, 1, 11, 12, 11, 1, undefined]);
});

it("makes one package of two payments of it, also in one transaction, and a top-up of the other", async () => {
  const { reference } = await intentOf(account, { kind: "package", package: "starter" });
  const transfers = [50n * USD, 50n * USD].map((units) => ({ units, references: [reference] }));
  chain.add({ signature: keyOf(900, 64), at: Date.now(), transfers });
  pay(reference, 50n * USD);
  await scan(chain);
  expect(await told()).toEqual([
    "credited again topup 50000000",
    "credited again topup 50000000",
    "credited exact package 50000000",
  ]);
  expect(await available(account)).toBe("150000000.000");
});

it("credits what comes late as a top-up, be it a package's price", async () => {
  const [first, second] = [await intentOf(account, { kind: "package", package: "starter" }), await topup(account)];
  vi.setSystemTime(Date.now() + LIMITS.depositIntentMs + 1_000);
  pay(first.reference, 50n * USD);
  pay(second.reference, 5n * USD);
  await scan(chain);
  expect(await told()).toEqual(["credited late topup 5000000", "credited late topup 50000000"]);
});

it("counts when it was paid, and not when it was seen", async () => {
  const { reference } = await intentOf(account, { kind: "package", package: "starter" });
  pay(reference, 50n * USD);
  vi.setSystemTime(Date.now() + 2 * LIMITS.depositIntentMs);
  await scan(chain);
  expect(await told()).toEqual(["credited exact package 50000000"]);
});

it("leaves to operators what names no reference, an unknown one, or several", async () => {
  const [first, second] = [await topup(account), await topup(account)];
  pay(null, 1n * USD);
  pay(keyOf(77), 2n * USD);
  pay(null, 3n * USD, { references: [first.reference, second.reference] });
  await scan(chain);
  expect(await told()).toEqual([
    "suspense no_reference topup 1000000",
    "suspense no_reference topup 2000000",
    "suspense several_references topup 3000000",
  ]);
  expect(await available(account)).toBe("0.000");
  expect((await ask("/invariants")).json).toMatchObject({ ok: true, in_suspense: "6000000000" });
});

it("finds a reference that stands beside the transfer", async () => {
  const { reference } = await topup(account);
  pay(null, 5n * USD, { references: [reference] });
  await scan(chain);
  expect(await told()).toEqual(["credited exact topup 5000000"]);
});

it("tells transfers of one transaction apart", async () => {
  const other = await openAccount("rules-second", false);
  const [first, second] = [await topup(account), await topup(other, "7")];
  const transfers = [
    { units: 5n * USD, references: [first.reference] },
    { units: 7n * USD, references: [second.reference] },
    { units: 1n * USD },
  ];
  chain.add({ signature: keyOf(901, 64), at: Date.now(), transfers });
  await scan(chain);
  expect(await told()).toEqual([
    "credited exact topup 5000000",
    "credited exact topup 7000000",
    "suspense no_reference topup 1000000",
  ]);
  expect([await available(account), await available(other)]).toEqual(["5000000.000", "7000000.000"]);
});

it("shows another coin and a failed transaction to their owner, and counts nothing for them", async () => {
  const [first, second] = [await topup(account, "5", "a"), await topup(account, "5", "b")];
  pay(first.reference, 5n * USD, { wrongMint: true });
  pay(second.reference, 5n * USD, { failed: true });
  await scan(chain);
  expect(await told()).toEqual(["failed failed topup 0", "suspense wrong_mint topup 0"]);
  const { json } = await ask("/deposits", { key: account.key });
  const shown = json.data.map(
    ({ id, state, payments }: { id: string; state: string; payments: { reason: string }[] }) => [
      id,
      state,
      payments.map(({ reason }) => reason),
    ],
  );
  expect(shown.sort()).toEqual([
    ["a", "suspense", ["wrong_mint"]],
    ["b", "failed", ["failed"]],
  ]);
  expect((await arrived()).find(({ reason }) => reason === "wrong_mint")?.units).toBe("5000000");
  expect((await ask("/invariants")).json).toMatchObject({ ok: true, in_suspense: "0" });
});

it("believes the balance where the instructions say something else", async () => {
  const { reference } = await topup(account);
  pay(reference, 5n * USD, { hidden: -1n * USD });
  await scan(chain);
  expect(await told()).toEqual(["suspense unreadable topup 4000000"]);
  expect(await wrongSums()).toEqual([]);
});

it("takes what leaves the treasury for no deposit", async () => {
  chain.add({ signature: keyOf(902, 64), at: Date.now(), sent: 3n * USD });
  await scan(chain);
  expect(await told()).toEqual([]);
  expect(await wrongSums()).toEqual([]);
});

it("leaves to operators what is more than an account may hold", async () => {
  const { reference } = await topup(account, "1000000");
  pay(reference, 9_000_001n * USD);
  await scan(chain);
  expect(await told()).toEqual(["suspense account_full topup 9000001000000"]);
});
