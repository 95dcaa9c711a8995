/** An account's API keys. Only hashes are kept; what a key may do is looked up in memory on every call. */

import type { Budget } from "../../core/account/budget.ts";
import { SCOPES, type Scope } from "../../core/account/scopes.ts";
import type { KeyId, MemberId } from "../../core/ids.ts";
import type { KeyRecord, KeySettings, NewKey } from "../../protocol/internal/account.ts";
import { Sessions } from "./sessions.ts";

/** A key with what only its account knows: hashes, and which call rotated it last. */
export interface StoredKey extends KeyRecord {
  readonly secretHash: string;
  /** The secret before the last rotation, and until when it is still taken. */
  readonly old: { readonly secretHash: string; readonly until: number } | null;
  /** The names of the calls that rotated it. */
  readonly rotations: readonly string[];
  /** What it was made with; null for a key from before there was more than a name. */
  readonly made: string | null;
  /** Whether it is the one key that a member's sessions act as; it has no secret of its own, and nobody sees it. */
  readonly ofSessions: boolean;
}

/** A secret's hash and the time from which it is taken no more, or null. */
interface TakenSecret {
  readonly hash: string;
  readonly until: number | null;
}

interface RawKey extends Record<string, SqlStorageValue> {
  id: string;
  name: string;
  secret_hash: string;
  created_at: number;
  revoked_at: number | null;
  requests_per_minute: number | null;
  scopes: string | null;
  models: string | null;
  expires_at: number | null;
  budget: string | null;
  old_secret_hash: string | null;
  old_until: number | null;
  rotated_at: number | null;
  rotations: string | null;
  made: string | null;
  member: string;
  of_sessions: number;
}

/** Names of rotations that are remembered, so that a call that comes again late is still known. */
const ROTATIONS_KEPT = 32;

