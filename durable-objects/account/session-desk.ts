/** What may be done with the sessions of an account's members, and by whom (docs/decisions/0034). */

import { ROLE_SCOPES, runsTeam } from "../../core/account/team.ts";
import { type Refusal, refuse } from "../../core/errors.ts";
import type { MemberId, SessionId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Answer, Credentials } from "../../protocol/internal/account.ts";
import type { Identity, SessionCommand, SessionRecord } from "../../protocol/internal/session.ts";
import { emit } from "../shared/events.ts";
import type { Books, Entered } from "./books.ts";
import { beyond, enter } from "./key-desk.ts";
import type { StoredMember } from "./roster.ts";
import type { StoredSession } from "./sessions.ts";

type Command<Type> = Extract<SessionCommand, { readonly type: Type }>;

/** What the first member of an account is called that a wallet has opened. */
const OWNER = "owner";

/** Begins a session of a member; for the first wallet of an account that nobody has opened, as its owner. */
export function begin(books: Books, command: Command<"begin">, now: number): Answer<SessionRecord[]> {
  const { keys, team } = books;
  const { id, member: memberId, key, wallet, recovery, hashes } = command;
  const before = keys.sessions.byId(id);
  if (before !== null) {
    return before.secretHash === hashes.secretHash ? yes(before) : no(refuse("id_conflict"));
  }
  const isNew = team.list().length === 0;
  const member = isNew ? founder(memberId, now) : team.byId(memberId);
  if (member === null || member.removedAt !== null) return no(refuse("member_not_found"));
  const session = team.atOnce(() => {
    if (isNew) team.putMember(member);
    keys.setSessionKey(
      { id: key, name: `sessions of ${member.name}`, scopes: ROLE_SCOPES[member.role] },
      member.id,
      now,
    );
    makeRoom(books, command, now);
    const expiresAt = now + (recovery ? LIMITS.recoverySessionMs : LIMITS.sessionMs);
    const secretUntil = Math.min(now + LIMITS.sessionAccessMs, expiresAt);
    const times = { createdAt: now, expiresAt, secretUntil, refreshedAt: null };
    return keys.sessions.add({ id, member: member.id, wallet, recovery, ...times, ...hashes, refreshes: 0, old: null });
  });
  return yes(session);
}

function founder(id: MemberId, now: number): StoredMember {
  return { id, name: OWNER, role: "owner", joinedAt: now, removedAt: null, invite: null, made: null };
}

/** Drops what has run out, and the member's oldest session where it has as many as it may. */
function makeRoom({ keys: { sessions } }: Books, { member }: Command<"begin">, now: number): void {
  const live = new Set(sessions.live(now));
  const own = sessions.of(member).filter((session) => live.has(session));
  const surplus = own.slice(0, Math.max(0, own.length - LIMITS.memberSessions + 1));
  for (const session of sessions.all()) {
    if (!live.has(session) || surplus.includes(session)) sessions.end(session);
  }
}

/** Gives a session new secrets. A refresh secret that comes a second time, in another call, was stolen: its session ends. */
export function refresh(books: Books, { refreshHash, next }: Command<"refresh">, now: number): Answer<SessionRecord[]> {
  const { keys, team } = books;
  const found = keys.sessions.byRefresh(refreshHash);
  if (found === null) return no(refuse("invalid_session"));
  const { session, isLatest } = found;
  const isRepeated = session.refreshHash === next.refreshHash && session.secretHash === next.secretHash;
  if (!isLatest && isRepeated) return yes(session);
  const isOver = session.expiresAt <= now || session.refreshes >= LIMITS.sessionRefreshes;
  if (isLatest && !isOver) return yes(team.atOnce(() => keys.sessions.refresh(session, next, now)));
  team.atOnce(() => keys.sessions.end(session));
  if (isLatest) return no(refuse("invalid_session"));
  emit("refresh_reused", { session: session.id, member: session.member });
  return no(refuse("refresh_reused"));
}

/** The sessions that somebody looks after: a session its member's, a key with `manage` too, and an owner everyone's. */
export function list(books: Books, { credentials }: Command<"list">, now: number): Answer<SessionRecord[]> {
  const entered = enterSessions(books, credentials, now);
  if (!entered.ok) return entered;
  return { ok: true, value: inReach(entered.value, now).map((session) => viewOf(session, credentials)) };
}

/** Ends sessions; the same call again finds them ended. */
export function end(books: Books, { credentials, which }: Command<"end">, now: number): Answer<SessionRecord[]> {
  const own = books.keys.sessions.find(credentials.secretHash, now);
  // Whoever has a session may always end that one.
  const entered = which === "own" && own !== null ? null : enterSessions(books, credentials, now);
  if (entered !== null && !entered.ok) return entered;
  const chosen = entered === null ? [own] : inReach(entered.value, now).filter(choice(which, entered.value));
  const ended = chosen.filter((session) => session !== null);
  books.team.atOnce(() => {
    for (const session of ended) books.keys.sessions.end(session);
  });
  return { ok: true, value: ended.map((session) => viewOf(session, credentials)) };
}

function choice(which: SessionId | "own" | "all", { key }: Entered): (session: StoredSession) => boolean {
  // A key has no session of its own to end.
  if (which === "own") return () => false;
  return which === "all" ? ({ member }) => member === key.member : ({ id }) => id === which;
}

/** Ends a member's sessions of a wallet that was unlinked, or all of them. */
export function unlinked(books: Books, { member, wallet }: Command<"unlinked">): Answer<SessionRecord[]> {
  const { keys, team } = books;
  const gone = keys.sessions.of(member).filter((session) => wallet === null || session.wallet === wallet);
  team.atOnce(() => {
    for (const session of gone) keys.sessions.end(session);
  });
  return { ok: true, value: gone.map((session) => ({ ...viewOf(session, null) })) };
}

/** Who asks. */
export function identify(entered: Entered, { secretHash }: Credentials, now: number): Identity {
  const { keys, team, key } = entered;
  const { id: member, role } = team.holder(key.member);
  const session = keys.sessions.find(secretHash, now);
  const recovery = session?.recovery === true ? session.wallet : null;
  return { member, role, whole: beyond(key, { scopes: ROLE_SCOPES[role], expiresAt: null }) === null, recovery };
}

function enterSessions(books: Books, credentials: Credentials, now: number): Answer<Entered> {
  const session = books.keys.sessions.find(credentials.secretHash, now);
  if (session === null) return enter(books, credentials, ["manage"], now);
  if (session.recovery)
    return no(refuse("forbidden", { detail: "A recovery wallet's session may link a wallet only." }));
  return enter(books, credentials, [], now);
}

function inReach({ keys, team, key }: Entered, now: number): StoredSession[] {
  const everyones = runsTeam(team.holder(key.member).role) && key.scopes.includes("manage");
  return keys.sessions.live(now).filter(({ member }) => everyones || member === key.member);
}

function viewOf(session: StoredSession, asking: Credentials | null): SessionRecord {
  const { secretHash, refreshHash: _refresh, old, refreshes: _refreshes, ...record } = session;
  const hash = asking?.secretHash;
  return { ...record, own: hash !== undefined && (hash === secretHash || hash === old?.secretHash) };
}

function yes(session: StoredSession): Answer<SessionRecord[]> {
  return { ok: true, value: [{ ...viewOf(session, null), own: true }] };
}

function no(refusal: Refusal): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal };
}
