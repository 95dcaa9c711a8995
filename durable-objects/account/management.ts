import type { Scope } from "../../core/account/scopes.ts";
import { refuse } from "../../core/errors.ts";
import type { InviteId, KeyId, MemberId } from "../../core/ids.ts";
import type {
  AccountRpc,
  Answer,
  Credentials,
  KeySettings,
  KeyView,
  NewKey,
  Rotation,
} from "../../protocol/internal/account.ts";
import type { Identity, SessionCommand, SessionRecord, SessionRpc } from "../../protocol/internal/session.ts";
import type * as team from "../../protocol/internal/team.ts";
import type { Books, Entered } from "./books.ts";
import { createKey, enter, listKeys, revokeKey, rotateKey, updateKey, viewed } from "./key-desk.ts";
import type { StoredKey } from "./keyring.ts";
import * as sessions from "./session-desk.ts";
import * as desk from "./team-desk.ts";

export type KeysRpc = Pick<AccountRpc, "keys" | "createKey" | "updateKey" | "rotateKey" | "revokeKey">;

export interface ManagementHost {
  /** The account's books; null while it was never opened. */
  books(): Books | null;
  /** The books, and where there are none yet, new ones. */
  open(): Books;
  /** A key may do less than before. Resolves when that counts everywhere. */
  narrowed(): Promise<void>;
}

/** Who may do what in an account: its keys, its team (protocol/internal/team.ts) and its sessions (session.ts there). */
export class Management implements team.TeamRpc, SessionRpc, KeysRpc {
  readonly #host: ManagementHost;

  constructor(host: ManagementHost) {
    this.#host = host;
  }

  async keys(credentials: Credentials): Promise<Answer<KeyView[]>> {
    return this.ask(credentials, ["manage"], (entered) => listKeys(entered, Date.now()));
  }

  async createKey(credentials: Credentials, key: NewKey): Promise<Answer<KeyView>> {
    // Where a new key is not known yet, the account itself is asked.
    return this.ask(credentials, ["manage"], (entered) =>
      viewed(createKey(entered, key, Date.now()), entered, Date.now()),
    );
  }

  async updateKey(credentials: Credentials, id: KeyId, changes: Partial<KeySettings>): Promise<Answer<KeyView>> {
    return this.#manageKey(credentials, (entered) => updateKey(entered, id, changes));
  }

  async rotateKey(credentials: Credentials, id: KeyId, rotation: Rotation): Promise<Answer<KeyView>> {
    return this.#manageKey(credentials, (entered) => rotateKey(entered, id, rotation, Date.now()));
  }

  async revokeKey(credentials: Credentials, id: KeyId): Promise<Answer<KeyView>> {
    // Whoever has a key's secret may always end that key.
    const own = this.#host.books()?.keys.find(credentials.secretHash, Date.now())?.id === id;
    return this.#manageKey(credentials, (entered) => revokeKey(entered, id, Date.now()), own ? [] : ["manage"]);
  }

  async team(credentials: Credentials): Promise<Answer<team.MemberView[]>> {
    return this.ask(credentials, ["read"], (entered) => desk.listMembers(entered, Date.now()));
  }

  async invites(credentials: Credentials): Promise<Answer<team.InviteRecord[]>> {
    return this.ask(credentials, ["manage"], desk.listInvites);
  }

  async invite(credentials: Credentials, invite: team.NewInvite): Promise<Answer<team.InviteRecord>> {
    return this.ask(credentials, ["manage"], (entered) => desk.invite(entered, invite, Date.now()));
  }

  async revokeInvite(credentials: Credentials, id: InviteId): Promise<Answer<team.InviteRecord>> {
    return this.ask(credentials, ["manage"], (entered) => desk.revokeInvite(entered, id, Date.now()));
  }

  async join(command: team.JoinCommand): Promise<Answer<team.Joined>> {
    const books = this.#host.books();
    return books === null ? { ok: false, refusal: refuse("invalid_invite") } : desk.join(books, command, Date.now());
  }

  async changeMember(
    credentials: Credentials,
    id: MemberId,
    changes: team.MemberChanges,
  ): Promise<Answer<team.MemberView>> {
    return this.#manage(credentials, ["manage"], (entered) => desk.changeMember(entered, id, changes, Date.now()));
  }

  async removeMember(credentials: Credentials, id: MemberId): Promise<Answer<team.MemberView>> {
    return this.#manage(credentials, [], (entered) => desk.removeMember(entered, id, Date.now()));
  }

  async sessions(command: SessionCommand): Promise<Answer<SessionRecord[]>> {
    const now = Date.now();
    // Only a wallet that the edge has linked begins a session, and its first one opens the account.
    if (command.type === "begin") return sessions.begin(this.#host.open(), command, now);
    const books = this.#host.books();
    if (books === null) return { ok: false, refusal: refuse("invalid_session") };
    if (command.type === "list") return sessions.list(books, command, now);
    if (command.type === "refresh") {
      const refreshed = sessions.refresh(books, command, now);
      if (!refreshed.ok) await this.#host.narrowed();
      return refreshed;
    }
    const ended = command.type === "end" ? sessions.end(books, command, now) : sessions.unlinked(books, command);
    await this.#host.narrowed();
    return ended;
  }

  async identity(credentials: Credentials): Promise<Answer<Identity>> {
    const who = (entered: Entered) => sessions.identify(entered, credentials, Date.now());
    return this.ask(credentials, [], (entered) => ({ ok: true, value: who(entered) }));
  }

  #manageKey(
    credentials: Credentials,
    change: (entered: Entered) => Answer<StoredKey>,
    scopes: readonly Scope[] = ["manage"],
  ): Promise<Answer<KeyView>> {
    return this.#manage(credentials, scopes, (entered) => viewed(change(entered), entered, Date.now()));
  }

  /** Changes keys or members that are there; answers when what they may not do any more is done nowhere. */
  async #manage<T>(
    credentials: Credentials,
    scopes: readonly Scope[],
    change: (entered: Entered) => Answer<T>,
  ): Promise<Answer<T>> {
    const changed = this.ask(credentials, scopes, change);
    if (changed.ok) await this.#host.narrowed();
    return changed;
  }

  ask<T>(credentials: Credentials, scopes: readonly Scope[], answer: (entered: Entered) => Answer<T>): Answer<T> {
    const entered = this.enter(credentials, ...scopes);
    return entered.ok ? answer(entered.value) : entered;
  }

  /** Lets a key in that counts and was made for this: it has one of the scopes, if any are named. */
  enter(credentials: Credentials, ...scopes: readonly Scope[]): Answer<Entered> {
    return enter(this.#host.books(), credentials, scopes, Date.now());
  }
}
