/**
 * The live balance as server-sent events. The account knows sockets only, as it can sleep over those; this turns one into
 * a stream. What the reader has taken is acknowledged to the account, so a slow reader is bounded like a slow socket.
 */

import { LIMITS } from "../../core/limits.ts";
import { ackText, type LiveMessage } from "../../protocol/network/live-balance.ts";

const encoder = new TextEncoder();
/** A reader whose connection broke comes back after this long. */
const RETRY_MS = 1_000;
/** What is still on its way when a stream ends has this long to be taken. */
const LAST_MS = 5_000;

const TIME_IS_UP: LiveMessage = {
  type: "end",
  code: "reconnect",
  message: "A stream lasts ten minutes. Connect again with Last-Event-ID: nothing is missed.",
};

/** Passes a socket's messages on as events, until either side ends or the time is up. */
export function liveEvents(socket: WebSocket, signal: AbortSignal, mostMs: number): ReadableStream<Uint8Array> {
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  let waiting = 0;
  let ended = false;
  let last = Promise.resolve();
  const write = (text: string): Promise<void> => {
    waiting += 1;
    last = last.then(() => writer.write(encoder.encode(text))).then(() => void (waiting -= 1));
    // A reader that has gone takes nothing more.
    last.catch(() => finish());
    return last;
  };
  const finish = (message?: LiveMessage): void => {
    if (ended) return;
    if (message !== undefined) void write(eventOf(message)).catch(() => {});
    ended = true;
    clearTimeout(deadline);
    clearInterval(comments);
    socket.close(1000);
    const late = setTimeout(() => void writer.abort("the reader takes nothing").catch(() => {}), LAST_MS);
    last
      .then(() => writer.close())
      .catch(() => {})
      .finally(() => clearTimeout(late));
  };
  const deadline = setTimeout(() => finish(TIME_IS_UP), mostMs);
  // Proxies close what lies idle. Where an event waits, its reader is busy.
  const comments = setInterval(() => {
    if (waiting === 0) void write(": live\n\n").catch(() => {});
  }, LIMITS.streamCommentMs);
  socket.addEventListener("message", ({ data }) => {
    if (ended || typeof data !== "string") return;
    const { ack, ...message } = JSON.parse(data) as LiveMessage & { readonly ack?: string };
    write(eventOf(message)).then(
      () => {
        if (ack !== undefined && !ended) socket.send(ackText(ack));
      },
      () => {},
    );
  });
  socket.addEventListener("close", () => finish());
  socket.addEventListener("error", () => finish());
  signal.addEventListener("abort", () => finish(), { once: true });
  void write(`retry: ${RETRY_MS}\n\n`).catch(() => {});
  socket.accept();
  if (signal.aborted) finish();
  return readable;
}

function eventOf(message: LiveMessage): string {
  const id = message.type === "end" ? "" : `id: ${message.id}\n`;
  return `${id}event: ${message.type}\ndata: ${JSON.stringify(message)}\n\n`;
}
