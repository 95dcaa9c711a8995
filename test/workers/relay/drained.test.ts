/** An account drains its daemon, and resumes it: whatever is lost in between, D1's word holds. */

import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import { relayOf } from "../../../protocol/internal/names.ts";
import { answering, offerOf, type ScriptedDaemon } from "../../support/scripted-daemon.ts";
import {
  addDaemon,
  call,
  chat,
  connect,
  crash,
  enrol,
  openAccount,
  openMarket,
  supply,
  type TestAccount,
  until,
  withKey,
} from "../job/network.ts";

const relayOfDaemon = ({ key }: ScriptedDaemon) =>
  env.RELAY.getByName(relayOf("local", key.id, Number(env.RELAY_SHARDS)));
const pool = () => env.SCHEDULER.getByName("local/test-model");

async function steer(owner: TestAccount, { key }: ScriptedDaemon, verb: "drain" | "resume") {
  const response = await call(`/api/v1/daemons/${key.id}/${verb}`, { method: "POST", ...withKey(owner.apiKey) });
  // oxlint-disable-next-line typescript/no-explicit-any
  return { status: response.status, json: await response.json<any>() };
}

async function look(owner: TestAccount, { key }: ScriptedDaemon) {
  // oxlint-disable-next-line typescript/no-explicit-any
  return await (await call(`/api/v1/daemons/${key.id}`, withKey(owner.apiKey))).json<any>();
}

/** The daemon over a new connection. */
async function reconnect(): Promise<ScriptedDaemon> {
  const daemon = await connect(1, answering(["Hi"]));
  await daemon.join(offerOf("test-model"));
  return daemon;
}

const notices = ({ received }: ScriptedDaemon) =>
  received.flatMap((message) => (message.type === "message" ? [message.text] : []));

it("lets the running job end, gives no new one, and brings the same offer back", async () => {
  const { consumer, provider } = await openMarket();
  const finish = Promise.withResolvers<void>();
  const daemon = await addDaemon(provider, {
    onJob: async (job) => {
      job.accept();
      job.text("slow");
      await finish.promise;
      job.done();
    },
  });
  const running = await chat(consumer.apiKey, { stream: true });
  const drained = await steer(provider, daemon, "drain");
  expect([drained.status, drained.json]).toMatchObject([
    200,
    {
      state: "draining",
      connection: { draining_by: ["account"], running: 1, models: [{ id: "test-model", slots: 8, running: 1 }] },
    },
  ]);
  expect(await supply("test-model")).toMatchObject({ daemons: 0 });
  expect((await daemon.next("message")).text).toContain("has drained this daemon");
  // Neither an offer nor a second call changes anything, nor says it again.
  daemon.send(offerOf("test-model"));
  expect((await steer(provider, daemon, "drain")).json.drained_at).toBe(drained.json.drained_at);
  const other = await addDaemon(provider, { number: 2 });
  expect((await chat(consumer.apiKey)).status).toBe(200);
  expect([daemon.jobs.length, other.jobs.length]).toEqual([1, 1]);
  finish.resolve();
  expect(await running.text()).toContain("[DONE]");
  expect(notices(daemon)).toHaveLength(1);
  await until(async () => (await look(provider, daemon)).connection.running === 0, "the end of the job");

  other.socket.close(1000, "bye");
  await until(async () => !(await look(provider, other)).connected, "the other one's end");
  expect((await steer(provider, daemon, "resume")).json).toMatchObject({ state: "serving", drained_at: null });
  expect(notices(daemon)[1]).toContain("has resumed");
  expect((await chat(consumer.apiKey)).status).toBe(200);
  expect(daemon.jobs).toHaveLength(2);
  expect((await steer(provider, daemon, "resume")).status).toBe(200);
  expect(notices(daemon)).toHaveLength(2);
});

