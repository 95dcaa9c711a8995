/** Who may connect: hello, challenge, proof, and a row in the list of enrolled daemons (interfaces.md §3). */

import type { ErrorCode } from "../../core/errors.ts";
import { type AccountId, base62 } from "../../core/ids.ts";
import { parseDaemonId, parseSignature, verifyStrict } from "../../core/keys.ts";
import { LIMITS } from "../../core/limits.ts";
import { PROTOCOL_VERSION, proofBytes, type RelayMessage } from "../../protocol/daemon/messages.ts";
import type { Session } from "./session.ts";

export type Admission =
  | { readonly type: "next"; readonly session: Session; readonly reply: RelayMessage }
  | { readonly type: "rejected"; readonly code: ErrorCode };

/** Answers a `hello` with a challenge. */
export function challengeDaemon(
  session: Session,
  hello: { version: number; daemon: string },
  now: number,
  random: Uint8Array,
): Admission {
  if (hello.version !== PROTOCOL_VERSION) return { type: "rejected", code: "unknown_version" };
  if (hello.daemon !== session.daemon) return { type: "rejected", code: "challenge_failed" };
  if (parseDaemonId(session.daemon) === null) return { type: "rejected", code: "weak_public_key" };
  const nonce = base62(random);
  const challengeUntil = now + LIMITS.challengeMs;
  return {
    type: "next",
    session: { ...session, stage: "challenged", nonce, challengeUntil },
    reply: { type: "challenge", nonce, origin: session.origin, expires: challengeUntil },
  };
}

/** Whether a proof answers the session's challenge, in time and with the daemon's own key. */
export function isProven(session: Session, signature: string, now: number): boolean {
  if (session.nonce === null || now > session.challengeUntil) return false;
  const key = parseDaemonId(session.daemon);
  const bytes = parseSignature(signature);
  if (key === null || bytes === null) return false;
  const challenge = { nonce: session.nonce, origin: session.origin, expires: session.challengeUntil };
  return verifyStrict(bytes, proofBytes(challenge, session.daemon, PROTOCOL_VERSION), key);
}

/** The account that a daemon was enrolled by, or null. */
export async function enrolledBy(db: D1Database, daemon: string): Promise<AccountId | null> {
  const row = await db.prepare("SELECT account FROM daemons WHERE id = ?").bind(daemon).first<{ account: string }>();
  return row === null ? null : (row.account as AccountId);
}
