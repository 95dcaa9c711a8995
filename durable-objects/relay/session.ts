/**
 * A daemon's connection, as it is kept in its socket's attachment: it survives the relay's sleep. Stages go one way:
 * `new` → `challenged` (hello) → `ready` (proof) → with its offer, routable.
 */

import type { AccountId, DaemonId, NetworkId } from "../../core/ids.ts";
import type { Offer } from "../../protocol/daemon/messages.ts";

export interface Session {
  readonly v: 1;
  readonly stage: "new" | "challenged" | "ready";
  /** The key that the connection was opened for; proven once `ready`. */
  readonly daemon: DaemonId;
  readonly origin: string;
  readonly nonce: string | null;
  /** When the challenge ends; milliseconds since 1970. */
  readonly challengeUntil: number;
  readonly session: string;
  /** The account that the daemon earns for, once `ready`. */
  readonly account: AccountId | null;
  readonly offer: Offer | null;
  /** Of the private networks that the offer names, those that the account is a member of. */
  readonly networks: readonly NetworkId[];
  readonly draining: boolean;
  readonly badMessages: number;
}

const memory = new WeakMap<WebSocket, Session>();

export function newSession(daemon: DaemonId, origin: string, session: string): Session {
  return {
    v: 1,
    stage: "new",
    daemon,
    origin,
    nonce: null,
    challengeUntil: 0,
    session,
    account: null,
    offer: null,
    networks: [],
    draining: false,
    badMessages: 0,
  };
}

/** The session of a socket, from memory or, after a sleep, from its attachment. */
export function sessionOf(socket: WebSocket): Session | null {
  const known = memory.get(socket);
  if (known !== undefined) return known;
  const attached = socket.deserializeAttachment() as Session | null;
  if (attached?.v !== 1) return null;
  memory.set(socket, attached);
  return attached;
}

/**
 * Changes a session. False when it does not fit its attachment, which the platform bounds at 16 KiB; then nothing is
 * changed, as what is not attached could not survive a sleep.
 */
export function updateSession(socket: WebSocket, session: Session): boolean {
  try {
    socket.serializeAttachment(session);
  } catch {
    return false;
  }
  memory.set(socket, session);
  return true;
}
