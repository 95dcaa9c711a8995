import { expect, it } from "vitest";
import { ADMIN, call, openAccount, type TestAccount } from "./support.ts";

async function two(): Promise<[TestAccount, TestAccount]> {
  const [from, to] = [await openAccount("from", false), await openAccount("to", false)];
  const topup = { id: "paid", kind: "topup", amount: "0.0001" };
  await call(`/api/v1/admin/accounts/${from.account}/credits`, { key: ADMIN, body: topup });
  return [from, to];
}

const available = async ({ key }: TestAccount) => (await call("/api/v1/balance", { key })).json.available;

it("sends credits once for each id, and shows them in both ledgers", async () => {
  const [from, to] = await two();
  const send = () =>
    call("/api/v1/transfers", { key: from.key, body: { to: to.account, amount: "40.5", memo: "=thanks", id: "t" } });
  const answers = [await send(), await send()];
  for (const { status, json } of answers) {
    expect([status, json]).toEqual([
      200,
      { id: "t", to: to.account, amount: "40.500", memo: "=thanks", seq: 2, state: "delivered" },
    ]);
  }
  expect([await available(from), await available(to)]).toEqual(["59.500", "40.500"]);
  const sent = (await call("/api/v1/ledger?format=csv", { key: from.key })).text.split("\r\n")[2];
  const came = (await call("/api/v1/ledger?format=csv&type=transfer", { key: to.key })).text.split("\r\n")[1];
  expect(sent).toMatch(new RegExp(`^2,[^,]+,transfer,,40\\.500,,.*,'=thanks,${to.account}$`));
  expect(came).toMatch(new RegExp(`^1,[^,]+,transfer,40\\.500,,.*,${from.account}$`));
});

it.each([
  [{ amount: "0" }, 400, "invalid_request", "amount"],
  [{ amount: "1.0001" }, 400, "invalid_request", "amount"],
  [{ to: "nobody" }, 400, "invalid_request", "to"],
  [{ to: "7".padEnd(22, "0") }, 404, "account_not_found", "to"],
  [{ amount: "100.001" }, 402, "insufficient_credits", "amount"],
  [{ id: undefined }, 400, "invalid_request", "id"],
])("refuses %j by its parameter, and moves nothing", async (change, status, code, param) => {
  const [from, to] = await two();
  const body = { to: to.account, amount: "1", id: "t", ...change };
  const answer = await call("/api/v1/transfers", { key: from.key, body });
  expect([answer.status, answer.json.code, answer.json.param]).toEqual([status, code, param]);
  expect([await available(from), await available(to)]).toEqual(["100.000", "0.000"]);
});

it("takes the header's Idempotency-Key for the id", async () => {
  const [from, to] = await two();
  const body = { to: to.account, amount: "1" };
  const send = () => call("/api/v1/transfers", { key: from.key, body, headers: { "idempotency-key": "k" } });
  await Promise.all([send(), send(), send()]);
  expect(await available(to)).toBe("1.000");
});