export class Keyring {
  readonly sessions: Sessions;
  readonly #sql: SqlStorage;
  readonly #byId = new Map<KeyId, StoredKey>();
  /** Secrets' hashes, today's and those of before a rotation. */
  readonly #byHash = new Map<string, KeyId>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.sessions = new Sessions(sql);
    for (const row of sql.exec<RawKey>("SELECT * FROM keys ORDER BY created_at, id")) this.#keep(keyOf(row));
  }

  #keep(key: StoredKey): void {
    this.#byId.set(key.id, key);
    this.#byHash.set(key.secretHash, key.id);
    if (key.old !== null) this.#byHash.set(key.old.secretHash, key.id);
  }

  /**
   * The key of a secret's hash that is not revoked and whose secret is still taken, or null. It may have expired. For a
   * session it is what the session acts as.
   */
  find(secretHash: string, now: number): StoredKey | null {
    const id = this.#byHash.get(secretHash);
    if (id === undefined) return this.#ofSession(secretHash, now);
    const key = this.#byId.get(id);
    if (key === undefined || key.revokedAt !== null) return null;
    if (key.secretHash === secretHash) return key;
    return key.old?.secretHash === secretHash && now < key.old.until ? key : null;
  }

  #ofSession(secretHash: string, now: number): StoredKey | null {
    const session = this.sessions.find(secretHash, now);
    const key = session === null ? null : this.#sessionKeyOf(session.member);
    if (session === null || key === null || key.revokedAt !== null) return null;
    return session.recovery ? { ...key, scopes: [] } : key;
  }

  /** When a secret ceases to be taken by time alone: its key expires, or its overlap after a rotation is over. */
  endOf(secretHash: string): number {
    const id = this.#byHash.get(secretHash);
    if (id === undefined) return this.sessions.endOf(secretHash);
    const key = this.#byId.get(id);
    const expiry = key?.expiresAt ?? Number.POSITIVE_INFINITY;
    return key?.old?.secretHash === secretHash ? Math.min(expiry, key.old.until) : expiry;
  }

  /** The hashes of the secrets that open a key now, those of its sessions where it is theirs. */
  secretsOf(key: StoredKey, now: number): TakenSecret[] {
    const { old } = key;
    const before = old === null || old.until <= now ? [] : [{ hash: old.secretHash, until: old.until }];
    if (!key.ofSessions) return [{ hash: key.secretHash, until: null }, ...before];
    const sessions = this.sessions.of(key.member).filter(({ recovery }) => !recovery);
    return sessions.flatMap((session) => {
      const hashes = [session.secretHash, ...(session.old === null ? [] : [session.old.secretHash])];
      const taken = hashes.map((hash) => ({ hash, until: this.sessions.endOf(hash) }));
      return taken.filter(({ until }) => until > now);
    });
  }

  byId(id: KeyId): StoredKey | null {
    return this.#byId.get(id) ?? null;
  }

  /** All keys, revoked ones too, oldest first. */
  list(): StoredKey[] {
    return [...this.#byId.values()];
  }

  /** A member's keys that are not revoked. */
  of(member: MemberId): StoredKey[] {
    return this.list().filter((key) => key.member === member && key.revokedAt === null);
  }

  /** Keys that are not revoked, without those that sessions act as. */
  get live(): number {
    return this.list().filter((key) => key.revokedAt === null && !key.ofSessions).length;
  }

  #sessionKeyOf(member: MemberId): StoredKey | null {
    return this.list().find((key) => key.member === member && key.ofSessions) ?? null;
  }

  /** Sees to it that a member's sessions have a key to act as, with these scopes. */
  setSessionKey({ id, name, scopes }: Pick<KeyRecord, "id" | "name" | "scopes">, member: MemberId, now: number): void {
    const before = this.#sessionKeyOf(member);
    if (before !== null) this.#write({ ...before, name, scopes });
    // What stands for its secret is no hash, so that no call can bring it.
    else
      this.#write({
        ...newKey({ id, name, scopes, secretHash: `sessions/${id}` }, member, null, now),
        ofSessions: true,
      });
  }

  /** Adds a key. What it does not name is unbounded; scopes that are not named are all. `made` tells it from another. */
  add(key: NewKey, member: MemberId, made: string | null, now: number): StoredKey {
    return this.#write(newKey(key, member, made, now));
  }

  update(key: StoredKey, settings: Partial<KeySettings>): StoredKey {
    return this.#write({ ...key, ...settings });
  }

  /** Revokes a key for good. A key that is revoked already keeps its time. */
  revoke(key: StoredKey, now: number): StoredKey {
    return key.revokedAt !== null ? key : this.#write({ ...key, revokedAt: now });
  }

  /** Gives a key a new secret; the one before is taken for `overlapMs` more. `rotation` names the call. */
  rotate(key: StoredKey, secretHash: string, rotation: string, overlapMs: number, now: number): StoredKey {
    const old = { secretHash: key.secretHash, until: now + overlapMs };
    const rotations = [...key.rotations, rotation].slice(-ROTATIONS_KEPT);
    const rotated = this.#write({ ...key, secretHash, old, rotations, rotatedAt: now });
    if (key.old !== null) this.#byHash.delete(key.old.secretHash);
    return rotated;
  }

  /** Writes a key whole, in one statement: half of one would be a key without its bounds. */
  #write(key: StoredKey): StoredKey {
    this.#sql.exec(
      `INSERT INTO keys (id, name, secret_hash, created_at, revoked_at, requests_per_minute, scopes, models, expires_at,
         budget, old_secret_hash, old_until, rotated_at, rotations, made, member, of_sessions)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET name = excluded.name, secret_hash = excluded.secret_hash,
         revoked_at = excluded.revoked_at, requests_per_minute = excluded.requests_per_minute, scopes = excluded.scopes,
         models = excluded.models, expires_at = excluded.expires_at, budget = excluded.budget,
         old_secret_hash = excluded.old_secret_hash, old_until = excluded.old_until, rotated_at = excluded.rotated_at,
         rotations = excluded.rotations`,
      key.id,
      key.name,
      key.secretHash,
      key.createdAt,
      key.revokedAt,
      key.requestsPerMinute,
      JSON.stringify(key.scopes),
      key.models === null ? null : JSON.stringify(key.models),
      key.expiresAt,
      key.budget === null ? null : JSON.stringify(key.budget),
      key.old?.secretHash ?? null,
      key.old?.until ?? null,
      key.rotatedAt,
      JSON.stringify(key.rotations),
      key.made,
      key.member,
      key.ofSessions ? 1 : 0,
    );
    this.#keep(key);
    return key;
  }
}

function newKey(key: NewKey, member: MemberId, made: string | null, now: number): StoredKey {
  const { id, secretHash } = key;
  const times = { createdAt: now, revokedAt: null, rotatedAt: null };
  return { ...settingsOf(key), id, member, secretHash, ...times, old: null, rotations: [], made, ofSessions: false };
}

function settingsOf({ name, requestsPerMinute, scopes, models, expiresAt, budget }: NewKey): KeySettings {
  return {
    name,
    requestsPerMinute: requestsPerMinute ?? null,
    scopes: scopes ?? SCOPES,
    models: models ?? null,
    expiresAt: expiresAt ?? null,
    budget: budget ?? null,
  };
}

function keyOf(row: RawKey): StoredKey {
  const old =
    row.old_secret_hash === null ? null : { secretHash: row.old_secret_hash, until: row.old_until ?? row.created_at };
  return {
    id: row.id as KeyId,
    member: row.member as MemberId,
    name: row.name,
    secretHash: row.secret_hash,
    createdAt: row.created_at,
    revokedAt: row.revoked_at,
    requestsPerMinute: row.requests_per_minute,
    // A key from before there were scopes may do everything, as it could.
    scopes: row.scopes === null ? SCOPES : (JSON.parse(row.scopes) as Scope[]),
    models: row.models === null ? null : (JSON.parse(row.models) as string[]),
    expiresAt: row.expires_at,
    budget: row.budget === null ? null : (JSON.parse(row.budget) as Budget),
    rotatedAt: row.rotated_at,
    old,
    rotations: row.rotations === null ? [] : (JSON.parse(row.rotations) as string[]),
    made: row.made,
    ofSessions: row.of_sessions === 1,
  };
}
