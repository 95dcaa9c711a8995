/** What may be done with an account's keys, and by which key. */

import { type KeyTerms, NO_SPENDING, spentIn } from "../../core/account/budget.ts";
import { DEFAULT_SCOPES, type Scope } from "../../core/account/scopes.ts";
import type { AccountState } from "../../core/account/state.ts";
import { allowedBy, beyondRole, runsTeam } from "../../core/account/team.ts";
import { type Refusal, refuse } from "../../core/errors.ts";
import type { KeyId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { canonicalText } from "../../core/receipt/canonical.ts";
import type { Answer, Credentials, KeySettings, KeyView, NewKey, Rotation } from "../../protocol/internal/account.ts";
import type { Books, Entered } from "./books.ts";
import type { Keyring, StoredKey } from "./keyring.ts";

/** Why a key may not do something, or null: it has expired, or was made for none of the scopes that allow it. */
export function barKey(key: StoredKey, scopes: readonly Scope[], now: number): Refusal | null {
  if (key.expiresAt !== null && key.expiresAt <= now) return refuse("key_expired");
  if (scopes.length === 0 || scopes.some((scope) => key.scopes.includes(scope))) return null;
  return refuse("forbidden", { detail: `This key lacks the scope \`${scopes.join("` or `")}\`.` });
}

export function termsOf({ id, models, budget }: StoredKey): KeyTerms {
  return { id, models, budget };
}

/** A key as its account's owner sees it, with what it has spent of its budget. */
function viewOf(key: StoredKey, { spending }: AccountState, now: number): KeyView {
  const { secretHash: _, old, rotations: _rotations, made: _made, ofSessions: _of, ...record } = key;
  const own = spending.get(key.id) ?? NO_SPENDING;
  return {
    ...record,
    oldUntil: old !== null && old.until > now ? old.until : null,
    spent: spentIn(own, key.budget?.reset ?? "never", now),
    held: own.held,
  };
}

/** Lets a key in to the books that counts and has one of the scopes, if any are named. */
export function enter(
  books: Books | null,
  { secretHash }: Credentials,
  scopes: readonly Scope[],
  now: number,
): Answer<Entered> {
  const key = books?.keys.find(secretHash, now) ?? null;
  if (books === null || key === null) return no(refuse("invalid_api_key"));
  const barred = barKey(key, scopes, now);
  return barred === null ? { ok: true, value: { ...books, key } } : no(barred);
}

/** The keys that a member may see: its own, and an owner everyone's. */
export function listKeys(entered: Entered, now: number): Answer<KeyView[]> {
  const visible = entered.keys.list().filter((key) => isInReach(entered, key));
  return { ok: true, value: visible.map((key) => viewOf(key, entered.ledger.state, now)) };
}

/** An answer about a key, as its account's owner sees it. */
export function viewed(answer: Answer<StoredKey>, { ledger }: Entered, now: number): Answer<KeyView> {
  return answer.ok ? { ok: true, value: viewOf(answer.value, ledger.state, now) } : answer;
}

/** Makes a key. The same id with the same settings changes nothing; no key gives what it does not have itself. */
export function createKey({ keys, team, key: by }: Entered, key: NewKey, now: number): Answer<StoredKey> {
  const member = key.member ?? by.member;
  if (member !== by.member && !runsTeam(team.holder(by.member).role))
    return no(refuse("role_forbids", { param: "member" }));
  const made = shapeOf({ ...key, scopes: key.scopes ?? DEFAULT_SCOPES });
  const before = keys.byId(key.id);
  if (before !== null) {
    const isSame = before.made === made && before.member === member;
    return isSame ? { ok: true, value: before } : no(refuse("id_conflict"));
  }
  const holder = team.byId(member);
  if (holder === null || holder.removedAt !== null) return no(refuse("member_not_found", { param: "member" }));
  // What nobody named is what the role has of it.
  const wanted = { ...key, scopes: key.scopes ?? allowedBy(holder.role, DEFAULT_SCOPES) };
  const wide = beyondRole(holder.role, wanted.scopes);
  if (wide !== null) return no(wide);
  const excess = beyond(by, { scopes: wanted.scopes, expiresAt: wanted.expiresAt ?? null });
  if (excess !== null) return no(excess);
  const loose = boundManager({ scopes: wanted.scopes, models: wanted.models ?? null, budget: wanted.budget ?? null });
  if (loose !== null) return no(loose);
  const full = keyLimit(keys);
  return full === null ? { ok: true, value: keys.add(wanted, member, made, now) } : no(full);
}

/** Why an account may have no more keys, or null. */
export function keyLimit(keys: Keyring): Refusal | null {
  if (keys.live < LIMITS.apiKeys && keys.list().length < LIMITS.apiKeysEver) return null;
  const detail = `An account has at most ${LIMITS.apiKeys} keys, and ${LIMITS.apiKeysEver} with those that were revoked.`;
  return refuse("key_limit", { detail });
}

/** Changes what is named of another key's settings. A revoked key stays as it was. */
export function updateKey(entered: Entered, id: KeyId, changes: Partial<KeySettings>): Answer<StoredKey> {
  const { keys, team, key: by } = entered;
  const found = changeable(entered, id);
  if (!found.ok) return found;
  if (id === by.id) return no(refuse("forbidden", { detail: "A key cannot change its own settings." }));
  const wanted = { ...found.value, ...changes };
  const { role } = team.holder(found.value.member);
  const refusal = beyondRole(role, wanted.scopes) ?? beyond(by, wanted) ?? boundManager(wanted);
  return refusal === null ? { ok: true, value: keys.update(found.value, changes) } : no(refusal);
}

/** Gives a key a new secret; the same call again finds it done. */
export function rotateKey(entered: Entered, id: KeyId, rotation: Rotation, now: number): Answer<StoredKey> {
  const { keys } = entered;
  const found = changeable(entered, id);
  if (!found.ok || found.value.rotations.includes(rotation.id)) return found;
  return { ok: true, value: keys.rotate(found.value, rotation.secretHash, rotation.id, rotation.overlapMs, now) };
}

/** Ends a key for good; the same call again finds it done. */
export function revokeKey(entered: Entered, id: KeyId, now: number): Answer<StoredKey> {
  const { keys, key: by } = entered;
  const key = keys.byId(id);
  if (key === null || !isInReach(entered, key)) return no(refuse("key_not_found"));
  const more = id === by.id ? null : beyond(by, key);
  return more === null ? { ok: true, value: keys.revoke(key, now) } : no(more);
}

/** A key that another one may change: no key touches one that may do more than itself. */
function changeable(entered: Entered, id: KeyId): Answer<StoredKey> {
  const { keys, key: by } = entered;
  const key = keys.byId(id);
  if (key === null || !isInReach(entered, key)) return no(refuse("key_not_found"));
  if (key.revokedAt !== null) return no(refuse("key_not_found", { detail: "This key was revoked." }));
  const more = id === by.id ? null : beyond(by, key);
  return more === null ? { ok: true, value: key } : no(more);
}

/** Whether a key is the member's own, or the member manages everyone's. What sessions act as is nobody's to manage. */
function isInReach({ team, key: by }: Pick<Entered, "team" | "key">, key: StoredKey): boolean {
  if (key.ofSessions) return false;
  return key.member === by.member || runsTeam(team.holder(by.member).role);
}

/** Why a key cannot give, or touch, what is more than it has itself; null where it is not. */
export function beyond(by: StoredKey, wanted: Pick<KeySettings, "scopes" | "expiresAt">): Refusal | null {
  const { scopes, expiresAt } = wanted;
  const scope = scopes.find((each) => !by.scopes.includes(each));
  if (scope !== undefined) {
    const detail = `The key that asks lacks the scope \`${scope}\` itself.`;
    return refuse("forbidden", { detail, param: "scopes" });
  }
  if (by.expiresAt === null || (expiresAt !== null && expiresAt <= by.expiresAt)) return null;
  const detail = "The key that asks expires earlier itself.";
  return refuse("forbidden", { detail, param: "expires_at" });
}

/** A key that makes keys could lift every bound of its own by making another one, so it has none. */
function boundManager({ scopes, models, budget }: Pick<KeySettings, "scopes" | "models" | "budget">): Refusal | null {
  if (!scopes.includes("manage") || (models === null && budget === null)) return null;
  const detail =
    "A key with the scope `manage` can make other keys, so a budget or a list of models would not bind it.";
  return refuse("invalid_request", { detail, param: budget === null ? "models" : "budget" });
}

/** What a key was made with, to tell a repeated call from another one. */
function shapeOf({ name, requestsPerMinute, scopes, models, expiresAt, budget }: NewKey): string {
  return canonicalText({
    name,
    requestsPerMinute: requestsPerMinute ?? null,
    scopes,
    models: models ?? null,
    expiresAt: expiresAt ?? null,
    budget: budget ?? null,
  });
}

function no(refusal: Refusal): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal };
}
