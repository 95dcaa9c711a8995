/** Who may connect: hello, challenge, proof, and a row in the list of enrolled daemons (interfaces.md §3). */

import type { ErrorCode } from "../../core/errors.ts";
import { type AccountId, base62, type DaemonId } from "../../core/ids.ts";
import { parseDaemonId, parseSignature, verifyStrict } from "../../core/keys.ts";
import { LIMITS } from "../../core/limits.ts";
import { type Notice, PROTOCOL_VERSION, proofBytes, type RelayMessage } from "../../protocol/daemon/messages.ts";
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

/** What the network's database says of a daemon. */
export interface Enrolment {
  /** The account that it earns for. */
  readonly account: AccountId;
  /** Whether that account has drained it. */
  readonly drained: boolean;
  /** What operators have to tell it, oldest first; at most the newest few. */
  readonly notices: readonly Notice[];
}

/** One statement, as every daemon that connects asks this. */
const ENROLMENT = `
  SELECT d.account, d.drained_at, m.id, m.level, m.text
  FROM daemons AS d LEFT JOIN operator_messages AS m
    ON m.until > ?2 AND m.withdrawn_at IS NULL
    AND (m.daemon = d.id OR m.account = d.account OR (m.daemon IS NULL AND m.account IS NULL))
  WHERE d.id = ?1 ORDER BY m.sent_at DESC, m.id DESC LIMIT ?3`;

type EnrolmentRow = { account: AccountId; drained_at: number | null } & (Notice | { id: null });

/** The enrolment of a daemon as it is now, or null where nobody has enrolled it. */
export async function enrolmentOf(db: D1Database, daemon: DaemonId, now: number): Promise<Enrolment | null> {
  const statement = db.prepare(ENROLMENT).bind(daemon, now, LIMITS.operatorMessages);
  const { results } = await statement.all<EnrolmentRow>();
  const [first] = results;
  if (first === undefined) return null;
  const newest = results.flatMap((row) => (row.id === null ? [] : [{ id: row.id, level: row.level, text: row.text }]));
  return { account: first.account, drained: first.drained_at !== null, notices: newest.toReversed() };
}
