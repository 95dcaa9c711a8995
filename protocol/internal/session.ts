/** What other parts say to an `Account` object about the sessions of its members (docs/decisions/0034). */

import type { Role } from "../../core/account/team.ts";
import type { KeyId, MemberId, SessionId, WalletAddress } from "../../core/ids.ts";
import type { Answer, Credentials } from "./answer.ts";

export interface SessionRecord {
  readonly id: SessionId;
  readonly member: MemberId;
  /** The wallet that signed in. */
  readonly wallet: WalletAddress;
  /** Whether it is one of a recovery wallet, which may link another wallet and nothing else. */
  readonly recovery: boolean;
  readonly createdAt: number;
  /** When the session ends, and until when its access token is taken. */
  readonly expiresAt: number;
  readonly secretUntil: number;
  readonly refreshedAt: number | null;
  /** Whether it is the one that asks. */
  readonly own: boolean;
}

/** SHA-256 of a session's two secrets, hex. */
export interface SessionHashes {
  readonly secretHash: string;
  readonly refreshHash: string;
}

export type SessionCommand =
  /**
   * A wallet of a member has signed in. Where the account has no member yet, it is opened for this one, its owner. `key` is
   * what its sessions' jobs are counted under from the first one on.
   */
  | {
      readonly type: "begin";
      readonly id: SessionId;
      readonly member: MemberId;
      readonly key: KeyId;
      readonly wallet: WalletAddress;
      readonly recovery: boolean;
      readonly hashes: SessionHashes;
    }
  /** New secrets for a session. Its refresh secret is taken once: the same call again gets the same answer, another ends it. */
  | { readonly type: "refresh"; readonly refreshHash: string; readonly next: SessionHashes }
  | { readonly type: "list"; readonly credentials: Credentials }
  /** Ends the session that asks, all of its member, or one by its id. */
  | { readonly type: "end"; readonly credentials: Credentials; readonly which: SessionId | "own" | "all" }
  /** Ends a member's sessions of one wallet that is not its own any more, or of all. Asked by the edge alone. */
  | { readonly type: "unlinked"; readonly member: MemberId; readonly wallet: WalletAddress | null };

/** Who asks, for what only the edge's own tables know. */
export interface Identity {
  readonly member: MemberId;
  readonly role: Role;
  /** Whether it may do all that its member's role allows, for good. */
  readonly whole: boolean;
  /** The recovery wallet that it signed in with, or null. */
  readonly recovery: WalletAddress | null;
}

/** The RPC methods of an `Account` object that look after sessions. */
export interface SessionRpc {
  /** Answers with the sessions that a command made, found or ended. */
  sessions(command: SessionCommand): Promise<Answer<SessionRecord[]>>;
  identity(credentials: Credentials): Promise<Answer<Identity>>;
}
