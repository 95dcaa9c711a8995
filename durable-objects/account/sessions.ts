/** An account's sessions, in memory as its keys are. Only hashes of their secrets are kept, and nothing once they have ended. */

import type { MemberId, SessionId, WalletAddress } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import type { SessionHashes, SessionRecord } from "../../protocol/internal/session.ts";

/** A session with what only its account knows. */
export interface StoredSession extends Omit<SessionRecord, "own">, SessionHashes {
  /** The access secret before the last refresh, and until when it is still taken. */
  readonly old: { readonly secretHash: string; readonly until: number } | null;
  readonly refreshes: number;
}

interface RawSession extends Record<string, SqlStorageValue> {
  id: string;
  member: string;
  wallet: string;
  recovery: number;
  created_at: number;
  expires_at: number;
  secret_hash: string;
  secret_until: number;
  old_secret_hash: string | null;
  old_until: number | null;
  refresh_hash: string;
  refreshes: number;
  refreshed_at: number | null;
}

export class Sessions {
  readonly #sql: SqlStorage;
  readonly #byId = new Map<SessionId, StoredSession>();
  /** Access secrets' hashes, today's and those of before a refresh. */
  readonly #byHash = new Map<string, SessionId>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const row of sql.exec<RawSession>("SELECT * FROM sessions ORDER BY created_at, id"))
      this.#keep(sessionOf(row));
  }

  #keep(session: StoredSession): void {
    this.#byId.set(session.id, session);
    this.#byHash.set(session.secretHash, session.id);
    if (session.old !== null) this.#byHash.set(session.old.secretHash, session.id);
  }

  /** The session of an access secret's hash that is still taken, or null. */
  find(secretHash: string, now: number): StoredSession | null {
    return now < this.endOf(secretHash) ? (this.#of(secretHash) ?? null) : null;
  }

  #of(secretHash: string): StoredSession | undefined {
    const id = this.#byHash.get(secretHash);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  /** When an access secret ceases to be taken by time alone; for an unknown one it has. */
  endOf(secretHash: string): number {
    const session = this.#of(secretHash);
    if (session === undefined) return Number.NEGATIVE_INFINITY;
    const { old } = session;
    return session.secretHash === secretHash ? session.secretUntil : (old?.until ?? Number.NEGATIVE_INFINITY);
  }

  byId(id: SessionId): StoredSession | null {
    return this.#byId.get(id) ?? null;
  }

  /** All sessions, those that have run out too, oldest first. */
  all(): StoredSession[] {
    return [...this.#byId.values()];
  }

  /** Sessions that have not run out, oldest first. */
  live(now: number): StoredSession[] {
    return this.all().filter(({ expiresAt }) => now < expiresAt);
  }

  /** A member's sessions, oldest first. */
  of(member: MemberId): StoredSession[] {
    return this.all().filter((session) => session.member === member);
  }

  /** The session of a refresh secret, and whether that is its latest one. */
  byRefresh(refreshHash: string): { session: StoredSession; isLatest: boolean } | null {
    const latest = this.all().find((session) => session.refreshHash === refreshHash);
    if (latest !== undefined) return { session: latest, isLatest: true };
    const [used] = this.#sql
      .exec<{ session: string }>("SELECT session FROM used_refreshes WHERE hash = ?", refreshHash)
      .toArray();
    const session = used === undefined ? undefined : this.#byId.get(used.session as SessionId);
    return session === undefined ? null : { session, isLatest: false };
  }

  add(session: StoredSession): StoredSession {
    return this.#write(session);
  }

  /** Gives a session new secrets and remembers that the refresh secret before was used. */
  refresh(session: StoredSession, { secretHash, refreshHash }: SessionHashes, now: number): StoredSession {
    this.#sql.exec("INSERT INTO used_refreshes (hash, session) VALUES (?, ?)", session.refreshHash, session.id);
    const until = Math.min(now + LIMITS.sessionOverlapMs, session.secretUntil);
    const refreshed = this.#write({
      ...session,
      secretHash,
      secretUntil: Math.min(now + LIMITS.sessionAccessMs, session.expiresAt),
      refreshHash,
      refreshedAt: now,
      refreshes: session.refreshes + 1,
      old: { secretHash: session.secretHash, until },
    });
    if (session.old !== null) this.#byHash.delete(session.old.secretHash);
    return refreshed;
  }

  /** Ends a session: nothing of it is kept. */
  end({ id, secretHash, old }: StoredSession): void {
    this.#sql.exec("DELETE FROM used_refreshes WHERE session = ?", id);
    this.#sql.exec("DELETE FROM sessions WHERE id = ?", id);
    this.#byId.delete(id);
    this.#byHash.delete(secretHash);
    if (old !== null) this.#byHash.delete(old.secretHash);
  }

  #write(session: StoredSession): StoredSession {
    this.#sql.exec(
      `INSERT INTO sessions (id, member, wallet, recovery, created_at, expires_at, secret_hash, secret_until,
         old_secret_hash, old_until, refresh_hash, refreshes, refreshed_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET secret_hash = excluded.secret_hash, secret_until = excluded.secret_until,
         old_secret_hash = excluded.old_secret_hash, old_until = excluded.old_until, refresh_hash = excluded.refresh_hash,
         refreshes = excluded.refreshes, refreshed_at = excluded.refreshed_at`,
      session.id,
      session.member,
      session.wallet,
      session.recovery ? 1 : 0,
      session.createdAt,
      session.expiresAt,
      session.secretHash,
      session.secretUntil,
      session.old?.secretHash ?? null,
      session.old?.until ?? null,
      session.refreshHash,
      session.refreshes,
      session.refreshedAt,
    );
    this.#keep(session);
    return session;
  }
}

function sessionOf(row: RawSession): StoredSession {
  const old =
    row.old_secret_hash === null ? null : { secretHash: row.old_secret_hash, until: row.old_until ?? row.created_at };
  return {
    id: row.id as SessionId,
    member: row.member as MemberId,
    wallet: row.wallet as WalletAddress,
    recovery: row.recovery === 1,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    secretHash: row.secret_hash,
    secretUntil: row.secret_until,
    refreshHash: row.refresh_hash,
    refreshedAt: row.refreshed_at,
    refreshes: row.refreshes,
    old,
  };
}
