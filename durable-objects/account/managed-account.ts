import { DurableObject } from "cloudflare:workers";
import type { InviteId, KeyId, MemberId } from "../../core/ids.ts";
import type { Answer, Credentials, KeySettings, KeyView, NewKey, Rotation } from "../../protocol/internal/account.ts";
import type { Identity, SessionCommand, SessionRecord, SessionRpc } from "../../protocol/internal/session.ts";
import type * as team from "../../protocol/internal/team.ts";
import type { KeysRpc, Management } from "./management.ts";

/** Where an account has its management: what a symbol names cannot be called over RPC. */
export const MANAGEMENT = Symbol("management");

/** The calls that say who may do what in an account, each handed to its {@link Management} as it is. */
export abstract class ManagedAccount extends DurableObject<Env> implements team.TeamRpc, SessionRpc, KeysRpc {
  abstract readonly [MANAGEMENT]: Management;

  async keys(credentials: Credentials): Promise<Answer<KeyView[]>> {
    return this[MANAGEMENT].keys(credentials);
  }

  async createKey(credentials: Credentials, key: NewKey): Promise<Answer<KeyView>> {
    return this[MANAGEMENT].createKey(credentials, key);
  }

  async updateKey(credentials: Credentials, id: KeyId, changes: Partial<KeySettings>): Promise<Answer<KeyView>> {
    return this[MANAGEMENT].updateKey(credentials, id, changes);
  }

  async rotateKey(credentials: Credentials, id: KeyId, rotation: Rotation): Promise<Answer<KeyView>> {
    return this[MANAGEMENT].rotateKey(credentials, id, rotation);
  }

  async revokeKey(credentials: Credentials, id: KeyId): Promise<Answer<KeyView>> {
    return this[MANAGEMENT].revokeKey(credentials, id);
  }

  async team(credentials: Credentials): Promise<Answer<team.MemberView[]>> {
    return this[MANAGEMENT].team(credentials);
  }

  async invites(credentials: Credentials): Promise<Answer<team.InviteRecord[]>> {
    return this[MANAGEMENT].invites(credentials);
  }

  async invite(credentials: Credentials, invite: team.NewInvite): Promise<Answer<team.InviteRecord>> {
    return this[MANAGEMENT].invite(credentials, invite);
  }

  async revokeInvite(credentials: Credentials, id: InviteId): Promise<Answer<team.InviteRecord>> {
    return this[MANAGEMENT].revokeInvite(credentials, id);
  }

  async join(command: team.JoinCommand): Promise<Answer<team.Joined>> {
    return this[MANAGEMENT].join(command);
  }

  async changeMember(
    credentials: Credentials,
    id: MemberId,
    changes: team.MemberChanges,
  ): Promise<Answer<team.MemberView>> {
    return this[MANAGEMENT].changeMember(credentials, id, changes);
  }

  async removeMember(credentials: Credentials, id: MemberId): Promise<Answer<team.MemberView>> {
    return this[MANAGEMENT].removeMember(credentials, id);
  }

  async sessions(command: SessionCommand): Promise<Answer<SessionRecord[]>> {
    return this[MANAGEMENT].sessions(command);
  }

  async identity(credentials: Credentials): Promise<Answer<Identity>> {
    return this[MANAGEMENT].identity(credentials);
  }
}
