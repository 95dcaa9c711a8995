/** An account's members and invites, in memory as its keys are. */

import type { Role } from "../../core/account/team.ts";
import type { InviteId, MemberId } from "../../core/ids.ts";
import type { InviteRecord, MemberRecord } from "../../protocol/internal/team.ts";

/** A member with what it joined by. */
export interface StoredMember extends MemberRecord {
  readonly invite: InviteId | null;
  /** The name that it gave when it joined. */
  readonly made: string | null;
}

/** An invite with what only its account knows. */
export interface StoredInvite extends InviteRecord {
  readonly secretHash: string;
  /** What it was made with, to tell a repeated call from another one. */
  readonly made: string;
}

interface RawMember extends Record<string, SqlStorageValue> {
  id: string;
  name: string;
  role: string;
  joined_at: number;
  removed_at: number | null;
  invite: string | null;
  made: string | null;
}

interface RawInvite extends Record<string, SqlStorageValue> {
  id: string;
  secret_hash: string;
  name: string | null;
  role: string;
  made_by: string;
  created_at: number;
  expires_at: number;
  uses: number;
  used: number;
  revoked_at: number | null;
  made: string;
}

export class Roster {
  readonly #storage: DurableObjectStorage;
  readonly #forget: (reason: string) => never;
  readonly #members = new Map<MemberId, StoredMember>();
  readonly #invites = new Map<InviteId, StoredInvite>();

  constructor(storage: DurableObjectStorage, forget: (reason: string) => never) {
    this.#storage = storage;
    this.#forget = forget;
    const { sql } = storage;
    for (const row of sql.exec<RawMember>("SELECT * FROM members ORDER BY joined_at, id")) {
      const member = memberOf(row);
      this.#members.set(member.id, member);
    }
    for (const row of sql.exec<RawInvite>("SELECT * FROM invites ORDER BY created_at, id")) {
      const invite = inviteOf(row);
      this.#invites.set(invite.id, invite);
    }
  }

  byId(id: MemberId): StoredMember | null {
    return this.#members.get(id) ?? null;
  }

  /** The member that a key names; a key without one is a bug. */
  holder(id: MemberId): StoredMember {
    const member = this.#members.get(id);
    if (member === undefined) throw new Error(`a key of ${id}, who never joined`);
    return member;
  }

  /** All members, removed ones too, oldest first. */
  list(): StoredMember[] {
    return [...this.#members.values()];
  }

  inviteById(id: InviteId): StoredInvite | null {
    return this.#invites.get(id) ?? null;
  }

  inviteByHash(secretHash: string): StoredInvite | null {
    return this.invites().find((invite) => invite.secretHash === secretHash) ?? null;
  }

  /** All invites, oldest first. */
  invites(): StoredInvite[] {
    return [...this.#invites.values()];
  }

  /**
   * Writes everything or nothing. Where a row is refused the memory, which is ahead of it by then, is given up: the next
   * life of the object reads the rows again.
   */
  atOnce<T>(write: () => T): T {
    try {
      return this.#storage.transactionSync(write);
    } catch (error) {
      return this.#forget(`the team's rows could not be written: ${String(error)}`);
    }
  }

  putMember(member: StoredMember): StoredMember {
    const { id, name, role, joinedAt, removedAt, invite, made } = member;
    this.#storage.sql.exec(
      `INSERT INTO members (id, name, role, joined_at, removed_at, invite, made) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET name = excluded.name, role = excluded.role, removed_at = excluded.removed_at`,
      id,
      name,
      role,
      joinedAt,
      removedAt,
      invite,
      made,
    );
    this.#members.set(id, member);
    return member;
  }

  putInvite(invite: StoredInvite): StoredInvite {
    const { id, secretHash, name, role, madeBy, createdAt, expiresAt, uses, used, revokedAt, made } = invite;
    this.#storage.sql.exec(
      `INSERT INTO invites (id, secret_hash, name, role, made_by, created_at, expires_at, uses, used, revoked_at, made)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET used = excluded.used, revoked_at = excluded.revoked_at`,
      id,
      secretHash,
      name,
      role,
      madeBy,
      createdAt,
      expiresAt,
      uses,
      used,
      revokedAt,
      made,
    );
    this.#invites.set(id, invite);
    return invite;
  }
}

function memberOf(row: RawMember): StoredMember {
  return {
    id: row.id as MemberId,
    name: row.name,
    role: row.role as Role,
    joinedAt: row.joined_at,
    removedAt: row.removed_at,
    invite: row.invite as InviteId | null,
    made: row.made,
  };
}

function inviteOf(row: RawInvite): StoredInvite {
  return {
    id: row.id as InviteId,
    secretHash: row.secret_hash,
    name: row.name,
    role: row.role as Role,
    madeBy: row.made_by as MemberId,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    uses: row.uses,
    used: row.used,
    revokedAt: row.revoked_at,
    made: row.made,
  };
}
