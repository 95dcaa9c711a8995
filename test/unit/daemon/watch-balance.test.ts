import { EventEmitter, once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import pico from "picocolors";
import { expect, it, onTestFinished, vi } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { runCli } from "../../../daemon/cli.ts";
import { EXIT } from "../../../daemon/failure.ts";
import { tempFolder } from "./bench.ts";
import { serveHttp } from "./fake-engine.ts";

const API_KEY = `tm_${"A".repeat(71)}`;

interface Peer {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
  readonly heard: string[];
}

/** A network whose live connections a test plays by itself. */
async function liveNetwork() {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const peers: Peer[] = [];
  server.on("connection", (socket, request) => {
    const heard: string[] = [];
    socket.on("message", (data: Buffer) => void heard.push(data.toString()));
    peers.push({ socket, request, heard });
  });
  onTestFinished(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const peer = async (number: number): Promise<Peer> =>
    await vi.waitFor(() => peers[number] ?? expect.unreachable("nobody has connected"), { timeout: 10_000 });
  return { url, peers, peer };
}

function watch(url: string, ...args: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const terminal = {
    out: (line: string) => void out.push(line),
    err: (line: string) => void err.push(line),
    interactive: false,
    colors: pico.createColors(false),
  };
  const context = { terminal, env: {}, folder: tempFolder(), readStdin: () => Promise.resolve("") };
  const signals = new EventEmitter();
  const code = runCli(["--url", url, "--api-key", API_KEY, "balance", "--watch", ...args], context, signals);
  return { out, err, signals, code };
}

const since = { at: "2026-11-25T12:00:01.000Z", entries: [], unlisted: 0, jobs_begun: 0 };
const snapshot = {
  type: "snapshot",
  id: "1.0",
  ...since,
  available: "1200.000",
  held: "0.000",
  minimum: "5.000",
  peg: { millicredits: 1, nano_usd: 1 },
  lots: [],
  open_jobs: 0,
  packages: null,
  allotment: null,
};
const change = {
  type: "change",
  ...since,
  available: "1118.000",
  held: "82.000",
  open_jobs: 1,
  packages: null,
  allotment: null,
  lots: [],
};
const say = ({ socket }: Peer, message: object) => socket.send(JSON.stringify(message));
const lines = async (shown: readonly string[], count: number) =>
  await vi.waitFor(() => expect(shown).toHaveLength(count), { timeout: 10_000 });

it("prints what changes as lines, acknowledges, and ends with a signal", async () => {
  const network = await liveNetwork();
  const { out, signals, code } = watch(network.url);
  const peer = await network.peer(0);
  expect(peer.request.url).toBe("/api/v1/balance/live");
  expect(peer.request.headers.authorization).toBe(`Bearer ${API_KEY}`);
  say(peer, snapshot);
  say(peer, { ...change, id: "1.1", jobs_begun: 1, ack: "read" });
  say(peer, { type: "of a later version" });
  const entries = [
    { seq: 2, type: "spent", job: "job" },
    { seq: 3, type: "bonus", job: null },
    { seq: 4, type: "bonus", job: null },
  ];
  say(peer, { ...change, id: "4.1", entries, unlisted: 7 });
  await lines(out, 3);
  expect(out).toEqual([
    "12:00:01  1200.000 available, 0.000 held by 0 open jobs",
    "12:00:01  1118.000 available, 82.000 held by 1 open job  (1 job began)",
    "12:00:01  1118.000 available, 82.000 held by 1 open job  (spent #2, 2 bonus, 7 older entries)",
  ]);
  await vi.waitFor(() => expect(peer.heard).toEqual(['{"type":"ack","ack":"read"}']));
  signals.emit("SIGINT");
  expect(await code).toBe(EXIT.ok);
});

it("comes back after a lost connection with the id of the last message, and prints NDJSON", async () => {
  const network = await liveNetwork();
  const { out, err, signals, code } = watch(network.url, "--json");
  const first = await network.peer(0);
  expect(first.request.headers["last-event-id"]).toBeUndefined();
  say(first, snapshot);
  say(first, { ...change, id: "1.1", jobs_begun: 1, ack: "read" });
  await lines(out, 2);
  first.socket.terminate();
  const second = await network.peer(1);
  expect(second.request.headers["last-event-id"]).toBe("1.1");
  say(second, { ...snapshot, id: "2.1" });
  await lines(out, 3);
  const printed = out.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(printed).toEqual([snapshot, { ...change, id: "1.1", jobs_begun: 1 }, { ...snapshot, id: "2.1" }]);
  expect(err).toEqual([]);
  signals.emit("SIGTERM");
  expect(await code).toBe(EXIT.ok);
});

it("comes back when the network says so, and ends when its key is revoked", async () => {
  const network = await liveNetwork();
  const { err, code } = watch(network.url);
  const first = await network.peer(0);
  say(first, snapshot);
  say(first, { type: "end", code: "watcher_too_slow", message: "Read faster." });
  first.socket.close(1008, "watcher_too_slow");
  const second = await network.peer(1);
  say(second, { type: "end", code: "invalid_api_key", message: "The API key is not valid." });
  second.socket.close(1008, "invalid_api_key");
  expect(await code).toBe(EXIT.refused);
  expect(err).toEqual(["connection lost (Read faster.), connecting again", "error: The API key is not valid."]);
  expect(network.peers).toHaveLength(2);
});

it("says at once that there is no network, and what the network says of a key", async () => {
  const nowhere = watch("http://127.0.0.1:47");
  expect(await nowhere.code).toBe(EXIT.unreachable);
  expect(nowhere.err.join()).toMatch(/cannot be reached .*npm start/);
  const problem = { code: "forbidden", detail: "This key lacks the scope `read`." };
  const url = await serveHttp((_request, response) => void response.writeHead(403).end(JSON.stringify(problem)));
  const refused = watch(url);
  expect(await refused.code).toBe(EXIT.refused);
  expect(refused.err).toEqual(["error: This key lacks the scope `read`."]);
});
