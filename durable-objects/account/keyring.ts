/** An account's API keys. Only hashes are kept; what a key may do is looked up in memory on every call. */

import type { KeyId } from "../../core/ids.ts";
import type { KeyRecord, NewKey } from "../../protocol/internal/account.ts";

interface StoredKey extends KeyRecord {
  readonly secretHash: string;
}

interface RawKey extends Record<string, SqlStorageValue> {
  id: string;
  name: string;
  secret_hash: string;
  created_at: number;
  revoked_at: number | null;
  requests_per_minute: number | null;
}

export class Keyring {
  readonly #sql: SqlStorage;
  readonly #byHash = new Map<string, StoredKey>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const row of sql.exec<RawKey>("SELECT * FROM keys")) {
      this.#keep({
        id: row.id as KeyId,
        name: row.name,
        secretHash: row.secret_hash,
        createdAt: row.created_at,
        revokedAt: row.revoked_at,
        requestsPerMinute: row.requests_per_minute,
      });
    }
  }

  #keep(key: StoredKey): void {
    this.#byHash.set(key.secretHash, key);
  }

  /** The live key of a secret's hash, or null when there is none or it was revoked. */
  find(secretHash: string): KeyRecord | null {
    const key = this.#byHash.get(secretHash);
    return key === undefined || key.revokedAt !== null ? null : key;
  }

  byId(id: KeyId): StoredKey | null {
    return [...this.#byHash.values()].find((key) => key.id === id) ?? null;
  }

  /** All keys, revoked ones too, oldest first, without their hashes. */
  list(): KeyRecord[] {
    return [...this.#byHash.values()].map(publicRecord).toSorted((a, b) => a.createdAt - b.createdAt);
  }

  /** Keys that are not revoked. */
  get live(): number {
    return [...this.#byHash.values()].filter((key) => key.revokedAt === null).length;
  }

  add(key: NewKey, now: number): KeyRecord {
    this.#sql.exec(
      "INSERT INTO keys (id, name, secret_hash, created_at, revoked_at, requests_per_minute) VALUES (?, ?, ?, ?, NULL, ?)",
      key.id,
      key.name,
      key.secretHash,
      now,
      key.requestsPerMinute ?? null,
    );
    const { requestsPerMinute = null, ...rest } = key;
    const stored: StoredKey = { ...rest, requestsPerMinute, createdAt: now, revokedAt: null };
    this.#keep(stored);
    return publicRecord(stored);
  }

  /** Revokes a key for good. A key that is revoked already keeps its time. */
  revoke(key: StoredKey, now: number): KeyRecord {
    if (key.revokedAt !== null) return publicRecord(key);
    this.#sql.exec("UPDATE keys SET revoked_at = ? WHERE id = ?", now, key.id);
    const revoked: StoredKey = { ...key, revokedAt: now };
    this.#keep(revoked);
    return publicRecord(revoked);
  }
}

function publicRecord({ id, name, createdAt, revokedAt, requestsPerMinute }: StoredKey): KeyRecord {
  return { id, name, createdAt, revokedAt, requestsPerMinute };
}
