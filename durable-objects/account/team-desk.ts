/** What may be done with an account's members and invites, and by which key. Each change is one transaction. */

import { NO_SPENDING, spentIn } from "../../core/account/budget.ts";
import { allowedBy, barChange, barRemoval, ROLE_SCOPES, type Role, runsTeam } from "../../core/account/team.ts";
import { type Refusal, refuse } from "../../core/errors.ts";
import type { InviteId, MemberId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { canonicalText } from "../../core/receipt/canonical.ts";
import { sum } from "../../core/units.ts";
import type { Answer, NewKey } from "../../protocol/internal/account.ts";
import type {
  InviteRecord,
  JoinCommand,
  Joined,
  MemberChanges,
  MemberView,
  NewInvite,
} from "../../protocol/internal/team.ts";
import type { Books, Entered } from "./books.ts";
import { barKey, beyond, keyLimit } from "./key-desk.ts";
import type { StoredInvite, StoredMember } from "./roster.ts";

/** Gives a new account its first member, the owner, with its first key. The member has that key's id. */
export function found({ keys, team }: Books, key: NewKey, now: number): void {
  const id = key.id as string as MemberId;
  team.atOnce(() => {
    team.putMember({ id, name: key.name, role: "owner", joinedAt: now, removedAt: null, invite: null, made: null });
    keys.add(key, id, null, now);
  });
}

/** All members, removed ones too, oldest first. */
export function listMembers(books: Books, now: number): Answer<MemberView[]> {
  return yes(books.team.list().map((member) => viewMember(books, member, now)));
}

function viewMember({ keys, ledger }: Books, member: StoredMember, now: number): MemberView {
  const { invite: _invite, made: _made, ...record } = member;
  const own = keys.list().filter((key) => key.member === member.id);
  const spendings = own.map(({ id }) => ledger.state.spending.get(id) ?? NO_SPENDING);
  return {
    ...record,
    keys: own.filter(({ revokedAt, ofSessions }) => revokedAt === null && !ofSessions).length,
    spent: sum(spendings.map((spending) => spentIn(spending, "monthly", now))),
    held: sum(spendings.map(({ held }) => held)),
  };
}

function viewInvite({ secretHash: _, made: _made, ...record }: StoredInvite): InviteRecord {
  return record;
}

export function listInvites({ team, key }: Entered): Answer<InviteRecord[]> {
  if (!runsTeam(team.holder(key.member).role)) return no(refuse("role_forbids"));
  return { ok: true, value: team.invites().map(viewInvite) };
}

/** Makes an invite. The same id with the same terms changes nothing; no key gives a role that may do more than itself. */
export function invite({ team, key: by }: Entered, wanted: NewInvite, now: number): Answer<InviteRecord> {
  const { id, secretHash, name, role, uses } = wanted;
  const barred = runsTeam(team.holder(by.member).role) ? beyond(by, giving(role)) : refuse("role_forbids");
  if (barred !== null) return no(barred);
  const made = canonicalText({ name, role, uses, expiresAt: wanted.expiresAt });
  const before = team.inviteById(id);
  if (before !== null) return before.made === made ? yes(viewInvite(before)) : no(refuse("id_conflict"));
  const expiresAt = wanted.expiresAt ?? now + LIMITS.inviteDefaultMs;
  if (expiresAt <= now || expiresAt > now + LIMITS.inviteMs) {
    const detail = "expires_at: must be in the future, and within 30 days.";
    return no(refuse("invalid_request", { detail, param: "expires_at" }));
  }
  const open = team.invites().filter((each) => barInvite(each, now) === null);
  if (open.length >= LIMITS.invites || team.invites().length >= LIMITS.invitesEver) return no(refuse("invite_limit"));
  const terms = { id, secretHash, name, role, uses, expiresAt, made };
  const stored = { ...terms, madeBy: by.member, createdAt: now, used: 0, revokedAt: null };
  return yes(viewInvite(team.atOnce(() => team.putInvite(stored))));
}

/** Ends an invite; the same call again finds it done. */
export function revokeInvite({ team, key }: Entered, id: InviteId, now: number): Answer<InviteRecord> {
  if (!runsTeam(team.holder(key.member).role)) return no(refuse("role_forbids"));
  const found = team.inviteById(id);
  if (found === null) return no(refuse("invite_not_found"));
  if (found.revokedAt !== null) return yes(viewInvite(found));
  return yes(viewInvite(team.atOnce(() => team.putInvite({ ...found, revokedAt: now }))));
}

/** Makes a member with its first key, which may do all that the role allows. */
export function join(books: Books, command: JoinCommand, now: number): Answer<Joined> {
  const { keys, team } = books;
  const { member: id, name, key, secretHash } = command;
  const by = team.inviteByHash(command.inviteHash);
  if (by === null) return no(refuse("invalid_invite"));
  // Asked before the invite's own bounds: whoever has joined by it may hear so again after its end.
  const before = team.byId(id);
  if (before !== null) {
    if (before.invite !== by.id || before.made !== name) return no(refuse("id_conflict"));
    const keyStands = keys.find(secretHash, now)?.id === key;
    return yes({ member: viewMember(books, before, now), joined: false, keyStands });
  }
  const barred = barInvite(by, now) ?? memberLimit(books) ?? keyLimit(keys);
  if (barred !== null) return no(barred);
  const member = team.atOnce(() => {
    team.putInvite({ ...by, used: by.used + 1 });
    keys.add({ id: key, name, secretHash, scopes: ROLE_SCOPES[by.role] }, id, null, now);
    return team.putMember({ id, name, role: by.role, joinedAt: now, removedAt: null, invite: by.id, made: name });
  });
  return yes({ member: viewMember(books, member, now), joined: true, keyStands: true });
}

/**
 * Changes a member's name or role. Its keys lose at once what the new role does not allow, and gain nothing; its sessions
 * may do what the new role allows.
 */
export function changeMember(entered: Entered, id: MemberId, changes: MemberChanges, now: number): Answer<MemberView> {
  const { keys, team, key: by } = entered;
  const member = team.byId(id);
  if (member === null) return no(refuse("member_not_found"));
  const { name = member.name, role = member.role } = changes;
  const changesRole = role !== member.role;
  const barred =
    barChange(team.list(), team.holder(by.member), member, role) ??
    (changesRole ? (beyond(by, giving(role)) ?? beyond(by, taking(member.role))) : null);
  if (barred !== null) return no(barred);
  if (name === member.name && !changesRole) return yes(viewMember(entered, member, now));
  const changed = team.atOnce(() => {
    for (const key of keys.of(id)) {
      const scopes = key.ofSessions ? ROLE_SCOPES[role] : allowedBy(role, key.scopes);
      // Without a scope it would be a key that opens nothing, and yet counts.
      if (scopes.length === 0) keys.revoke(key, now);
      else if (scopes.length !== key.scopes.length) keys.update(key, { scopes });
    }
    if (!runsTeam(role)) endInvitesOf(entered, id, now);
    return team.putMember({ ...member, name, role });
  });
  return yes(viewMember(entered, changed, now));
}

/** Removes a member for good and ends its keys, sessions and invites; the same call again finds it done. Its jobs go on. */
export function removeMember(entered: Entered, id: MemberId, now: number): Answer<MemberView> {
  const { keys, team, key: by } = entered;
  const member = team.byId(id);
  if (member === null) return no(refuse("member_not_found"));
  // Who leaves need not manage anything, but a key for less than all that its role allows ends nobody.
  const barred =
    (id === by.member ? null : barKey(by, ["manage"], now)) ??
    barRemoval(team.list(), team.holder(by.member), member) ??
    beyond(by, taking(member.role));
  if (barred !== null) return no(barred);
  if (member.removedAt !== null) return yes(viewMember(entered, member, now));
  const removed = team.atOnce(() => {
    for (const key of keys.of(id)) keys.revoke(key, now);
    for (const session of keys.sessions.of(id)) keys.sessions.end(session);
    endInvitesOf(entered, id, now);
    return team.putMember({ ...member, removedAt: now });
  });
  return yes(viewMember(entered, removed, now));
}

/** An invite counts no longer than its maker may give its role. */
function endInvitesOf({ team }: Books, maker: MemberId, now: number): void {
  for (const each of team.invites()) {
    if (each.madeBy === maker && each.revokedAt === null) team.putInvite({ ...each, revokedAt: now });
  }
}

/** Why nobody may join by an invite, or null. */
function barInvite({ revokedAt, expiresAt, used, uses }: StoredInvite, now: number): Refusal | null {
  if (revokedAt !== null) return refuse("invalid_invite", { detail: "The invite was revoked." });
  if (used >= uses) return refuse("invite_used");
  return expiresAt <= now ? refuse("invite_expired") : null;
}

function memberLimit({ team }: Books): Refusal | null {
  const members = team.list();
  const live = members.filter(({ removedAt }) => removedAt === null).length;
  return live >= LIMITS.members || members.length >= LIMITS.membersEver ? refuse("member_limit") : null;
}

/** What a key gives with a role: a member's first key has all of its scopes, and no end. */
function giving(role: Role) {
  return { scopes: ROLE_SCOPES[role], expiresAt: null };
}

/** What a key must have itself to take a role away; its own end does not matter. */
function taking(role: Role) {
  return { scopes: ROLE_SCOPES[role], expiresAt: 0 };
}

function yes<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

function no(refusal: Refusal): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal };
}