it("holds over the sleep and the loss of relay and scheduler, and over new connections", async () => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider);
  await steer(provider, daemon, "drain");
  for (const away of [evictDurableObject, crash]) {
    await away(pool());
    expect(await supply("test-model")).toMatchObject({ daemons: 0 });
  }
  await evictDurableObject(relayOfDaemon(daemon));
  const roster = await relayOfDaemon(daemon).roster("test-model");
  expect(roster.registrations).toMatchObject([{ draining: true }]);

  await crash(relayOfDaemon(daemon));
  const again = await reconnect();
  const welcome = await again.next("welcome");
  expect(welcome.messages).toMatchObject([
    { level: "warning", text: expect.stringContaining("has drained this daemon") },
  ]);
  await until(async () => (await look(provider, again)).connection?.models.length === 1, "the offer");
  expect(await look(provider, again)).toMatchObject({ state: "draining", connection: { draining_by: ["account"] } });
  expect(await supply("test-model")).toMatchObject({ daemons: 0 });

  // Resumed while it is away, it is not told of any drain.
  again.socket.close(1000, "bye");
  await until(async () => (await look(provider, again)).state === "offline", "its end");
  await steer(provider, again, "resume");
  const last = await reconnect();
  expect((await last.next("welcome")).messages).toEqual([]);
  await until(async () => (await supply("test-model")).daemons === 1, "its return");
  expect((await look(provider, last)).state).toBe("serving");
  await evictDurableObject(pool());
  expect((await chat(consumer.apiKey)).status).toBe(200);
  expect(last.jobs).toHaveLength(1);
});

it("is heard by a daemon that is just being let in", async () => {
  const { provider } = await openMarket();
  await enrol(provider, 1);
  const daemon = await connect(1);
  // D1's answer to the admission is held back until the call has come and gone.
  const calls = { asked: false, released: false };
  type Statements = { all: (this: unknown) => Promise<unknown> };
  const prototype = Object.getPrototypeOf(env.DB.prepare("SELECT 1")) as Statements;
  const original = prototype.all;
  vi.spyOn(prototype, "all").mockImplementationOnce(async function (this: unknown) {
    const result: unknown = await Reflect.apply(original, this, []);
    calls.asked = true;
    while (!calls.released) await new Promise((resolve) => setTimeout(resolve, 5));
    return result;
  });
  const joined = daemon.join(offerOf("test-model"));
  await until(() => calls.asked, "the admission");
  const drained = steer(provider, daemon, "drain");
  await until(async () => {
    const row = await env.DB.prepare("SELECT drained_at FROM daemons WHERE id = ?")
      .bind(daemon.key.id)
      .first("drained_at");
    return row !== null;
  });
  expect((await drained).json).toMatchObject({ state: "offline" });
  calls.released = true;
  await joined;
  expect((await daemon.next("message")).text).toContain("has drained this daemon");
  await until(async () => (await look(provider, daemon)).state === "draining", "the drain");
});

it("keeps what the daemon says of its own end apart from its account's word", async () => {
  const { provider } = await openMarket();
  const daemon = await addDaemon(provider);
  daemon.send({ type: "drain" });
  await until(async () => (await look(provider, daemon)).state === "draining", "its drain");
  await steer(provider, daemon, "drain");
  expect((await look(provider, daemon)).connection.draining_by).toEqual(["account", "daemon"]);
  expect((await steer(provider, daemon, "resume")).json.connection.draining_by).toEqual(["daemon"]);
  expect(await supply("test-model")).toMatchObject({ daemons: 0 });
});

it("shows what the daemon says of itself", async () => {
  const { provider } = await openMarket();
  const daemon = await addDaemon(provider);
  const gates = { schedule: "sat-sun in UTC", on_ac_power: false, withdrawn_by: ["schedule", "ac_power"] };
  daemon.send({ ...offerOf("test-model"), models: [], ...gates });
  daemon.send({ type: "status", load: 0, thermal: "warm", queue: 0 });
  await until(async () => (await look(provider, daemon)).connection.thermal === "warm", "the status");
  expect(await look(provider, daemon)).toMatchObject({
    state: "withdrawn",
    connected: true,
    connection: { draining_by: [], thermal: "warm", running: 0, models: [], ...gates },
  });
});

it("is for its account alone", async () => {
  const { provider } = await openMarket();
  const daemon = await addDaemon(provider);
  const stranger = await openAccount();
  for (const verb of ["drain", "resume"] as const) {
    expect(await steer(stranger, daemon, verb)).toMatchObject({ status: 404, json: { code: "daemon_not_found" } });
  }
  expect((await look(provider, daemon)).state).toBe("serving");
  const made = await call("/api/v1/keys", {
    method: "POST",
    body: JSON.stringify({ name: "reader", scopes: ["read", "manage"] }),
    ...withKey(provider.apiKey, { "content-type": "application/json" }),
  });
  const { key } = await made.json<{ key: string }>();
  const refused = await steer({ ...provider, apiKey: key }, daemon, "drain");
  expect(refused).toMatchObject({ status: 403, json: { code: "forbidden" } });
});
