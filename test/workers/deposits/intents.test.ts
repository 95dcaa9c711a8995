import { env } from "cloudflare:workers";
import { base58 } from "@scure/base";
import { expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { parsePayUrl } from "../../../protocol/solana/pay-url.ts";
import { keyOf, TREASURY } from "../../support/payments.ts";
import { call, callWith, openAccount } from "../api/support.ts";
import { ask, topup } from "./support.ts";

it("offers three packages to everybody", async () => {
  const { status, json } = await call("/api/v1/packages");
  expect(status).toBe(200);
  expect(json.data).toEqual(
    [
      ["starter", "50", 1],
      ["team", "400", 10],
      ["scale", "3000", 80],
    ].map(([id, price, slots]) => ({
      id,
      price_usd: `${price}.000000000`,
      included_usd: `${price}.000000000`,
      slots,
      queue_p95_ms: 2_000,
      valid_days: 30,
    })),
  );
});

it("asks for a top-up with a link that wallets read", async () => {
  const { key } = await openAccount();
  const { status, json } = await ask("/deposits", { key, body: { kind: "topup", amount: "20.50", id: "a-1" } });
  expect(status).toBe(201);
  expect(json).toMatchObject({ id: "a-1", kind: "topup", package: null, amount_usd: "20.500000000", state: "open" });
  expect(json.payments).toEqual([]);
  expect(Date.parse(json.expires_at) - Date.parse(json.created_at)).toBe(LIMITS.depositIntentMs);
  expect(base58.decode(json.reference)).toHaveLength(32);
  expect(parsePayUrl(json.solana_pay_url)).toEqual({
    recipient: TREASURY.owner,
    amount: "20.5",
    splToken: TREASURY.mint,
    reference: json.reference,
    label: "Tollmill",
    memo: "tollmill",
  });
  expect((await ask("/deposits/a-1", { key })).json).toEqual(json);
});

it("asks once for an id, and refuses another wish under it", async () => {
  const { key } = await openAccount();
  const body = { kind: "package", package: "team", id: "p" };
  const first = await ask("/deposits", { key, body });
  const again = await ask("/deposits", { key, body });
  const { id: _id, ...same } = body;
  const byHeader = await ask("/deposits", { key, body: same, headers: { "idempotency-key": "p" } });
  expect([first.status, again.status, byHeader.status]).toEqual([201, 200, 200]);
  expect([again.json, byHeader.json]).toEqual([first.json, first.json]);
  expect(first.json.amount_usd).toBe("400.000000000");
  for (const other of [
    { ...body, package: "scale" },
    { kind: "topup", amount: "400", id: "p" },
  ]) {
    const { status, json } = await ask("/deposits", { key, body: other });
    expect([status, json.code]).toEqual([409, "id_conflict"]);
  }
  const { json } = await ask("/deposits", { key });
  expect(json.data.map(({ id }: { id: string }) => id)).toEqual(["p"]);
});

it("makes twenty intents of twenty calls without an id, and one of twenty with the same", async () => {
  const account = await openAccount();
  const ids = await Promise.all(Array.from({ length: 20 }, async () => (await topup(account)).id));
  expect(new Set(ids).size).toBe(20);
  const body = { kind: "topup", amount: "3", id: "same" };
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask("/deposits", { key: account.key, body })));
  expect(new Set(answers.map(({ json }) => json.reference)).size).toBe(1);
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
});

it.each(["0.001", "0.0000001", "20.1234567", "1000001", "-5", "1e3", ""])("refuses the amount %s", async (amount) => {
  const { key } = await openAccount();
  const { status, json } = await ask("/deposits", { key, body: { kind: "topup", amount } });
  expect([status, json.param]).toEqual([400, "amount"]);
});

it("waits for a bounded number of payments", async () => {
  const account = await openAccount();
  for (let n = 0; n < LIMITS.depositIntents; n++) await topup(account, "1", `n${n}`);
  const { status, json } = await ask("/deposits", { key: account.key, body: { kind: "topup", amount: "1" } });
  expect([status, json.code]).toEqual([409, "deposit_limit"]);
});

it("pages by cursor and shows nobody another one's", async () => {
  const account = await openAccount("first");
  const other = await openAccount("second");
  for (const id of ["a", "b", "c"]) await topup(account, "1", id);
  await topup(other, "1", "a");
  const first = (await ask("/deposits?limit=2", { key: account.key })).json;
  const second = (await ask(`/deposits?limit=2&cursor=${first.next}`, { key: account.key })).json;
  const ids = [...first.data, ...second.data].map(({ id }: { id: string }) => id);
  expect([ids.sort(), second.next]).toEqual([["a", "b", "c"], null]);
  expect((await ask("/deposits/b", { key: other.key })).json.code).toBe("deposit_not_found");
});

it("says so where the network takes no deposits", async () => {
  const { key } = await openAccount();
  const { status, json } = await call("/api/v1/deposits", { key, body: { kind: "topup", amount: "1" } });
  expect([status, json.code]).toEqual([503, "deposits_unavailable"]);
});

it("needs keys that may: manage to ask, read to look", async () => {
  const owner = await openAccount();
  const make = async (scopes: string[]) =>
    (await call("/api/v1/keys", { key: owner.key, body: { name: scopes.join(), scopes } })).json.key as string;
  const [reads, infers] = [await make(["read"]), await make(["inference"])];
  const body = { kind: "topup", amount: "1" };
  expect((await ask("/deposits", { key: reads, body })).status).toBe(403);
  expect((await ask("/deposits", { key: reads })).status).toBe(200);
  expect((await ask("/deposits", { key: infers })).status).toBe(403);
});

it.each([
  ["TREASURY_ADDRESS", { TREASURY_ADDRESS: "0x12" }],
  ["USDC_MINT", { USDC_MINT: keyOf(1, 33) }],
  ["SOLANA_RPC_URL", { SOLANA_RPC_URL: "ftp://node.test/key" }],
])("names the variable %s where it is wrong, and never its value", async (name, wrong) => {
  const { key } = await openAccount();
  const { readConfig } = await import("../../../workers/config.ts");
  const variables = { ...env, SOLANA_RPC_URL: "http://127.0.0.1:9", ...wrong };
  expect(() => readConfig(variables as unknown as Env)).toThrow(name);
  expect(() => readConfig(variables as unknown as Env)).not.toThrow(/0x12|ftp:/);
  expect((await callWith(wrong as Partial<Env>, "/api/v1/balance", { key })).status).toBe(
    name === "SOLANA_RPC_URL" ? 500 : 200,
  );
});
