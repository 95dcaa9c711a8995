/** Jobs of private networks on the running network: who serves them, for how much, and who is kept out (economics.md §3). */

import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { relayOf } from "../../../protocol/internal/names.ts";
import { pseudonymOf } from "../../../workers/auth.ts";
import { configOf } from "../../../workers/config.ts";
import { memberNetwork } from "../../../workers/gateway/networks.ts";
import { daemonKey, type ScriptedJob } from "../../support/scripted-daemon.ts";
import { call } from "../api/support.ts";
import { holdBack } from "../job/hold-back.ts";
import {
  addDaemon,
  balance,
  chat,
  onlyReceipt,
  openAccount,
  receiptsOf,
  STARTER,
  supply,
  type TestAccount,
  until,
} from "../job/network.ts";
import { invite, join, MODEL, makeNetwork, remove } from "./support.ts";

/** A network whose admin consumes, and members who serve. */
async function openNetwork(members = 1): Promise<{ admin: TestAccount; network: string; members: TestAccount[] }> {
  const admin = await openAccount();
  const network = await makeNetwork(admin.apiKey);
  const token = await invite(admin.apiKey, network, { uses: 9 });
  const accounts = await Promise.all(Array.from({ length: members }, () => openAccount(false)));
  for (const { apiKey } of accounts) await join(apiKey, token);
  return { admin, network, members: accounts };
}

const ask = (who: TestAccount, network: string, body: object = {}) =>
  chat(who.apiKey, { model: MODEL, network, ...body });
const nameOf = ({ account }: TestAccount) => pseudonymOf(account, configOf(env));
const relayStub = (number: number) =>
  env.RELAY.getByName(relayOf("local", daemonKey(number).id, Number(env.RELAY_SHARDS)));
const errorOf = async (response: Response) =>
  (await response.json<{ error: { code: string; param?: string } }>()).error;

it("serves a member at the network's rate, to the last nanodollar, and keeps the rate from everybody else", async () => {
  const { admin, network, members } = await openNetwork();
  const [provider] = members as [TestAccount];
  await addDaemon(provider, { model: MODEL, networks: [network] });
  const estimate = await call("/api/v1/estimate", {
    key: admin.apiKey,
    body: { model: MODEL, network, max_tokens: 100, messages: [{ role: "user", content: "Hi" }] },
  });
  expect(estimate.json).toMatchObject({ lane: "private", per_1k: "123.457" });
  const response = await ask(admin, network);
  const { usage } = await response.json<{ usage: { lane: string; cost_usd: string } }>();
  // 8 prompt tokens at 10 nanoUSD, 2 completion tokens at 123.457: 326.914, rounded up once.
  expect([response.status, usage.lane, usage.cost_usd]).toEqual([200, "private", "0.000000327"]);
  const receipt = await onlyReceipt(admin);
  expect(receipt).toMatchObject({
    lane: "private",
    provider: provider.account,
    price: { terms: { rate: { completion: 123_457, prompt: 10_000, per: 1_000 }, floor: null } },
    charge: { nano_usd: 327, parts: [{ kind: "bonus", backing: "none", nano_usd: 327, millicredits: 327 }] },
  });
  // 95 % is 310.65 and 5 % 16.35: the largest remainder gets the last one.
  expect(receipt.split.map(({ role, millicredits }) => [role, millicredits])).toEqual([
    ["provider", 311],
    ["network", 16],
  ]);
  expect(await balance(admin.apiKey)).toEqual({ available: STARTER - 327, held: 0 });
  // The same daemon serves the open lanes at the catalog's rate.
  expect((await chat(admin.apiKey, { model: MODEL })).status).toBe(200);
  expect((await receiptsOf(admin))[1]).toMatchObject({ lane: "public", price: { nano_usd_per_1k: 80_000 } });
});

