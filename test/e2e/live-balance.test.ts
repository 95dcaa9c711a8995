/** The balance in real time as its users meet it: over a real port, with Node's WebSocket and a raw HTTP client. */

import { EventEmitter } from "node:events";
import pico from "picocolors";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { z } from "zod";
import { runCli } from "../../daemon/cli.ts";
import { balance } from "../../protocol/network/account.ts";
import { LIVE_SUBPROTOCOL, liveMessage } from "../../protocol/network/live-balance.ts";
import { LiveWatcher } from "../support/live-watcher.ts";
import { testModel } from "../support/models.ts";
import { answering } from "../support/scripted-daemon.ts";
import { Network, type TestAccount, until } from "./support/network.ts";
import { type RawAnswer, rawCall } from "./support/raw-client.ts";
import { addScripted, type ScriptedSupply } from "./support/scripted.ts";

const MODEL = testModel({ id: "watched-model" });
const PATH = "/api/v1/balance/live";

let network: Network;
let supply: ScriptedSupply;
beforeAll(async () => {
  network = await Network.start([MODEL]);
  const provider = await network.open({ starter: false });
  supply = await addScripted(network, provider, { number: 1, model: MODEL.id, onJob: answering(["Hello", " there"]) });
});
afterAll(async () => {
  supply?.close();
  await network?.close();
});

/** Runs a job and gives its id. */
async function runJob(account: TestAccount): Promise<string> {
  const response = await network.chat(account, { model: MODEL.id, messages: [{ role: "user", content: "Hi" }] });
  expect(response.status).toBe(200);
  return response.headers.get("x-job-id") ?? "";
}

interface Opening {
  readonly apiKey?: string;
  readonly protocols?: readonly string[];
  readonly after?: string;
}

async function watch({ apiKey, protocols = [], after }: Opening): Promise<{ socket: WebSocket; watcher: LiveWatcher }> {
  const headers = {
    ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
    ...(after === undefined ? {} : { "last-event-id": after }),
  };
  // Both sides have said goodbye at once, but the local server keeps the connection itself for ten seconds.
  const options = { headers, closeTimeout: 500 };
  const socket = new WebSocket(network.url.replace(/^http/, "ws") + PATH, [...protocols], options);
  const watcher = new LiveWatcher(socket);
  await new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  await watcher.until(() => watcher.told.length > 0, "a snapshot");
  return { socket, watcher };
}

const stream = (account: TestAccount, headers: Record<string, string> = {}) =>
  rawCall(network, account, PATH, { headers: { accept: "text/event-stream", ...headers } });

/** The events of a raw answer, each with its id, as far as they have come. */
function eventsOf(answer: RawAnswer) {
  const whole = answer.text().split("\n\n").slice(0, -1);
  return whole.flatMap((block) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
    const data = field("data");
    if (data === undefined) return [];
    return [{ id: field("id"), event: field("event"), message: liveMessage.parse(JSON.parse(data)) }];
  });
}

it("follows a job over a WebSocket, from its hold to its receipt", async () => {
  const account = await network.open();
  const { socket, watcher } = await watch(account);
  expect(socket.protocol).toBe("");
  const job = await runJob(account);
  await watcher.until(() => watcher.entries.some((entry) => entry.job === job), "the job's receipt");
  const { available, held, open_jobs, lots } = await network.json("/api/v1/balance", balance, account);
  expect(watcher.seen).toEqual({ available, held, open_jobs, lots });
  expect(watcher.entries).toEqual([{ seq: 2, type: "spent", job }]);
  expect(watcher.told.reduce((begun, message) => begun + message.jobs_begun, 0)).toBe(1);
  watcher.say("ping");
  await watcher.until(() => watcher.texts.includes("pong"), "pong");
  watcher.close();
  expect(await watcher.closed).toMatchObject({ code: 1000 });

  await runJob(account);
  const { watcher: back } = await watch({ ...account, after: watcher.last?.id ?? "" });
  expect(back.entries).toMatchObject([{ seq: 3, type: "spent" }]);
  back.close();
});

it("lets a browser in, whose WebSocket sets subprotocols alone, and ends it when its key is revoked", async () => {
  const account = await network.open();
  const made = z.object({ id: z.string(), key: z.string() });
  const body = { name: "screen", scopes: ["read"] };
  const { id, key } = await network.json("/api/v1/keys", made, { ...account, method: "POST", body });
  const { socket, watcher } = await watch({ protocols: [LIVE_SUBPROTOCOL, key] });
  expect(socket.protocol).toBe(LIVE_SUBPROTOCOL);
  await network.call(`/api/v1/keys/${id}`, { ...account, method: "DELETE" });
  expect(await watcher.closed).toEqual({ code: 1008, reason: "invalid_api_key" });
  expect(watcher.messages.at(-1)).toMatchObject({ type: "end", code: "invalid_api_key" });
  await expect(watch({ protocols: [LIVE_SUBPROTOCOL, key] })).rejects.toThrow("401");
});

it("follows a job over server-sent events, and misses nothing after a reset", async () => {
  const account = await network.open();
  const first = await stream(account);
  expect(first.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
  await until(() => eventsOf(first).length > 0, "a snapshot");
  const job = await runJob(account);
  await first.until(job);
  const events = eventsOf(first);
  expect(events[0]?.event).toBe("snapshot");
  expect(events.at(-1)).toMatchObject({ id: "2.1", event: "change", message: { entries: [{ seq: 2, job }] } });
  first.reset();

  const missed = await runJob(account);
  const second = await stream(account, { "last-event-id": events.at(-1)?.id ?? "" });
  await until(() => eventsOf(second).length > 0, "a snapshot");
  const [snapshot] = eventsOf(second);
  expect(snapshot).toMatchObject({ event: "snapshot", message: { entries: [{ seq: 3, type: "spent", job: missed }] } });
  const { available } = await network.json("/api/v1/balance", balance, account);
  expect(snapshot?.message).toMatchObject({ available });
  second.reset();
});

it("is printed by the command line as it changes", async () => {
  const account = await network.open();
  const out: string[] = [];
  const terminal = { out: (line: string) => void out.push(line), err: () => {}, interactive: false };
  const context = {
    terminal: { ...terminal, colors: pico.createColors(false) },
    env: {},
    folder: "/nowhere",
    readStdin: () => Promise.resolve(""),
  };
  const signals = new EventEmitter();
  const args = ["--url", network.url, "--api-key", account.apiKey, "--json", "balance", "--watch"];
  const code = runCli(args, context, signals);
  await until(() => out.length > 0, "a snapshot");
  const job = await runJob(account);
  await until(() => out.join("").includes(job), "the job's receipt");
  const lines = out.map((line) => liveMessage.parse(JSON.parse(line)));
  const { available } = await network.json("/api/v1/balance", balance, account);
  expect(lines[0]).toMatchObject({ type: "snapshot", available: "1200.000" });
  expect(lines.at(-1)).toMatchObject({ type: "change", available, held: "0.000", open_jobs: 0 });
  signals.emit("SIGINT");
  expect(await code).toBe(0);
});
