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
  const { secretHash: _, old, rotation: _rotation, ...record } = key;
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
  if (before !== null) return isSame(before, wanted) ? { ok: true, value: before } : no(refuse("id_conflict"));
  const beyond = wanted.scopes.find((scope) => !by.scopes.includes(scope));
  if (beyond !== undefined) return no(lacks(beyond));
  if (keys.live >= LIMITS.apiKeys) {
    return no(refuse("key_limit", { detail: `An account has at most ${LIMITS.apiKeys} keys.` }));
  }
  return { ok: true, value: keys.add(wanted, now) };
}

/** Changes what is named of a key's settings. A revoked key stays as it was. */
export function updateKey(keys: Keyring, by: StoredKey, id: KeyId, changes: Partial<KeySettings>): Answer<StoredKey> {
  const key = keys.byId(id);
  if (key === null) return no(refuse("key_not_found"));
  if (key.revokedAt !== null) return no(refuse("key_not_found", { detail: "This key was revoked." }));
  const beyond = changes.scopes?.find((scope) => !by.scopes.includes(scope));
  if (beyond !== undefined) return no(lacks(beyond));
  return { ok: true, value: keys.update(key, changes) };
}

/** Gives a key a new secret; the same call again finds it done. */
export function rotateKey(keys: Keyring, id: KeyId, rotation: Rotation, now: number): Answer<StoredKey> {
  const key = keys.byId(id);
  if (key === null) return no(refuse("key_not_found"));
  if (key.revokedAt !== null) return no(refuse("key_not_found", { detail: "This key was revoked." }));
  if (key.rotation === rotation.id) return { ok: true, value: key };
  return { ok: true, value: keys.rotate(key, rotation.secretHash, rotation.id, rotation.overlapMs, now) };
}

function isSame(key: StoredKey, wanted: NewKey): boolean {
  const shape = ({ name, requestsPerMinute, scopes, models, expiresAt, budget }: NewKey | StoredKey) =>
    canonicalText({
      name,
      requestsPerMinute: requestsPerMinute ?? null,
      scopes,
      models: models ?? null,
      expiresAt: expiresAt ?? null,
      budget: budget ?? null,
    });
  return shape(key) === shape(wanted);
}

function lacks(scope: Scope): Refusal {
  return refuse("forbidden", { detail: `The key that asks lacks the scope \`${scope}\` itself.`, param: "scopes" });
}

function no(refusal: Refusal): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal };
}
