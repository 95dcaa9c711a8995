import { env, exports } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { WATCH_HEADER } from "../../../protocol/internal/watch.ts";
import { LIVE_SUBPROTOCOL, type LiveMessage, liveMessage } from "../../../protocol/network/live-balance.ts";
import { liveEvents } from "../../../workers/api/live-events.ts";
import { EventReader } from "../../support/event-reader.ts";
import { LiveWatcher } from "../../support/live-watcher.ts";
import {
  call,
  callWith,
  forbiddenObjects,
  holdJob,
  openAccount,
  requestOf,
  settleJob,
  type TestAccount,
} from "./support.ts";

const PATH = "/api/v1/balance/live";
const SOCKET = { upgrade: "websocket" };

async function open(headers: Record<string, string>, key?: string, path = PATH): Promise<Response> {
  return await exports.default.fetch(requestOf(path, { ...(key === undefined ? {} : { key }), headers }));
}

async function watch(response: Response): Promise<LiveWatcher> {
  const { webSocket } = response;
  if (webSocket === null) throw new Error(`no socket: ${response.status} ${await response.text()}`);
  const watcher = new LiveWatcher(webSocket);
  webSocket.accept();
  await watcher.until(() => watcher.told.length > 0, "a snapshot");
  return watcher;
}

async function stream({ key }: TestAccount, headers: Record<string, string> = {}): Promise<EventReader> {
  const response = await open({ accept: "text/event-stream", ...headers }, key);
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream; charset=utf-8"]);
  if (response.body === null) throw new Error("no body");
  return new EventReader(response.body as ReadableStream<Uint8Array>);
}

const dataOf = (reader: EventReader): LiveMessage => liveMessage.parse(JSON.parse(reader.last?.data ?? ""));

it("lets programs in by their header and browsers by a subprotocol, and says no key back", async () => {
  const account = await openAccount();
  const byHeader = await open(SOCKET, account.key);
  expect([byHeader.status, byHeader.headers.get("sec-websocket-protocol")]).toEqual([101, null]);
  const byProtocol = await open({ ...SOCKET, "sec-websocket-protocol": `${LIVE_SUBPROTOCOL}, ${account.key}` });
  expect([byProtocol.status, byProtocol.headers.get("sec-websocket-protocol")]).toEqual([101, LIVE_SUBPROTOCOL]);
  expect(JSON.stringify([...byProtocol.headers])).not.toContain(account.key);
  expect(byProtocol.headers.get("x-request-id")).toMatch(/^req_/);
  for (const watcher of [await watch(byHeader), await watch(byProtocol)]) {
    await vi.waitFor(() => expect(watcher.seen).toMatchObject({ available: "1200.000", held: "0.000" }));
    watcher.close();
  }
});

it("shows over both ways what GET /balance shows, and the ledger's entries", async () => {
  const account = await openAccount();
  const watcher = await watch(await open(SOCKET, account.key));
  const reader = await stream(account);
  await reader.until(() => reader.last?.event === "snapshot", "a snapshot");
  const job = await holdJob(account);
  await settleJob(account, job);
  await reader.until(() => reader.last?.id === "2.1", "the receipt");
  await watcher.until(() => watcher.last?.id === "2.1", "the receipt");
  const { json } = await call("/api/v1/balance", { key: account.key });
  const { available, held, open_jobs, lots } = json;
  expect(watcher.seen).toEqual({ available, held, open_jobs, lots });
  expect(dataOf(reader)).toMatchObject({ type: "change", available, held, entries: [{ seq: 2, type: "spent", job }] });
  await reader.cancel();
  watcher.close();
});

it("lets a stream go on after its last event", async () => {
  const account = await openAccount();
  const before = await stream(account);
  await before.until(() => before.events.length > 0, "a snapshot");
  const id = before.last?.id ?? "";
  await before.cancel();
  const job = await holdJob(account);
  await settleJob(account, job);
  for (const [headers, path] of [
    [{ "last-event-id": id }, PATH],
    [{}, `${PATH}?after=${id}`],
  ] as const) {
    const response = await open({ accept: "text/event-stream", ...headers }, account.key, path);
    const after = new EventReader(response.body as ReadableStream<Uint8Array>);
    await after.until(() => after.events.length > 0, "a snapshot");
    expect(dataOf(after)).toMatchObject({ type: "snapshot", entries: [{ seq: 2, type: "spent", job }], jobs_begun: 1 });
    await after.cancel();
  }
});

it("ends socket and stream of a key that is revoked", async () => {
  const account = await openAccount();
  const body = { name: "screen", scopes: ["read"] };
  const { json: made } = await call("/api/v1/keys", { key: account.key, body });
  const reader = await stream({ ...account, key: made.key });
  await reader.until(() => reader.events.length > 0, "a snapshot");
  const watcher = await watch(await open(SOCKET, made.key));
  await call(`/api/v1/keys/${made.id}`, { key: account.key, method: "DELETE" });
  expect(await watcher.closed).toEqual({ code: 1008, reason: "invalid_api_key" });
  await reader.end();
  expect(reader.last?.event).toBe("end");
  expect(dataOf(reader)).toMatchObject({ type: "end", code: "invalid_api_key" });
  expect((await open({ accept: "text/event-stream" }, made.key)).status).toBe(401);
});

