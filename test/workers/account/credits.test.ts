import { expect, it } from "vitest";
import type { KeyId } from "../../../core/ids.ts";
import { LIMITS } from "../../../core/limits.ts";
import { MAX_AMOUNT } from "../../../core/units.ts";
import { idOf } from "../../support/receipts.ts";
import { balance, bankOf, codeOf, creditOf, entries, holdOf, openBank } from "./bank.ts";

it("credits once, however often and however parallel it is asked to", async () => {
  const bank = await openBank();
  const results = await Promise.all(Array.from({ length: 20 }, () => bank.rpc.credit(creditOf())));
  expect(results).toEqual(Array.from({ length: 20 }, () => ({ type: "credited", seq: 1 })));
  expect(await balance(bank)).toEqual({ available: 1_000_000, held: 0 });
});

it("refuses another credit under the same id", async () => {
  const bank = await openBank();
  await bank.rpc.credit(creditOf());
  const other = await bank.rpc.credit(creditOf({ amount: 1_000_001 }));
  expect(other).toMatchObject({ type: "refused", refusal: { code: "id_conflict" } });
  expect(await balance(bank)).toEqual({ available: 1_000_000, held: 0 });
});

it.each([0, -1, 0.5, Number.NaN, 2 ** 53])("refuses an amount of %s", async (amount) => {
  const bank = await openBank();
  const refused = await bank.rpc.credit(creditOf({ amount }));
  expect(refused).toMatchObject({ type: "refused", refusal: { code: "invalid_request", param: "amount" } });
  expect(await entries(bank)).toEqual([]);
});

it("refuses what would take the balance beyond exact numbers, and goes on working", async () => {
  const bank = await openBank({ bonus: MAX_AMOUNT - 1 });
  const refused = await bank.rpc.credit(creditOf({ id: "too much", amount: 2 }));
  expect(refused).toMatchObject({ type: "refused", refusal: { code: "invalid_request", param: "amount" } });
  expect(await bank.rpc.credit(creditOf({ id: "just right", amount: 1 }))).toMatchObject({ type: "credited" });
  expect(codeOf(await bank.rpc.hold(holdOf(bank)))).toBe("held");
});

it("has a bound on lots", async () => {
  const bank = await openBank();
  const lots = Array.from({ length: LIMITS.lots }, (_, lot) => creditOf({ id: `lot ${lot}`, amount: 1 }));
  await Promise.all(lots.map((lot) => bank.rpc.credit(lot)));
  const refused = await bank.rpc.credit(creditOf({ id: "one more", amount: 1 }));
  expect(refused).toMatchObject({ type: "refused", refusal: { code: "lot_limit" } });
}, 60_000);

it("gives the starter balance once", async () => {
  const bank = bankOf();
  const key = { id: idOf("key") as unknown as KeyId, name: "first", ...bank.credentials };
  const command = { account: bank.account, key, starter: true };
  const opened = await Promise.all(Array.from({ length: 20 }, () => bank.rpc.open(command)));
  expect(opened.filter((answer) => answer.ok && answer.value.opened)).toHaveLength(1);
  expect(await balance(bank)).toEqual({ available: 1_200_000, held: 0 });
});
