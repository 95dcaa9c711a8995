/** Jobs of a network with two regions: nearest first, and further where that helps (docs/decisions/0069). */

import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { SUBPROTOCOL } from "../../../protocol/daemon/messages.ts";
import { app } from "../../../workers/app.ts";
import { daemonKey, offerOf, ScriptedDaemon, type ScriptedJob } from "../../support/scripted-daemon.ts";
import {
  addDaemon,
  balance,
  crash,
  enrol,
  onlyReceipt,
  openAccount,
  openMarket,
  type TestAccount,
  until,
} from "./network.ts";

const TWO_REGIONS = { ...env, OTHER_REGIONS: "far=EU" };
const pool = (region: string) => env.SCHEDULER.getByName(`${region}/test-model`);

/** Calls the edge from a continent. */
function callFrom(continent: string, path: string, init: RequestInit = {}): Promise<Response> {
  const request = new Request(`https://edge${path}`, { ...init, cf: { continent } as IncomingRequestCfProperties });
  return Promise.resolve(app.fetch(request, TWO_REGIONS, createExecutionContext()));
}

function ask({ apiKey }: TestAccount, continent = "NA"): Promise<Response> {
  const headers = { authorization: `Bearer ${apiKey}`, "content-type": "application/json" };
  const body = { model: "test-model", max_tokens: 8, messages: [{ role: "user", content: "Hi" }] };
  return callFrom(continent, "/v1/chat/completions", { method: "POST", headers, body: JSON.stringify(body) });
}

const serve = (job: ScriptedJob): void => {
  job.accept();
  job.text("far");
  job.done();
};

/** A daemon that connects from Europe. */
async function addFarDaemon(owner: TestAccount, onJob = serve): Promise<ScriptedDaemon> {
  const key = daemonKey(77);
  await enrol(owner, 77);
  const headers = { upgrade: "websocket", "sec-websocket-protocol": SUBPROTOCOL };
  const { webSocket } = await callFrom("EU", `/api/v1/connect?daemon=${key.id}`, { headers });
  if (webSocket === null) throw new Error("no socket");
  webSocket.accept();
  const daemon = new ScriptedDaemon(key, webSocket, onJob);
  await daemon.join(offerOf("test-model", { slots: 1 }));
  await until(async () => (await pool("far").supply()).daemons === 1, "the far daemon");
  return daemon;
}

it("connects a daemon to the nearest region, and serves a consumer who is near", async () => {
  const { consumer, provider } = await openMarket();
  const far = await addFarDaemon(provider);
  expect((await pool("local").supply()).daemons).toBe(0);
  expect((await ask(consumer, "EU")).status).toBe(200);
  expect(far.jobs).toHaveLength(1);
  far.socket.close();
});

it("goes where a slot is free when the nearest region has none, also while it waits, and settles once", async () => {
  const { consumer, provider } = await openMarket();
  const opened = Promise.withResolvers<void>();
  const onJob = async (job: ScriptedJob): Promise<void> => {
    job.accept();
    await opened.promise;
    job.text("near");
    job.done();
  };
  const near = await addDaemon(provider, { offer: { slots: 1 }, onJob });
  const first = ask(consumer);
  await until(() => near.jobs.length === 1);
  const waits = ask(consumer);
  await until(async () => (await pool("local").supply()).waiting === 1, "a waiting job");
  const far = await addFarDaemon(provider);
  expect((await waits).status).toBe(200);
  expect(far.jobs).toHaveLength(1);
  expect((await pool("local").supply()).waiting).toBe(0);
  opened.resolve();
  expect((await first).status).toBe(200);
  await until(async () => (await balance(consumer.apiKey)).held === 0, "no hold");
  far.socket.close();
}, 20_000);

it("moves to another region with a greater fence than the one it had, however young that pool is", async () => {
  const { consumer, provider } = await openMarket();
  // Fences of a pool that has started once more.
  const near = await addDaemon(provider, { offer: { slots: 1 }, onJob: (job) => job.decline() });
  await (await ask(await openAccount())).text();
  await crash(pool("local"));
  const far = await addFarDaemon(provider);
  expect((await ask(consumer)).status).toBe(200);
  const fences = [near.jobs.at(-1)?.job.fence ?? 0, far.jobs.at(-1)?.job.fence ?? 0];
  expect(fences[1]).toBeGreaterThan(fences[0] ?? 0);
  expect(await onlyReceipt(consumer)).toMatchObject({ outcome: "completed", fence: fences[1] });
  far.socket.close();
}, 60_000);
