import { createRoute, z } from "@hono/zod-openapi";
import { nextReset } from "../../core/account/budget.ts";
import { SCOPES } from "../../core/account/scopes.ts";
import { type AccountId, base62, type KeyId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { formatUsd } from "../../core/units.ts";
import { formatApiKey, secretHashOf } from "../../protocol/api-key.ts";
import { edgeMac } from "../../protocol/edge-mac.ts";
import { keyId } from "../../protocol/ids.ts";
import type { KeySettings, KeyView } from "../../protocol/internal/account.ts";
import { changeKey, createdKey, createKey, keyList, keyRecord, rotateKey } from "../../protocol/network/account.ts";
import { idempotencyHeaders, timeText } from "../../protocol/network/common.ts";
import { configOf } from "../config.ts";
import { problem } from "../http.ts";
import { onAccount } from "../objects.ts";
import { answers, byKey, byKeyWithJson, named, newApi, problems, takes } from "./app.ts";

const KEY_ID_DOMAIN = "tollmill/key-id/v1";

const record = named("Key", keyRecord);
const created = named("CreatedKey", createdKey);

const listKeys = createRoute({
  method: "get",
  path: "/keys",
  tags: ["Keys"],
  summary: "The account's keys",
  description:
    "Every key that was made, revoked ones too, oldest first: an owner sees all, another member its own. The keys' texts are not stored anywhere.",
  ...byKey,
  responses: { 200: answers(keyList, "The keys."), ...problems },
});

const postKey = createRoute({
  method: "post",
  path: "/keys",
  tags: ["Keys"],
  summary: "Make a key",
  description:
    "Makes another key of the same account and shows its text once. With an `Idempotency-Key` (or `id`) the call can be " +
    "sent again safely: the repetition gets the key's record without its text, as only a hash of that is stored.",
  ...byKeyWithJson,
  request: { headers: idempotencyHeaders, body: takes(createKey) },
  responses: {
    200: answers(created, "The key was made before by a call with the same id."),
    201: answers(created, "The new key with its text."),
    ...problems,
  },
});

const patchKey = createRoute({
  method: "patch",
  path: "/keys/{id}",
  tags: ["Keys"],
  summary: "Change a key",
  description: "Changes what the body names; null takes a bound away. A change counts from the next job on.",
  ...byKeyWithJson,
  request: { params: z.object({ id: keyId }), body: takes(changeKey) },
  responses: { 200: answers(record, "The key as it is now."), ...problems },
});

const postRotation = createRoute({
  method: "post",
  path: "/keys/{id}/rotate",
  tags: ["Keys"],
  summary: "Give a key a new secret",
  description:
    "The key keeps its id, its settings and what it has spent; its new text is shown once. The old one is taken for " +
    "`overlap_seconds` more, so that programs can be changed over. With an `Idempotency-Key` (or `id`) the call can be sent " +
    "again safely: the repetition gets the record without the text.",
  ...byKeyWithJson,
  request: { params: z.object({ id: keyId }), headers: idempotencyHeaders, body: takes(rotateKey) },
  responses: { 200: answers(created, "The key with its new text."), ...problems },
});

const deleteKey = createRoute({
  method: "delete",
  path: "/keys/{id}",
  tags: ["Keys"],
  summary: "Revoke a key",
  description:
    "From now on the key is refused. A key may revoke itself. Revoking twice changes nothing. Invites are their member's and not " +
    "the key's: those that were made with it stay open, and are revoked by `DELETE /api/v1/team/invites/{id}`.",
  ...byKey,
  request: { params: z.object({ id: keyId }) },
  responses: { 200: answers(record, "The revoked key."), ...problems },
});

export const keys = newApi();

keys.openapi(listKeys, async (c) => {
  const { account, secretHash } = c.var.key;
  const answer = await onAccount(c.env, account, (object) => object.keys({ secretHash }));
  return answer.ok ? c.json({ data: answer.value.map(shownKey) }, 200) : problem(c, answer.refusal);
});

keys.openapi(postKey, async (c) => {
  const { account, secretHash } = c.var.key;
  const { edgeKey } = configOf(c.env);
  const body = c.req.valid("json");
  const { name, member, id: clientId = c.req.valid("header")["idempotency-key"], ...settings } = body;
  // The id follows from the client's, so that a repetition meets the key that was made first.
  const idBytes =
    clientId === undefined
      ? crypto.getRandomValues(new Uint8Array(16))
      : edgeMac(edgeKey, KEY_ID_DOMAIN, `${account}\n${clientId}`).subarray(0, 16);
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const own = { id: base62(idBytes) as KeyId, name, secretHash: secretHashOf(secret) };
  const whose = member === undefined ? {} : { member };
  const key = { ...settingsOf(settings), ...own, ...whose };
  const answer = await onAccount(c.env, account, (object) => object.createKey({ secretHash }, key));
  if (!answer.ok) return problem(c, answer.refusal);
  const text = await textIfStored(c.env, account, secret, edgeKey);
  const notice = "This id has made a key before; its text was shown then. Revoke it and use a new id if it is lost.";
  return c.json(
    { ...shownKey(answer.value), key: text, notice: text === null ? notice : null },
    text === null ? 200 : 201,
  );
});

keys.openapi(patchKey, async (c) => {
  const { account, secretHash } = c.var.key;
  const { name, ...settings } = c.req.valid("json");
  const changes = { ...settingsOf(settings), ...(name === undefined ? {} : { name }) };
  const { id } = c.req.valid("param");
  const answer = await onAccount(c.env, account, (object) => object.updateKey({ secretHash }, id, changes));
  return answer.ok ? c.json(shownKey(answer.value), 200) : problem(c, answer.refusal);
});

keys.openapi(postRotation, async (c) => {
  const { account, secretHash } = c.var.key;
  const { edgeKey } = configOf(c.env);
  const { overlap_seconds: overlap = LIMITS.keyOverlapDefaultSeconds, id: bodyId } = c.req.valid("json");
  const call = bodyId ?? c.req.valid("header")["idempotency-key"] ?? base62(crypto.getRandomValues(new Uint8Array(16)));
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const rotation = { id: call, secretHash: secretHashOf(secret), overlapMs: overlap * 1_000 };
  const { id } = c.req.valid("param");
  const answer = await onAccount(c.env, account, (object) => object.rotateKey({ secretHash }, id, rotation));
  if (!answer.ok) return problem(c, answer.refusal);
  const text = await textIfStored(c.env, account, secret, edgeKey);
  const notice = "This id has rotated the key before; its text was shown then. Use a new id if it is lost.";
  return c.json({ ...shownKey(answer.value), key: text, notice: text === null ? notice : null }, 200);
});

keys.openapi(deleteKey, async (c) => {
  const { account, secretHash } = c.var.key;
  const { id } = c.req.valid("param");
  const answer = await onAccount(c.env, account, (object) => object.revokeKey({ secretHash }, id));
  return answer.ok ? c.json(shownKey(answer.value), 200) : problem(c, answer.refusal);
});

/** The text of a key's secret if the account has stored it: an earlier call with the same id may have stored another. */
async function textIfStored(
  env: Env,
  account: AccountId,
  secret: Uint8Array,
  edgeKey: Uint8Array,
): Promise<string | null> {
  const stored = await onAccount(env, account, (object) => object.check({ secretHash: secretHashOf(secret) }, null));
  // A key may have been made for a time that is over.
  const known = stored.ok || stored.refusal.code !== "invalid_api_key";
  return known ? formatApiKey(account, secret, edgeKey) : null;
}

type Settings = Omit<z.output<typeof createKey>, "name" | "id" | "member">;

/** What a body names, as accounts keep it. */
function settingsOf({ scopes, models, expires_at, budget, requests_per_minute }: Settings): Partial<KeySettings> {
  return {
    ...(scopes === undefined ? {} : { scopes: SCOPES.filter((scope) => scopes.includes(scope)) }),
    ...(models === undefined ? {} : { models: models === null ? null : [...new Set(models)].toSorted() }),
    ...(expires_at === undefined ? {} : { expiresAt: expires_at === null ? null : Date.parse(expires_at) }),
    ...(budget === undefined ? {} : { budget: budget && { nanoUsd: budget.usd, reset: budget.reset } }),
    ...(requests_per_minute === undefined ? {} : { requestsPerMinute: requests_per_minute }),
  };
}

function shownKey(key: KeyView) {
  const { budget } = key;
  const resetAt = budget === null ? null : nextReset(budget.reset, Date.now());
  return {
    id: key.id,
    name: key.name,
    member: key.member,
    created_at: timeText(key.createdAt),
    revoked_at: textOrNull(key.revokedAt),
    expires_at: textOrNull(key.expiresAt),
    rotated_at: textOrNull(key.rotatedAt),
    old_secret_until: textOrNull(key.oldUntil),
    scopes: [...key.scopes],
    models: key.models === null ? null : [...key.models],
    requests_per_minute: key.requestsPerMinute,
    budget: budget && {
      usd: formatUsd(budget.nanoUsd),
      reset: budget.reset,
      spent_usd: formatUsd(key.spent),
      held_usd: formatUsd(key.held),
      reset_at: textOrNull(resetAt),
    },
  };
}

function textOrNull(ms: number | null): string | null {
  return ms === null ? null : timeText(ms);
}