it("gives its place back when a stream's reader goes", async () => {
  const account = await openAccount();
  for (let times = 0; times < LIMITS.watchers + 3; times++) {
    const reader = await stream(account);
    await reader.until(() => reader.events.length > 0, "a snapshot");
    await reader.cancel();
    // The account learns of it when something is written to a reader that has gone, or from the request's end.
    await holdJob(account, 1);
  }
}, 60_000);

const CHANGE = {
  type: "change",
  id: "7.7",
  at: "2026-11-25T00:00:00.000Z",
  available: "1.000",
  held: "0.000",
  open_jobs: 0,
  packages: null,
  allotment: null,
  lots: [],
  entries: [],
  unlisted: 0,
  jobs_begun: 0,
} satisfies LiveMessage;

/** An account's own socket, as the edge gets it. */
async function socketOf({ account, secretHash }: TestAccount): Promise<WebSocket> {
  const watch = JSON.stringify({ credentials: { secretHash }, after: null });
  const response = await env.ACCOUNT.getByName(account).fetch("https://account/live", {
    headers: { upgrade: "websocket", [WATCH_HEADER]: watch },
  });
  if (response.webSocket === null) throw new Error("not let in");
  return response.webSocket;
}

it("ends a stream when its time is up, and says what to do", async () => {
  const account = await openAccount();
  const reader = new EventReader(liveEvents(await socketOf(account), new AbortController().signal, 200));
  await reader.end();
  expect(reader.events.map(({ event }) => event)).toEqual(["snapshot", "end"]);
  expect(dataOf(reader)).toMatchObject({ type: "end", code: "reconnect" });
  // So that a browser's EventSource goes on from what it has.
  expect([reader.events[0]?.id, reader.last?.id]).toEqual(["1.0", undefined]);
});

it("leaves unacknowledged what a stream's reader has not taken", async () => {
  const account = await openAccount();
  const socket = await socketOf(account);
  const acks: unknown[] = [];
  const send = vi.spyOn(socket, "send").mockImplementation((text) => void acks.push(text));
  const gone = new AbortController();
  const events = liveEvents(socket, gone.signal, 60_000);
  const fake = { ...CHANGE, ack: "prove it" };
  socket.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(fake) }));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(acks).toEqual([]);
  const reader = new EventReader(events);
  await reader.until(() => reader.events.some(({ id }) => id === "7.7"), "the message");
  await vi.waitFor(() => expect(acks).toEqual([JSON.stringify({ type: "ack", ack: "prove it" })]));
  expect(reader.events.find(({ id }) => id === "7.7")?.data).not.toContain("prove it");
  send.mockRestore();
  gone.abort();
  await reader.end();
});

it.each([
  ["without a key", {}, 401, "missing_api_key"],
  ["with a key that is none", { "sec-websocket-protocol": `${LIVE_SUBPROTOCOL}, tm_nonsense` }, 401, "invalid_api_key"],
  ["with the subprotocol alone", { "sec-websocket-protocol": LIVE_SUBPROTOCOL }, 401, "missing_api_key"],
])("refuses a socket %s and touches no object", async (_, headers, status, code) => {
  const { bindings, uses } = forbiddenObjects();
  const answer = await callWith(bindings, PATH, { headers: { ...SOCKET, ...headers } });
  expect([answer.status, answer.json.code, uses]).toEqual([status, code, []]);
});

it("takes no key from the address", async () => {
  const { key } = await openAccount();
  for (const query of [`?key=${key}`, `?api_key=${key}`, `?access_token=${key}`]) {
    expect((await open(SOCKET, undefined, PATH + query)).status).toBe(401);
  }
});

it.each([
  ["another subprotocol", { ...SOCKET, "sec-websocket-protocol": "tollmill.v1" }, 400, "Sec-WebSocket-Protocol"],
  ["neither a socket nor a stream", {}, 426, undefined],
  ["an id that is none", { ...SOCKET, "last-event-id": "seven" }, 400, "last-event-id"],
])("refuses %s", async (_, headers, status, param) => {
  const { key } = await openAccount();
  const answer = await call(PATH, { key, headers });
  expect([answer.status, answer.json.param]).toEqual([status, param]);
});

it("refuses a key that may not read", async () => {
  const { key } = await openAccount();
  const { json } = await call("/api/v1/keys", { key, body: { name: "app", scopes: ["inference"] } });
  for (const headers of [SOCKET, { accept: "text/event-stream" }]) {
    const answer = await call(PATH, { key: json.key, headers });
    expect([answer.status, answer.json.code]).toEqual([403, "forbidden"]);
  }
});
