/** What two operators decide about a deposit in suspense. */

import { env } from "cloudflare:workers";
import { beforeEach, expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { FakeChain, keyOf } from "../../support/payments.ts";
import { type Answer, callWith, openAccount, type TestAccount } from "../api/support.ts";
import { ALICE, arrived, ask, available, BOB, forgetDeposits, scan, told, topup, wrongSums } from "./support.ts";

let account: TestAccount;
let deposit: string;
let chain: FakeChain;
beforeEach(async () => {
  await forgetDeposits();
  vi.useFakeTimers({ toFake: ["Date"] });
  account = await openAccount("resolved-first", false);
  chain = new FakeChain();
  chain.add({ signature: keyOf(1, 64), at: Date.now(), transfers: [{ units: 7_000_000n }] });
  await scan(chain);
  deposit = (await arrived())[0]?.id ?? "";
});

const propose = (body: object, key = ALICE) => ask(`/admin/deposits/${deposit}/resolutions`, { key, body });
const decide = (what: "approve" | "decline", key: string, id = "r") =>
  ask(`/admin/deposit-resolutions/${id}/${what}`, { method: "POST", key });
const codeOf = ({ status, json }: Answer) => [status, json.code ?? json.state];
const credit = (more: object = {}) => ({ id: "r", action: "credit", account: account.account, reason: "x", ...more });

it("credits an account once both have agreed, and shows it to its owner", async () => {
  expect(codeOf(await propose(credit()))).toEqual([201, "proposed"]);
  expect(await told()).toEqual(["suspense no_reference topup 7000000"]);
  expect(codeOf(await decide("approve", ALICE))).toEqual([403, "second_operator_needed"]);
  expect(await available(account)).toBe("0.000");
  expect(codeOf(await decide("approve", BOB))).toEqual([200, "done"]);
  expect(codeOf(await decide("approve", BOB))).toEqual([200, "done"]);
  expect(await told()).toEqual(["credited operators topup 7000000"]);
  expect(await available(account)).toBe("7000000.000");
  const { json } = await ask("/deposits", { key: account.key });
  expect(json.unasked).toMatchObject([{ id: deposit, state: "credited", reason: "operators" }]);
  expect(await wrongSums()).toEqual([]);
});

it("notes that it was paid back, and keeps it out of suspense", async () => {
  await propose({ id: "r", action: "return", reason: "paid back by 5Zx…" });
  expect(codeOf(await decide("approve", BOB))).toEqual([200, "done"]);
  expect(await told()).toEqual(["returned no_reference topup 7000000"]);
  expect((await ask("/invariants")).json).toMatchObject({ ok: true, in_suspense: "0" });
});

it("keeps what is the network's own, but nothing that names an account", async () => {
  await propose({ id: "r", action: "keep", reason: "the founders' capital" });
  expect(codeOf(await decide("approve", ALICE))).toEqual([403, "second_operator_needed"]);
  expect(codeOf(await decide("approve", BOB))).toEqual([200, "done"]);
  expect(codeOf(await decide("approve", BOB))).toEqual([200, "done"]);
  expect(await told()).toEqual(["kept no_reference topup 7000000"]);
  expect((await ask("/invariants")).json).toMatchObject({ ok: true, in_suspense: "0" });
  await env.DB.prepare("UPDATE deposits SET state = 'suspense', resolution = NULL, account = ?")
    .bind(account.account)
    .run();
  const answer = await propose({ id: "s", action: "keep", reason: "ours" });
  expect([codeOf(answer), answer.json.param]).toEqual([[400, "invalid_request"], "action"]);
});

it("carries out one of two proposals", async () => {
  await propose(credit());
  await propose(credit({ id: "s" }), BOB);
  const both = await Promise.all([decide("approve", BOB), decide("approve", ALICE, "s")]);
  expect(both.map((answer) => codeOf(answer).join(" ")).sort()).toEqual(["200 done", "409 deposit_settled"]);
  expect(await available(account)).toBe("7000000.000");
});

it("goes back into suspense where the account does not take it, and can be proposed anew", async () => {
  const nobody = await openAccount("resolved-second", false);
  await propose(credit({ account: "0000000000000000000042" }));
  expect(codeOf(await decide("approve", BOB))).toEqual([404, "account_not_found"]);
  expect(codeOf(await decide("approve", BOB))).toEqual([404, "account_not_found"]);
  expect(await told()).toEqual(["suspense no_reference topup 7000000"]);
  await propose(credit({ id: "s", account: nobody.account }));
  expect(codeOf(await decide("approve", BOB, "s"))).toEqual([200, "done"]);
  expect(await available(nobody)).toBe("7000000.000");
});

it("is closed for good by a decline, and by a week", async () => {
  await propose(credit());
  expect(codeOf(await decide("decline", ALICE))).toEqual([200, "declined"]);
  expect(codeOf(await decide("decline", BOB))).toEqual([200, "declined"]);
  expect(codeOf(await decide("approve", BOB))).toEqual([409, "resolution_closed"]);
  await propose(credit({ id: "s" }));
  vi.setSystemTime(Date.now() + LIMITS.depositProposalMs);
  expect(codeOf(await decide("approve", BOB, "s"))).toEqual([409, "resolution_closed"]);
  const { json } = await ask("/admin/deposit-resolutions?state=expired", { key: BOB });
  expect(json.data.map(({ id }: { id: string }) => id)).toEqual(["s"]);
  expect(await available(account)).toBe("0.000");
});

it("is proposed once for an id", async () => {
  expect((await propose(credit())).status).toBe(201);
  expect((await propose(credit())).status).toBe(200);
  expect(codeOf(await propose(credit({ reason: "y" })))).toEqual([409, "id_conflict"]);
  expect(codeOf(await propose(credit(), BOB))).toEqual([409, "id_conflict"]);
});

it("refuses what makes no sense: nothing that arrived, another's payment, a settled one, one operator", async () => {
  const { reference } = await topup(account);
  chain.add({
    signature: keyOf(2, 64),
    at: Date.now(),
    wrongMint: true,
    transfers: [{ units: 9n, references: [reference] }],
  });
  await scan(chain);
  const wrong = (await arrived()).find(({ reason }) => reason === "wrong_mint")?.id ?? "";
  const path = `/admin/deposits/${wrong}/resolutions`;
  expect(codeOf(await ask(path, { key: ALICE, body: credit() }))).toEqual([400, "invalid_request"]);
  const back = { id: "b", action: "return", reason: "sent back" };
  expect((await ask(path, { key: ALICE, body: back })).status).toBe(201);
  expect(codeOf(await decide("approve", BOB, "b"))).toEqual([200, "done"]);
  expect(codeOf(await ask(path, { key: ALICE, body: { ...back, id: "c" } }))).toEqual([409, "deposit_settled"]);

  const other = await openAccount("resolved-second", false);
  const large = await topup(account, "5");
  chain.add({
    signature: keyOf(3, 64),
    at: Date.now(),
    transfers: [{ units: 9_000_001_000_000n, references: [large.reference] }],
  });
  await scan(chain);
  const full = (await arrived()).find(({ reason }) => reason === "account_full")?.id ?? "";
  const body = credit({ id: "d", account: other.account });
  expect(codeOf(await ask(`/admin/deposits/${full}/resolutions`, { key: ALICE, body }))).toEqual([
    400,
    "invalid_request",
  ]);

  const alone = await callWith({ ADMIN_KEY: "test-admin-key" }, `/api/v1/admin/deposits/${deposit}/resolutions`, {
    key: "test-admin-key",
    body: credit({ id: "e" }),
  });
  expect(codeOf(alone)).toEqual([403, "second_operator_needed"]);
});
