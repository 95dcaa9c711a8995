import { env } from "cloudflare:workers";
import { ed25519 } from "@noble/curves/ed25519.js";
import { expect, it, vi } from "vitest";
import { base64url, daemonIdOf } from "../../../core/keys.ts";
import { LIMITS } from "../../../core/limits.ts";
import { enrolDaemon } from "../../../db/daemons.ts";
import { PROTOCOL_VERSION, proofBytes, SUBPROTOCOL } from "../../../protocol/daemon/messages.ts";
import { daemonKey, offerOf, ScriptedDaemon } from "../../support/scripted-daemon.ts";
import { addDaemon, addModel, call, chat, connect, openAccount, openMarket, supply, until } from "../job/network.ts";

/** A connection that says hello but leaves the proof to the test. */
async function challenged(number = 1): Promise<{ daemon: ScriptedDaemon; prove: (secret?: Uint8Array) => string }> {
  const daemon = await connect(number);
  daemon.proves = false;
  daemon.send({ type: "hello", version: PROTOCOL_VERSION, daemon: daemon.key.id });
  const challenge = await daemon.next("challenge");
  const bytes = proofBytes(challenge, daemon.key.id, PROTOCOL_VERSION);
  return { daemon, prove: (secret = daemon.key.secret) => base64url(ed25519.sign(bytes, secret)) };
}

async function enrol(number: number): Promise<void> {
  const { account } = await openAccount();
  const row = { account, name: "daemon", payout: "credits", tier: "desktop", created_at: 0 } as const;
  await enrolDaemon(env.DB, { id: daemonKey(number).id, ...row });
}

async function expectClosed(daemon: ScriptedDaemon, code: string): Promise<void> {
  expect(await daemon.next("error")).toMatchObject({ code });
  expect(await daemon.closed).toEqual({ code: 1008, reason: code });
}

it("refuses a proof that another key signed", async () => {
  await enrol(1);
  const { daemon, prove } = await challenged();
  daemon.send({ type: "proof", signature: prove(daemonKey(2).secret) });
  await expectClosed(daemon, "challenge_failed");
});

it("refuses a proof that answered another challenge", async () => {
  await enrol(1);
  const [first, second] = [await challenged(), await challenged()];
  second.daemon.send({ type: "proof", signature: first.prove() });
  await expectClosed(second.daemon, "challenge_failed");
  first.daemon.send({ type: "proof", signature: first.prove() });
  expect(await first.daemon.next("welcome")).toMatchObject({ type: "welcome" });
});

it("refuses a proof that comes too late", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  await enrol(1);
  const { daemon, prove } = await challenged();
  vi.setSystemTime(Date.now() + LIMITS.challengeMs + 1);
  daemon.send({ type: "proof", signature: prove() });
  await expectClosed(daemon, "challenge_failed");
});

it("refuses a daemon that nobody enrolled", async () => {
  const { daemon, prove } = await challenged();
  daemon.send({ type: "proof", signature: prove() });
  await expectClosed(daemon, "daemon_not_enrolled");
});

it("refuses a version that it does not speak, and a key other than the connection's", async () => {
  const old = await connect(1);
  old.send({ type: "hello", version: 2, daemon: old.key.id });
  await expectClosed(old, "unknown_version");
  const other = await connect(1);
  other.send({ type: "hello", version: PROTOCOL_VERSION, daemon: daemonKey(2).id });
  await expectClosed(other, "challenge_failed");
});

it("refuses a key with which one constant signature fits every message", async () => {
  const weak = daemonIdOf(Uint8Array.of(1, ...new Uint8Array(31)));
  const { webSocket } = await call(`/api/v1/connect?daemon=${weak}`, {
    headers: { upgrade: "websocket", "sec-websocket-protocol": SUBPROTOCOL },
  });
  const socket = webSocket as WebSocket;
  socket.accept();
  const daemon = new ScriptedDaemon({ id: weak, secret: new Uint8Array(32) }, socket, () => {});
  daemon.send({ type: "hello", version: PROTOCOL_VERSION, daemon: weak });
  await expectClosed(daemon, "weak_public_key");
});

it("takes nothing from a connection that has not proven its key", async () => {
  await addModel();
  await enrol(1);
  const { daemon } = await challenged();
  daemon.send(offerOf("test-model"));
  daemon.send({ type: "drain" });
  daemon.socket.send(new Uint8Array(8));
  await until(() => daemon.received.filter(({ type }) => type === "error").length === 3, "three errors");
  for (const message of daemon.received.filter(({ type }) => type === "error")) {
    expect(message).toMatchObject({ code: "unexpected_message" });
  }
  expect(await supply("test-model")).toMatchObject({ daemons: 0 });
});

it("replaces the older of two connections with one key, and serves over the newer", async () => {
  const { consumer, provider } = await openMarket();
  const older = await addDaemon(provider);
  const newer = await addDaemon(provider);
  await expectClosed(older, "replaced");
  expect((await chat(consumer.apiKey)).status).toBe(200);
  expect([older.jobs.length, newer.jobs.length]).toEqual([0, 1]);
  expect(await supply("test-model")).toMatchObject({ daemons: 1 });
});

it("forgets what the older connection offered and the newer does not", async () => {
  const { provider } = await openMarket();
  await addModel({ id: "other-model" });
  await addDaemon(provider);
  await addDaemon(provider, { model: "other-model" });
  expect(await supply("test-model")).toMatchObject({ daemons: 0 });
  expect(await supply("other-model")).toMatchObject({ daemons: 1 });
});

it("forgets a daemon that said hello twice when it closes", async () => {
  const { provider } = await openMarket();
  const daemon = await addDaemon(provider);
  daemon.send({ type: "hello", version: PROTOCOL_VERSION, daemon: daemon.key.id });
  expect(await daemon.next("error")).toMatchObject({ code: "unexpected_message" });
  daemon.socket.close(1000, "bye");
  await until(async () => (await supply("test-model")).daemons === 0, "an empty pool");
});

it("forgets a daemon that offers and closes at once", async () => {
  const { provider } = await openMarket();
  const daemon = await addDaemon(provider);
  daemon.send({ ...offerOf("test-model"), models: [] });
  await until(async () => (await supply("test-model")).daemons === 0, "an empty pool");
  daemon.send(offerOf("test-model"));
  daemon.socket.close(1000, "bye");
  await daemon.closed;
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await supply("test-model")).toMatchObject({ daemons: 0 });
});

it("gives no more jobs to a daemon that drains, and lets it finish the one it has", async () => {
  const { consumer, provider } = await openMarket();
  const finish = Promise.withResolvers<void>();
  const daemon = await addDaemon(provider, {
    number: 1,
    onJob: async (job) => {
      job.accept();
      job.text("slow");
      await finish.promise;
      job.done();
    },
  });
  const running = await chat(consumer.apiKey, { stream: true });
  daemon.send({ type: "drain" });
  await until(async () => (await supply("test-model")).daemons === 0, "a pool without it");
  // An offer changes nothing about that.
  daemon.send(offerOf("test-model"));
  const other = await addDaemon(provider, { number: 2 });
  expect((await chat(consumer.apiKey)).status).toBe(200);
  expect([daemon.jobs.length, other.jobs.length]).toEqual([1, 1]);
  finish.resolve();
  expect(await running.text()).toContain("[DONE]");
});
