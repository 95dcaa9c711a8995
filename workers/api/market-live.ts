/**
 * The market as it changes, to whoever watches: a snapshot now, and again whenever it differs, once a second at most. Who
 * reads too slowly misses snapshots and not the last one.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { readAck } from "../../protocol/network/live-balance.ts";
import type { Market, MarketEnd } from "../../protocol/network/market.ts";
import { type Budget, MARKET_FRESH_MS, marketNow, maySpend } from "./market-feed.ts";

const encoder = new TextEncoder();
const RECONNECT: MarketEnd = {
  type: "end",
  code: "reconnect",
  message: "A connection lasts ten minutes at most. Connect again: the first message is the market as it is then.",
};

/** Gives every snapshot that differs from the one before, until the time is up or the signal ends. */
async function* changes(env: Env, signal: AbortSignal, beat: () => Promise<void>): AsyncGenerator<Market> {
  const budget: Budget = { calls: 0 };
  const until = Date.now() + LIMITS.liveStreamMs;
  let told = "";
  let quietSince = Date.now();
  while (!signal.aborted && Date.now() < until && maySpend(budget)) {
    const market = await marketNow(env, Date.now(), budget);
    const text = JSON.stringify(market.pools);
    if (text !== told) {
      told = text;
      quietSince = Date.now();
      yield market;
    } else if (Date.now() - quietSince >= LIMITS.streamCommentMs) {
      quietSince = Date.now();
      await beat();
    }
    await sleep(MARKET_FRESH_MS);
  }
}

/** As server-sent events. What is not taken yet is waited for, so a slow reader holds nothing up but itself. */
export function marketEvents(env: Env, signal: AbortSignal): ReadableStream<Uint8Array> {
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  const write = (text: string): Promise<void> => writer.write(encoder.encode(text));
  const run = async (): Promise<void> => {
    for await (const market of changes(env, signal, () => write(": market\n\n"))) await write(eventOf(market));
    if (!signal.aborted) await write(eventOf(RECONNECT));
    await writer.close();
  };
  signal.addEventListener("abort", () => void writer.abort("the reader has gone").catch(() => {}), { once: true });
  // A reader that has gone takes nothing more.
  run().catch(() => void writer.abort("the reader takes nothing").catch(() => {}));
  return readable;
}

function eventOf(message: Market | MarketEnd): string {
  return `event: ${message.type}\ndata: ${JSON.stringify(message)}\n\n`;
}

/** Policy violation (RFC 6455, 7.4.1), and a normal end. */
const CLOSE_POLICY = 1008;
const CLOSE_NORMAL = 1000;

/**
 * As a WebSocket. The platform does not tell what waits in a socket, so a watcher proves that it reads: it answers each
 * message that has `ack`, and who leaves too much unanswered is sent away.
 */
export function marketSocket(env: Env, signal: AbortSignal): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  const ended = new AbortController();
  let unread = 0;
  let asked: { readonly ack: string; readonly bytes: number } | null = null;
  server.accept();
  server.addEventListener("message", ({ data }) => {
    if (typeof data !== "string" || asked === null || readAck(data) !== asked.ack) return;
    unread -= asked.bytes;
    asked = null;
  });
  for (const type of ["close", "error"] as const) server.addEventListener(type, () => ended.abort());
  signal.addEventListener("abort", () => ended.abort(), { once: true });
  const end = (message: MarketEnd, code: number): void => {
    server.send(JSON.stringify(message));
    server.close(code, message.code);
    ended.abort();
  };
  const run = async (): Promise<void> => {
    for await (const market of changes(env, ended.signal, async () => {})) {
      const text = JSON.stringify(market);
      unread += text.length;
      if (unread > LIMITS.liveUnreadBytes) {
        const { code, message } = refuse("watcher_too_slow");
        return end({ type: "end", code, message }, CLOSE_POLICY);
      }
      if (asked !== null || unread < LIMITS.liveUnreadBytes / 4) server.send(text);
      else {
        asked = { ack: crypto.randomUUID(), bytes: unread };
        server.send(`${text.slice(0, -1)},"ack":"${asked.ack}"}`);
      }
    }
    if (!ended.signal.aborted) end(RECONNECT, CLOSE_NORMAL);
  };
  run().catch(() => ended.abort());
  return new Response(null, { status: 101, webSocket: client });
}
