/** What operators tell daemons: those that are connected at once, and those that connect later. */

import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { DAY_MS } from "../../../core/time.ts";
import { relayOf } from "../../../protocol/internal/names.ts";
import { testSecrets } from "../../secrets.ts";
import { daemonKey, offerOf, type ScriptedDaemon } from "../../support/scripted-daemon.ts";
import { addDaemon, call, connect, enrol, openAccount, openMarket, type TestAccount, withKey } from "../job/network.ts";

const IN_A_DAY = new Date(Date.now() + DAY_MS).toISOString();
const MESSAGE = { id: "deploy-1", level: "warning", text: "A deploy at noon.", all: true, until: IN_A_DAY };

async function admin(method: string, path: string, body?: object, key = testSecrets.ADMIN_KEY) {
  const init = body === undefined ? {} : { body: JSON.stringify(body) };
  const headers = withKey(key, { "content-type": "application/json" });
  const response = await call(`/api/v1/admin/messages${path}`, { method, ...init, ...headers });
  // oxlint-disable-next-line typescript/no-explicit-any
  return { status: response.status, json: await response.json<any>() };
}

const send = (changes: object = {}) => admin("POST", "", { ...MESSAGE, ...changes });

/** A daemon that is enrolled, and what it is welcomed with. */
async function welcomed(owner: TestAccount, number: number) {
  await enrol(owner, number);
  const daemon = await connect(number);
  await daemon.join(offerOf("test-model"));
  return (await daemon.next("welcome")).messages;
}

const told = ({ received }: ScriptedDaemon) =>
  received.flatMap((message) => (message.type === "message" ? [message.text] : []));

/** Numbers of daemons that have different relays. */
const shardOf = (number: number) => relayOf("local", daemonKey(number).id, Number(env.RELAY_SHARDS));
const elsewhere = [2, 3, 4, 5, 6].find((number) => shardOf(number) !== shardOf(1)) ?? 0;

it("reaches daemons of every relay at once, and those that connect before its end", async () => {
  const { provider } = await openMarket();
  const daemons = [await addDaemon(provider), await addDaemon(provider, { number: elsewhere })];
  // Their relay may be asleep.
  await evictDurableObject(env.RELAY.getByName(shardOf(1)));
  const sent = await send();
  expect([sent.status, sent.json]).toMatchObject([201, { id: "deploy-1", told: 2, sent_by: "admin" }]);
  for (const daemon of daemons) {
    expect(await daemon.next("message")).toEqual({
      type: "message",
      id: "deploy-1",
      level: "warning",
      text: "A deploy at noon.",
    });
  }
  const notice = { id: "deploy-1", level: "warning", text: "A deploy at noon." };
  expect(await welcomed(await openAccount(), 9)).toEqual([notice]);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.parse(IN_A_DAY) });
  expect(await welcomed(provider, 10)).toEqual([]);
});

it("reaches one daemon, or an account's, and nobody else", async () => {
  const { provider } = await openMarket();
  const other = await openAccount();
  const daemons = [
    await addDaemon(provider, { number: 1 }),
    await addDaemon(provider, { number: 2 }),
    await addDaemon(other, { number: 3 }),
  ];
  const { all: _, ...rest } = MESSAGE;
  const post = (id: string, to: object) => admin("POST", "", { ...rest, id, text: id, ...to });
  expect((await post("to-one", { daemon: daemonKey(1).id })).json).toMatchObject({ told: 1, account: null });
  expect((await post("to-account", { account: provider.account })).json).toMatchObject({ told: 2, daemon: null });
  await daemons[0]?.next("message", ({ id }) => id === "to-account");
  await daemons[1]?.next("message");
  expect(daemons.map(told)).toEqual([["to-one", "to-account"], ["to-account"], []]);
  expect(await welcomed(other, 4)).toEqual([]);
  expect(await welcomed(provider, 5)).toMatchObject([{ id: "to-account" }]);
  expect(await welcomed(provider, 1)).toMatchObject([{ id: "to-one" }, { id: "to-account" }]);
});

it("is one message for each id, and is told again when its call is made again", async () => {
  const { provider } = await openMarket();
  const first = await send();
  expect(first.json.told).toBe(0);
  const daemon = await addDaemon(provider);
  const again = await send();
  expect([again.status, again.json]).toEqual([200, { ...first.json, told: 1 }]);
  expect(await daemon.next("message")).toMatchObject({ id: "deploy-1" });
  for (const change of [{ text: "Something else." }, { level: "info" }, { until: new Date(Date.now() + 1e6) }]) {
    expect(await send(change)).toMatchObject({ status: 409, json: { code: "id_conflict", param: "id" } });
  }
  const both = await Promise.all([send({ id: "b" }), send({ id: "b" })]);
  expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 201]);
});

it("is not told any more once it was withdrawn", async () => {
  const { provider } = await openMarket();
  await send();
  await send({ id: "deploy-2", text: "Another one." });
  const withdrawn = await admin("DELETE", "/deploy-1");
  expect([withdrawn.status, withdrawn.json.withdrawn_at]).toEqual([200, expect.stringMatching(/Z$/)]);
  expect(await admin("DELETE", "/deploy-1")).toEqual(withdrawn);
  expect(await admin("DELETE", "/deploy-9")).toMatchObject({ status: 404, json: { code: "message_not_found" } });
  expect(await welcomed(provider, 1)).toMatchObject([{ id: "deploy-2" }]);
  expect(await send()).toMatchObject({ status: 200, json: { told: 0, withdrawn_at: withdrawn.json.withdrawn_at } });
});

it("is listed newest first, in pages", async () => {
  for (const id of ["a", "b", "c"]) await send({ id });
  const first = await admin("GET", "?limit=2");
  expect(first.json.data.map(({ id }: { id: string }) => id)).toEqual(["c", "b"]);
  const second = await admin("GET", `?limit=2&cursor=${first.json.next}`);
  expect([second.json.data.map(({ id }: { id: string }) => id), second.json.next]).toEqual([["a"], null]);
  expect(second.json.data[0]).toMatchObject({ account: null, daemon: null, sent_by: "admin", withdrawn_at: null });
});

it("is the newest few for a daemon that many wait for, oldest first", async () => {
  const { provider } = await openMarket();
  const ids = Array.from({ length: LIMITS.operatorMessages + 2 }, (_, i) => `m-${String(i).padStart(2, "0")}`);
  for (const id of ids) await send({ id });
  expect((await welcomed(provider, 1)).map(({ id }) => id)).toEqual(ids.slice(2));
});

it.each([
  [{ all: undefined }, "all"],
  [{ account: "0R7uXmQ2b1vXkYt3Zp9aLc" }, "all"],
  [{ all: false }, "all"],
  [{ text: "" }, "text"],
  [{ text: "x".repeat(LIMITS.operatorMessageCharacters + 1) }, "text"],
  [{ level: "fatal" }, "level"],
  [{ until: "tomorrow" }, "until"],
  [{ until: new Date(Date.now() - 1).toISOString() }, "until"],
  [{ until: new Date(Date.now() + LIMITS.operatorMessageMs + DAY_MS).toISOString() }, "until"],
  [{ id: "..", all: true }, "id"],
])("refuses %j by its parameter", async (change, param) => {
  expect(await send(change)).toMatchObject({ status: 400, json: { code: "invalid_request", param } });
});

it("is for operators alone", async () => {
  const { provider } = await openMarket();
  expect(await admin("POST", "", MESSAGE, provider.apiKey)).toMatchObject({ status: 401 });
});
