/**
 * One live connection to an account's balance. All that is known of it is in its socket's attachment, so that the account
 * can sleep meanwhile. The platform does not tell what waits in a socket, so a watcher proves that it reads: what it has
 * not acknowledged is bounded, and who leaves more is sent away.
 */

import { type Refusal, refuse } from "../../core/errors.ts";
import { base62 } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { type LiveMessage, type Mark, readAck } from "../../protocol/network/live-balance.ts";

export interface Watcher {
  readonly v: 1;
  /** Who watches: looked up again whenever keys change. */
  readonly secretHash: string;
  /** The state that it was told last. */
  readonly mark: Mark;
  /** Bytes that it was sent and has not acknowledged. */
  readonly unread: number;
  /** The acknowledgement that it owes, and how much that covers. Nobody can guess it without reading. */
  readonly asked: { readonly ack: string; readonly bytes: number } | null;
}

/** Policy violation (RFC 6455, 7.4.1): connecting again in the same way is of no use. */
const CLOSE_POLICY = 1008;
const ACK_BYTES = 12;

export function newWatcher(secretHash: string, mark: Mark): Watcher {
  return { v: 1, secretHash, mark, unread: 0, asked: null };
}

function attach(socket: WebSocket, watcher: Watcher): void {
  socket.serializeAttachment(watcher);
}

/** The watcher of a socket; null for one that another version of this code has left. */
export function watcherOf(socket: WebSocket): Watcher | null {
  const attached = socket.deserializeAttachment() as Watcher | null;
  return attached?.v === 1 ? attached : null;
}

export function isOpen(socket: WebSocket): boolean {
  return socket.readyState === WebSocket.READY_STATE_OPEN;
}

/** Sends a message, JSON of an object, that leads to `mark`; or ends the connection of a watcher that reads too slowly. */
export function tell(socket: WebSocket, watcher: Watcher, message: string, mark: Mark): void {
  const unread = watcher.unread + message.length;
  if (unread > LIMITS.liveUnreadBytes) return end(socket, refuse("watcher_too_slow"));
  if (watcher.asked !== null || unread < LIMITS.liveUnreadBytes / 4) {
    socket.send(message);
    return attach(socket, { ...watcher, mark, unread });
  }
  const ack = base62(crypto.getRandomValues(new Uint8Array(ACK_BYTES)));
  socket.send(`${message.slice(0, -1)},"ack":"${ack}"}`);
  attach(socket, { ...watcher, mark, unread, asked: { ack, bytes: unread } });
}

/** Hears an acknowledgement. Anything else that a watcher says is ignored. */
export function hear(socket: WebSocket, message: string | ArrayBuffer): void {
  const watcher = watcherOf(socket);
  const ack = typeof message === "string" ? readAck(message) : null;
  if (watcher === null || watcher.asked === null || ack !== watcher.asked.ack) return;
  attach(socket, { ...watcher, unread: watcher.unread - watcher.asked.bytes, asked: null });
}

/** Ends a connection and says why. */
export function end(socket: WebSocket, { code, message }: Refusal): void {
  if (!isOpen(socket)) return;
  socket.send(JSON.stringify({ type: "end", code, message } satisfies LiveMessage));
  socket.close(CLOSE_POLICY, code);
  // Its other side may never answer, and the account sleeps and wakes meanwhile: it is nobody's watcher any more.
  socket.serializeAttachment(null);
}
