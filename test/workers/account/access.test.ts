import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { DurableObject, env } from "cloudflare:workers";
import { expect, it } from "vitest";
import type { KeyId } from "../../../core/ids.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import { idOf } from "../../support/receipts.ts";
import { bankOf, codeOf, creditOf, factsOf, holdOf, inside, jobOf, openBank } from "./bank.ts";

const WRONG = { secretHash: hashText("not the secret") };

it("shows nothing and holds nothing for a wrong key", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { rpc } = bank;
  const answers = [
    await rpc.balance(WRONG),
    await rpc.job(WRONG, jobOf(), ["read"]),
    await rpc.entries(WRONG, 0, 10),
    await rpc.usage(WRONG, { by: "day", from: 0, to: null, cursor: null }),
    await rpc.keys(WRONG),
    await rpc.createKey(WRONG, { id: idOf("mine") as unknown as KeyId, name: "mine", ...WRONG }),
    await rpc.revokeKey(WRONG, idOf("key of bank") as unknown as KeyId),
  ];
  for (const answer of answers) expect(answer).toMatchObject({ ok: false, refusal: { code: "invalid_api_key" } });
  expect(codeOf(await rpc.hold(holdOf(bank, { credentials: WRONG })))).toBe("invalid_api_key");
});

it("refuses a revoked key at once and for good, and keeps the account's other keys", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const second = { secretHash: hashText("second secret") };
  const id = idOf("second key") as unknown as KeyId;
  await bank.rpc.createKey(bank.credentials, { id, name: "second", ...second });
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { credentials: second })))).toBe("held");
  await bank.rpc.revokeKey(bank.credentials, id);
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { credentials: second })))).toBe("invalid_api_key");
  await evictDurableObject(bank.stub);
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { credentials: second })))).toBe("invalid_api_key");
  expect(codeOf(await bank.rpc.hold(holdOf(bank)))).toBe("held");
});

/** The names by which an object can be called, whichever of its classes they stand in. */
function methodsOf(object: object): string[] {
  const names = new Set<string>();
  for (let level = prototypeOf(object); level !== DurableObject.prototype; level = prototypeOf(level)) {
    for (const name of Object.getOwnPropertyNames(level)) names.add(name);
  }
  return [...names];
}

const prototypeOf = (object: object): object => Object.getPrototypeOf(object) as object;

it("answers to its RPC methods and to nothing else", async () => {
  const bank = await openBank();
  const methods = await runInDurableObject(bank.stub, methodsOf);
  const rpc = [
    "open",
    "hold",
    "admit",
    "post",
    "void",
    "receipt",
    "advance",
    "credit",
    "balance",
    "job",
    "entries",
    "audit",
    "usage",
    "serviceLevels",
    "estimate",
    "keys",
    "reverse",
    "send",
    "receive",
    "canReceive",
    "check",
    "updateKey",
    "rotateKey",
    "createKey",
    "revokeKey",
    "team",
    "invites",
    "invite",
    "revokeInvite",
    "join",
    "changeMember",
    "removeMember",
    "sessions",
    "identity",
  ];
  const platform = ["constructor", "alarm", "fetch", "webSocketMessage", "webSocketClose", "webSocketError"];
  expect(methods.toSorted()).toEqual([...platform, ...rpc].toSorted());
});

it("has slices that answer to their RPC methods and to nothing else", async () => {
  const stub = env.ACCOUNT_SLICE.getByName("somebody/1") as unknown as DurableObjectStub;
  const methods = await runInDurableObject(stub, methodsOf);
  const rpc = [
    "hold",
    "lease",
    "receive",
    "recall",
    "report",
    "job",
    "entries",
    "usage",
    "post",
    "void",
    "receipt",
    "advance",
    "reverse",
  ];
  expect(methods.toSorted()).toEqual(["constructor", "alarm", ...rpc].toSorted());
});

it("is not brought into being by calls", async () => {
  const bank = bankOf("nobody");
  const { rpc } = bank;
  expect(codeOf(await rpc.hold(holdOf(bank)))).toBe("invalid_api_key");
  expect(await rpc.post(factsOf(jobOf()))).toEqual({ type: "refused", reason: "unknown_job" });
  expect(await rpc.void(jobOf(), "nothing")).toEqual({ type: "unknown_job" });
  expect(await rpc.credit(creditOf())).toMatchObject({ refusal: { code: "account_not_found" } });
  expect(await rpc.balance(bank.credentials)).toMatchObject({ refusal: { code: "invalid_api_key" } });
  const tables = await inside(bank, ({ storage }) =>
    storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
  );
  expect(tables).toEqual([]);
});
