/** Kills of the Worker as a real daemon meets them: a process of its own, with its claims on disk. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { cleanUp, temporaryFolder } from "../support/children.ts";
import { Daemon } from "../support/daemon.ts";
import { Network, type TestAccount, TOY_MODEL, until } from "../support/network.ts";
import { SLOWLY, type SlowEngine, startSlowEngine } from "../support/slow-engine.ts";
import { MortalServer } from "./support/mortal-server.ts";

const TOY = TOY_MODEL.id;
const AFTER_POST = "relay: after Account.post";

let network: Network<MortalServer>;
let provider: TestAccount;
let engine: SlowEngine;
let home: string;
let daemon: Daemon;
beforeAll(async () => {
  const server = await MortalServer.start();
  [network, engine] = await Promise.all([Network.on(server, [TOY_MODEL]), startSlowEngine()]);
  provider = await network.open({ starter: false });
  home = await temporaryFolder();
  daemon = await startDaemon();
});
afterAll(async () => {
  await network?.server.close();
  await cleanUp();
  await engine?.close();
});

async function startDaemon(): Promise<Daemon> {
  const flags = ["--engine", engine.url, "--serve", `slow=${TOY}`, "--quantization", "q8", "--context", "512"];
  const started = await Daemon.start(network, provider, { engine: flags, home });
  await served();
  return started;
}

async function served(): Promise<void> {
  await until(async () => (await network.server.supply(TOY)).daemons === 1, "the daemon in its pool");
}

function ask(consumer: TestAccount, content = "Hello"): Promise<string> {
  const body = { model: TOY, messages: [{ role: "user", content }], stream: true };
  return network.chat(consumer, body).then((response) => response.text());
}

/** Asks, and kills the Worker at a point of the answer's way. */
async function cut(consumer: TestAccount, point: string, content?: string): Promise<void> {
  await network.server.arm({ point, occurrence: 1 });
  await Promise.all([network.server.life.ended, ask(consumer, content).catch(() => {})]);
}

it.each([
  ["settles a claim that was posted", AFTER_POST, "claim_settled", "Hello"],
  ["refuses a claim that was not posted", "Relay.webSocketMessage(done): begins", "claim_refused", "Hello"],
  ["releases a job that was cut", "Relay.webSocketMessage(frame): ends", "job_aborted", `Answer ${SLOWLY}`],
])("%s, once the daemon is back", async (_, point, event, content) => {
  const consumer = await network.open();
  const seen = daemon.events.filter((entry) => entry.event === event).length;
  await cut(consumer, point, content);
  await network.server.restart();
  await served();
  await daemon.waitFor(event, () => daemon.events.filter((entry) => entry.event === event)[seen]);
  await until(async () => (await network.balance(consumer)).held === 0, "the end of the hold");
  await expectBooks(consumer, event === "claim_settled" ? 1 : 0);
  expect(await ask(consumer)).toContain("[DONE]");
  await expectBooks(consumer, event === "claim_settled" ? 2 : 1);
});

it("settles a claim that was posted when the daemon was killed too", async () => {
  const consumer = await network.open();
  await cut(consumer, AFTER_POST);
  daemon.signal("SIGKILL");
  await daemon.exited;
  await network.server.restart();
  daemon = await startDaemon();
  await daemon.event("claim_settled");
  await expectBooks(consumer, 1);
});

/** Holds an account to as many receipts, each paid once. */
async function expectBooks(consumer: TestAccount, count: number): Promise<void> {
  const receipts = await network.receipts(consumer);
  expect(receipts).toHaveLength(count);
  for (const { job } of receipts) await network.receipt(job, consumer);
  const charged = receipts.reduce((sum, { charge }) => sum + charge.millicredits, 0);
  expect(await network.balance(consumer)).toEqual({ available: 1_200_000 - charged, held: 0 });
}
