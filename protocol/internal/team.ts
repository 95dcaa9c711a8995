/** What other parts say to an `Account` object about its team. */

import type { Role } from "../../core/account/team.ts";
import type { InviteId, KeyId, MemberId } from "../../core/ids.ts";
import type { NanoUsd } from "../../core/units.ts";
import type { Answer, Credentials } from "./answer.ts";

export interface MemberRecord {
  readonly id: MemberId;
  readonly name: string;
  readonly role: Role;
  readonly joinedAt: number;
  readonly removedAt: number | null;
}

/** A member as the team sees it. */
export interface MemberView extends MemberRecord {
  /** Keys that are not revoked. */
  readonly keys: number;
  /** What the jobs of its keys cost in this month (UTC), and what open ones have reserved. */
  readonly spent: NanoUsd;
  readonly held: NanoUsd;
}

export interface InviteRecord {
  readonly id: InviteId;
  /** For whom it was made, in its maker's words. */
  readonly name: string | null;
  readonly role: Role;
  readonly madeBy: MemberId;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly uses: number;
  readonly used: number;
  readonly revokedAt: number | null;
}

export interface NewInvite {
  /** Made by the caller; the same id makes one invite. */
  readonly id: InviteId;
  readonly secretHash: string;
  readonly name: string | null;
  readonly role: Role;
  /** Milliseconds since 1970; null for the network's own default. */
  readonly expiresAt: number | null;
  readonly uses: number;
}

export interface JoinCommand {
  /** SHA-256 of the invite's secret, hex. */
  readonly inviteHash: string;
  /** Made by the caller; the same id joins once. */
  readonly member: MemberId;
  readonly name: string;
  readonly key: KeyId;
  readonly secretHash: string;
}

export interface Joined {
  readonly member: MemberView;
  /** False when the same call has joined before. */
  readonly joined: boolean;
  /** Whether the secret that was sent is the key's still. */
  readonly keyStands: boolean;
}

/** The RPC methods of an `Account` object that look after its team. */
export interface TeamRpc {
  /** All members, removed ones too, oldest first. */
  team(credentials: Credentials): Promise<Answer<MemberView[]>>;
  invites(credentials: Credentials): Promise<Answer<InviteRecord[]>>;
  /** Idempotent by the invite's id. */
  invite(credentials: Credentials, invite: NewInvite): Promise<Answer<InviteRecord>>;
  revokeInvite(credentials: Credentials, id: InviteId): Promise<Answer<InviteRecord>>;
  /** Makes a member with its first key. Needs no key, but an invite. Idempotent by the member's id. */
  join(command: JoinCommand): Promise<Answer<Joined>>;
  changeMember(credentials: Credentials, id: MemberId, changes: MemberChanges): Promise<Answer<MemberView>>;
  /** Revokes its keys too. Also a member without `manage` may leave, with a key that may do all that its role allows. */
  removeMember(credentials: Credentials, id: MemberId): Promise<Answer<MemberView>>;
}

export interface MemberChanges {
  readonly name?: string;
  readonly role?: Role;
}
