/**
 * A daemon's connection, as it is kept in its socket's attachment: it survives the relay's sleep. Stages go one way:
 * `new` → `challenged` (hello) → `ready` (proof) → with its offer, routable.
 */

import type { AccountId, DaemonId, NetworkId } from "../../core/ids.ts";
import type { Offer, Thermal } from "../../protocol/daemon/messages.ts";
import type { ConnectedDaemon } from "../../protocol/internal/pool.ts";

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
  /** The daemon has said that it ends: no offer takes that back. */
  readonly draining: boolean;
  /** Its account has drained it, until it resumes it. */
  readonly drained: boolean;
  /** From its last status. */
  readonly thermal: Thermal | null;
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
    drained: false,
    thermal: null,
    badMessages: 0,
  };
}

/** The session of a socket, from memory or, after a sleep, from its attachment. */
export function sessionOf(socket: WebSocket): Session | null {
  const known = memory.get(socket);
  if (known !== undefined) return known;
  const attached = socket.deserializeAttachment() as Session | null;
  if (attached?.v !== 1) return null;
  // One that was attached before these were known lacks them.
  const session: Session = { ...attached, drained: attached.drained ?? false, thermal: attached.thermal ?? null };
  memory.set(socket, session);
  return session;
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

/** A session as others see it; `running` are the daemon's jobs. */
export function connectedDaemon(session: Session, running: readonly { readonly model: string }[]): ConnectedDaemon {
  const { daemon, offer, draining, drained, thermal } = session;
  return {
    daemon,
    drainingBy: [...(drained ? (["account"] as const) : []), ...(draining ? (["daemon"] as const) : [])],
    withdrawnBy: offer?.withdrawn_by ?? [],
    schedule: offer?.schedule ?? null,
    onAcPower: offer?.on_ac_power ?? null,
    thermal,
    running: running.length,
    models: (offer?.models ?? []).map(({ features: _, ...model }) => ({
      ...model,
      running: running.filter((job) => job.model === model.id).length,
    })),
  };
}
