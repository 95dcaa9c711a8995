import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import type { AccountId, KeyId } from "../../../core/ids.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import type { SendCommand, SendResult } from "../../../protocol/internal/account.ts";
import { idOf } from "../../support/receipts.ts";
import { type Bank, balance, bankOf, count, creditOf, entries, foldOf, hold, inside, openBank, sumOf } from "./bank.ts";

async function openTwo(): Promise<[Bank, Bank]> {
  const [from, to] = [await openBank({ name: "from" }), await openBank({ name: "to" })];
  await from.rpc.credit(creditOf({ id: "paid", kind: "topup", backing: "usdc", amount: 100_000 }));
  return [from, to];
}

function commandOf(from: Bank, to: Bank, changes: Partial<SendCommand> = {}): SendCommand {
  return { id: "t-1", from: from.account, to: to.account, millicredits: 30_000 as never, memo: "thanks", ...changes };
}

const send = (from: Bank, to: Bank, changes: Partial<SendCommand> = {}): Promise<SendResult> =>
  from.rpc.send(from.credentials, commandOf(from, to, changes));

const available = async (...banks: Bank[]) => (await Promise.all(banks.map(balance))).map((each) => each.available);

/** Makes an account's entries unwritable, as a store that is away. */
const breakStore = (bank: Bank) =>
  inside(bank, ({ storage }) => void storage.sql.exec("ALTER TABLE entries RENAME TO away"));
const mendStore = (bank: Bank) =>
  inside(bank, ({ storage }) => void storage.sql.exec("ALTER TABLE away RENAME TO entries"));

it("moves credits from one account to another, and says so in both chains", async () => {
  const [from, to] = await openTwo();
  expect(await send(from, to)).toEqual({ type: "sent", seq: 2, delivered: true });
  expect(await available(from, to)).toEqual([70_000, 30_000]);
  const [out, into] = [(await entries(from)).at(-1), (await entries(to)).at(-1)];
  expect([out?.type, into?.type]).toEqual(["transfer", "transfer"]);
  expect(JSON.parse(out?.body ?? "")).toMatchObject({
    direction: "out",
    account: to.account,
    transfer: "t-1",
    millicredits: 30_000,
    nano_usd: 30_000,
    memo: "thanks",
  });
  // What stood behind it did not come along.
  expect(JSON.parse(into?.body ?? "")).toMatchObject({ direction: "in", account: from.account, nano_usd: 0 });
  const answer = await to.rpc.balance(to.credentials);
  expect(answer).toMatchObject({ value: { lots: [{ kind: "received", backing: "none", expiresAt: null }] } });
  expect(await foldOf(to)).toBe(await foldOf(to, false));
  expect([sumOf(await entries(from)), sumOf(await entries(to))]).toEqual([70_000, 30_000]);
});

it.each<[string, (from: Bank, to: Bank) => Partial<SendCommand>, string]>([
  ["to itself", (from) => ({ to: from.account }), "transfer_to_self"],
  ["of nothing", () => ({ millicredits: 0 as never }), "invalid_request"],
  ["of less than nothing", () => ({ millicredits: -1 as never }), "invalid_request"],
  ["of less than is worth an entry", () => ({ millicredits: 999 as never }), "invalid_request"],
  ["of more than there is", () => ({ millicredits: 100_001 as never }), "insufficient_credits"],
  ["to an account that does not exist", () => ({ to: idOf<AccountId>("nobody") }), "account_not_found"],
])("is refused %s, and moves nothing", async (_, changes, code) => {
  const [from, to] = await openTwo();
  expect(await send(from, to, changes(from, to))).toMatchObject({ type: "refused", refusal: { code } });
  expect(await available(from, to)).toEqual([100_000, 0]);
  expect(await inside(from, (state) => [count(state, "outbox"), count(state, "entries")])).toEqual([0, 1]);
  const nobody = bankOf("nobody");
  expect(await nobody.rpc.balance(nobody.credentials)).toMatchObject({ ok: false });
});