it("never gives its jobs to a daemon outside, and tells that daemon so", async () => {
  const { admin, network, members } = await openNetwork();
  const outsider = await addDaemon(await openAccount(false), { number: 2, model: MODEL, networks: [network, "x"] });
  const jobs: ScriptedJob[] = [];
  const onJob = (job: ScriptedJob) => (job.accept(), jobs.push(job));
  await addDaemon(members[0] as TestAccount, {
    number: 1,
    model: MODEL,
    networks: [network],
    offer: { slots: 1 },
    onJob,
  });
  const asked = [1, 2, 3].map(() => ask(admin, network));
  // The outsider has eight free slots, and still two jobs wait for the one.
  await until(async () => jobs.length === 1 && (await supply(MODEL)).waiting === 2);
  for (const n of [1, 2, 3]) {
    await until(() => jobs.length === n, "the next job");
    jobs[n - 1]?.text("word");
    jobs[n - 1]?.done();
  }
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(outsider.jobs).toEqual([]);
  for (const named of [network, "x"]) {
    const { text } = await outsider.next("message", (message) => message.text.includes(`network ${named} `));
    expect(text).toContain("not in it");
  }
});

it("lets a daemon serve that named the network before its account joined", async () => {
  const { admin, network } = await openNetwork(0);
  const provider = await openAccount(false);
  const daemon = await addDaemon(provider, { model: MODEL, networks: [network] });
  await daemon.next("message");
  await join(provider.apiKey, await invite(admin.apiKey, network));
  expect((await ask(admin, network)).status).toBe(200);
});

it("gives a removed member's daemon no job, also where a grant was on its way", async () => {
  const { admin, network, members } = await openNetwork(2);
  const [leaves, stays] = members as [TestAccount, TestAccount];
  const removed = await addDaemon(leaves, { number: 1, model: MODEL, networks: [network] });
  await addDaemon(stays, { number: 2, model: MODEL, networks: [network], offer: { loaded: false } });
  await evictDurableObject(relayStub(1));
  // It has the model in memory, so it is asked first.
  expect((await ask(admin, network)).status).toBe(200);
  expect(removed.jobs).toHaveLength(1);
  const held = await holdBack(relayStub(1), "fetch");
  const onItsWay = ask(admin, network);
  await held.made();
  expect((await remove(admin.apiKey, network, nameOf(leaves))).status).toBe(200);
  held.release();
  expect((await onItsWay).status).toBe(200);
  expect((await ask(admin, network)).status).toBe(200);
  expect(removed.jobs).toHaveLength(1);
  const { text } = await removed.next("message");
  expect(text).toContain(network);
  expect((await receiptsOf(admin)).slice(1).map(({ provider }) => provider)).toEqual([stays.account, stays.account]);
  // In the open lanes it goes on.
  expect((await chat(admin.apiKey, { model: MODEL })).status).toBe(200);
  expect(removed.jobs).toHaveLength(2);
});

it("forgets a removed member within five seconds, and never knows anybody else", async () => {
  const { admin, network, members } = await openNetwork(1);
  const [member] = members as [TestAccount];
  const now = Date.now();
  const isIn = async (at: number, who = member) => (await memberNetwork(env, network, who.account, at)) !== null;
  expect(await isIn(now)).toBe(true);
  await remove(admin.apiKey, network, nameOf(member));
  expect([await isIn(now + 4_999), await isIn(now + 5_000), await isIn(now + 5_001)]).toEqual([true, false, false]);
  expect(await isIn(now, await openAccount(false))).toBe(false);
  const refused = await ask(await openAccount(), network);
  expect([refused.status, (await errorOf(refused)).code]).toEqual([404, "network_not_found"]);
});

it("says what of a request does not fit a network", async () => {
  const { admin, network } = await openNetwork(0);
  const path = `/api/v1/networks/${network}`;
  await call(path, { method: "PATCH", key: admin.apiKey, body: { rates: { [MODEL]: null } } });
  for (const [body, param] of [
    [{ model: MODEL, network }, "model"],
    [{ model: MODEL, network, lane: "public" }, "lane"],
    [{ model: MODEL, lane: "private" }, "network"],
    [{ model: MODEL, network: "", lane: "private" }, "network"],
  ] as const) {
    const response = await chat(admin.apiKey, body);
    expect([response.status, (await errorOf(response)).param]).toEqual([
      param === "network" && "network" in body ? 404 : 400,
      param,
    ]);
  }
});
