/** One live connection to the account's balance, from the first message to the last. */

import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { PING } from "../../protocol/daemon/messages.ts";
import { ackText, type LiveMessage, liveMessage } from "../../protocol/network/live-balance.ts";
import { textOf } from "../session/connection.ts";
import { readRejection } from "../session/rejection.ts";
import type { Settings } from "./settings.ts";

const OPEN_MS = 15_000;
const PING_MS = 20_000;
/** A snapshot of all the lots that an account may have is a quarter of it. */
const MAX_MESSAGE_BYTES = 512 * 1024;

/** How a connection ended. With a `code` the network has said why; without one it was lost. */
export interface LiveEnd {
  readonly code: string | null;
  readonly reason: string;
  /** Whether anything came over it. */
  readonly wasOpen: boolean;
}

/** Reads a connection to its end. `signal` closes it; `after` is the id of the last message that is known. */
export async function readLiveBalance(
  { url, apiKey }: Settings,
  after: string | null,
  signal: AbortSignal,
  heard: (message: Exclude<LiveMessage, { type: "end" }>) => void,
): Promise<LiveEnd> {
  const target = new URL("/api/v1/balance/live", url);
  target.protocol = target.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(target, {
    headers: {
      ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
      ...(after === null ? {} : { "last-event-id": after }),
    },
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    handshakeTimeout: OPEN_MS,
  });
  return await new Promise((resolve) => {
    let wasOpen = false;
    /** Whether anything came since the last ping. */
    let alive = true;
    let said: { readonly code: string | null; readonly reason: string } | null = null;
    const heartbeat = setInterval(() => {
      if (!alive) said ??= { code: null, reason: "the network fell silent" };
      if (!alive) return socket.terminate();
      alive = false;
      if (socket.readyState === WebSocket.OPEN) socket.send(PING);
    }, PING_MS);
    const stop = (): void => socket.terminate();
    signal.addEventListener("abort", stop, { once: true });
    socket.on("message", (data) => {
      alive = true;
      const message = readMessage(textOf(data));
      if (message === null) return;
      if (message.type === "end") {
        said = { code: message.code, reason: message.message };
        // Nothing follows, and the other side's part of the goodbye may take seconds.
        return socket.terminate();
      }
      wasOpen = true;
      heard(message);
      if (message.ack !== undefined) socket.send(ackText(message.ack));
    });
    socket.on("unexpected-response", (_request, response: IncomingMessage) => {
      void readRejection(response).then(({ code, detail }) => {
        said = { code, reason: detail };
        socket.terminate();
      });
    });
    // The reason of a socket that never opened stands in its error; `close` always follows.
    socket.on("error", ({ message }) => {
      said ??= { code: null, reason: message };
    });
    socket.on("close", (code) => {
      clearInterval(heartbeat);
      signal.removeEventListener("abort", stop);
      resolve({ wasOpen, ...(said ?? { code: null, reason: `closed with code ${code}` }) });
    });
    if (signal.aborted) stop();
  });
}

/** A message; null for what this version does not know, such as the answer to a ping. */
function readMessage(text: string): LiveMessage | null {
  try {
    return liveMessage.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