it("sends nothing that a job has reserved, and nothing with a key that was not made for it", async () => {
  const [from, to] = await openTwo();
  await hold(from);
  expect(await send(from, to)).toMatchObject({ refusal: { code: "insufficient_credits" } });
  expect(await send(from, to, { millicredits: 20_000 as never })).toMatchObject({ type: "sent" });
  const key = { id: idOf("app") as unknown as KeyId, name: "app", secretHash: hashText("app") };
  await from.rpc.createKey(from.credentials, key);
  expect(await from.rpc.send(key, commandOf(from, to))).toMatchObject({ refusal: { code: "forbidden" } });
});

it("sends once, however often and however parallel it is asked to, and knows another transfer by its id", async () => {
  const [from, to] = await openTwo();
  const results = await Promise.all(Array.from({ length: 20 }, () => send(from, to)));
  expect(new Set(results.map((each) => (each.type === "sent" ? each.seq : each.refusal.code)))).toEqual(new Set([2]));
  expect(await available(from, to)).toEqual([70_000, 30_000]);
  expect(await send(from, to, { millicredits: 1 as never })).toMatchObject({ refusal: { code: "id_conflict" } });
  const many = Array.from({ length: 20 }, (_, index) =>
    send(from, to, { id: `more ${index}`, millicredits: 5_000 as never }),
  );
  const sent = (await Promise.all(many)).filter(({ type }) => type === "sent");
  expect(sent).toHaveLength(14);
  expect(await available(from, to)).toEqual([0, 100_000]);
});

it("brings a transfer until the other account has it, through evictions and a loss of the answer", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const [from, to] = await openTwo();
  await breakStore(to);
  expect(await send(from, to)).toEqual({ type: "sent", seq: 2, delivered: false });
  expect(await available(from)).toEqual([70_000]);
  expect(await inside(from, (state) => count(state, "outbox"))).toBe(1);
  await evictDurableObject(from.stub);
  expect(await runDurableObjectAlarm(from.stub)).toBe(true);
  await mendStore(to);
  await evictDurableObject(to.stub);
  expect(await available(to)).toEqual([0]);
  expect(await runDurableObjectAlarm(from.stub)).toBe(true);
  expect(await available(from, to)).toEqual([70_000, 30_000]);
  // The other account has it, but its word did not arrive: it is brought again, and changes nothing.
  const transfer = { id: "t-1", from: from.account, millicredits: 30_000, memo: "thanks" };
  await inside(from, ({ storage }) =>
    storage.sql.exec("INSERT INTO outbox VALUES (?, ?, ?)", "t-1", to.account, JSON.stringify(transfer)),
  );
  await evictDurableObject(from.stub);
  expect(await send(from, to)).toMatchObject({ type: "sent", seq: 2 });
  await runDurableObjectAlarm(from.stub);
  expect(await inside(from, (state) => count(state, "outbox"))).toBe(0);
  expect(await available(from, to)).toEqual([70_000, 30_000]);
});

it("is whole or not at all where its object is lost in the middle of it", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const [first, to] = await openTwo();
  // Lost right after the debit was written, before anything was brought.
  await breakStore(to);
  await send(first, to);
  await runInDurableObject(first.stub, (_object, state) => state.abort("lost")).catch(() => {});
  await mendStore(to);
  // What spoke to the lost object stays broken.
  const from = bankOf("from");
  expect(await inside(from, (state) => [count(state, "outbox"), count(state, "entries")])).toEqual([1, 2]);
  await evictDurableObject(from.stub);
  await runDurableObjectAlarm(from.stub);
  expect(await available(from, to)).toEqual([70_000, 30_000]);
  // A debit that cannot be written leaves no row in the outbox either.
  await breakStore(from);
  const failed = await Promise.resolve(send(from, to, { id: "t-2" })).catch(() => "failed");
  expect(failed).toBe("failed");
  await mendStore(from);
  await evictDurableObject(from.stub);
  expect(await inside(from, (state) => count(state, "outbox"))).toBe(0);
  expect(await available(from, to)).toEqual([70_000, 30_000]);
});
