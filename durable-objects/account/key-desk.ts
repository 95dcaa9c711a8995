/** What may be done with an account's keys, and by which key. */

import { type KeyTerms, NO_SPENDING, spentIn } from "../../core/account/budget.ts";
import { DEFAULT_SCOPES, type Scope } from "../../core/account/scopes.ts";
import type { AccountState } from "../../core/account/state.ts";
import { type Refusal, refuse } from "../../core/errors.ts";
import type { KeyId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { canonicalText } from "../../core/receipt/canonical.ts";
import type { Answer, KeySettings, KeyView, NewKey, Rotation } from "../../protocol/internal/account.ts";
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
export function viewOf(key: StoredKey, { spending }: AccountState, now: number): KeyView {
  const { secretHash: _, old, rotations: _rotations, made: _made, ...record } = key;
  const own = spending.get(key.id) ?? NO_SPENDING;
  return {
    ...record,
    oldUntil: old !== null && old.until > now ? old.until : null,
    spent: spentIn(own, key.budget?.reset ?? "never", now),
    held: own.held,
  };
}

/** Makes a key. The same id with the same settings changes nothing; no key gives what it does not have itself. */
export function createKey(keys: Keyring, by: StoredKey, key: NewKey, now: number): Answer<StoredKey> {
  const wanted = { ...key, scopes: key.scopes ?? DEFAULT_SCOPES };
  const before = keys.byId(key.id);
  const made = shapeOf(wanted);
  if (before !== null) return before.made === made ? { ok: true, value: before } : no(refuse("id_conflict"));
  const excess = beyond(by, { scopes: wanted.scopes, expiresAt: wanted.expiresAt ?? null });
  if (excess !== null) return no(excess);
  const loose = boundManager({ scopes: wanted.scopes, models: wanted.models ?? null, budget: wanted.budget ?? null });
  if (loose !== null) return no(loose);
  if (keys.live >= LIMITS.apiKeys || keys.list().length >= LIMITS.apiKeysEver) {
    const detail = `An account has at most ${LIMITS.apiKeys} keys, and ${LIMITS.apiKeysEver} with those that were revoked.`;
    return no(refuse("key_limit", { detail }));
  }
  return { ok: true, value: keys.add(wanted, made, now) };
}

/** Changes what is named of another key's settings. A revoked key stays as it was. */
export function updateKey(keys: Keyring, by: StoredKey, id: KeyId, changes: Partial<KeySettings>): Answer<StoredKey> {
  const found = changeable(keys, by, id);
  if (!found.ok) return found;
  if (id === by.id) return no(refuse("forbidden", { detail: "A key cannot change its own settings." }));
  const wanted = { ...found.value, ...changes };
  const refusal = beyond(by, wanted) ?? boundManager(wanted);
  return refusal === null ? { ok: true, value: keys.update(found.value, changes) } : no(refusal);
}

/** Gives a key a new secret; the same call again finds it done. */
export function rotateKey(keys: Keyring, by: StoredKey, id: KeyId, rotation: Rotation, now: number): Answer<StoredKey> {
  const found = changeable(keys, by, id);
  if (!found.ok || found.value.rotations.includes(rotation.id)) return found;
  return { ok: true, value: keys.rotate(found.value, rotation.secretHash, rotation.id, rotation.overlapMs, now) };
}

/** Ends a key for good; the same call again finds it done. */
export function revokeKey(keys: Keyring, by: StoredKey, id: KeyId, now: number): Answer<StoredKey> {
  const key = keys.byId(id);
  if (key === null) return no(refuse("key_not_found"));
  const more = id === by.id ? null : beyond(by, key);
  return more === null ? { ok: true, value: keys.revoke(key, now) } : no(more);
}

/** A key that another one may change: no key touches one that may do more than itself. */
function changeable(keys: Keyring, by: StoredKey, id: KeyId): Answer<StoredKey> {
  const key = keys.byId(id);
  if (key === null) return no(refuse("key_not_found"));
  if (key.revokedAt !== null) return no(refuse("key_not_found", { detail: "This key was revoked." }));
  const more = id === by.id ? null : beyond(by, key);
  return more === null ? { ok: true, value: key } : no(more);
}

/** Why a key cannot give, or touch, what is more than it has itself; null where it is not. */
function beyond(by: StoredKey, { scopes, expiresAt }: Pick<KeySettings, "scopes" | "expiresAt">): Refusal | null {
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
