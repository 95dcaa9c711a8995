import { createRoute, z } from "@hono/zod-openapi";
import { base62, type KeyId } from "../../core/ids.ts";
import { formatApiKey, secretHashOf } from "../../protocol/api-key.ts";
import { keyId } from "../../protocol/ids.ts";
import type { KeyRecord } from "../../protocol/internal/account.ts";
import { createdKey, createKey, keyList, keyRecord } from "../../protocol/network/account.ts";
import { idempotencyHeaders, timeText } from "../../protocol/network/common.ts";
import { edgeMac } from "../auth.ts";
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
  description: "Every key that was made, revoked ones too, oldest first. The keys' texts are not stored anywhere.",
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

const deleteKey = createRoute({
  method: "delete",
  path: "/keys/{id}",
  tags: ["Keys"],
  summary: "Revoke a key",
  description: "From now on the key is refused. A key may revoke itself. Revoking twice changes nothing.",
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
  const {
    name,
    id: clientId = c.req.valid("header")["idempotency-key"],
    requests_per_minute: requestsPerMinute = null,
  } = c.req.valid("json");
  // The id follows from the client's, so that a repetition meets the key that was made first.
  const idBytes =
    clientId === undefined
      ? crypto.getRandomValues(new Uint8Array(16))
      : edgeMac(edgeKey, KEY_ID_DOMAIN, `${account}\n${clientId}`).subarray(0, 16);
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const key = { id: base62(idBytes) as KeyId, name, secretHash: secretHashOf(secret), requestsPerMinute };
  const answer = await onAccount(c.env, account, (object) => object.createKey({ secretHash }, key));
  if (!answer.ok) return problem(c, answer.refusal);
  // Only the account can say whose secret it stored: this call's, or that of an earlier call with the same id.
  const stored = await onAccount(c.env, account, (object) => object.keys({ secretHash: key.secretHash }));
  if (stored.ok) {
    return c.json({ ...shownKey(answer.value), key: formatApiKey(account, secret, edgeKey), notice: null }, 201);
  }
  const notice = "This id has made a key before; its text was shown then. Revoke it and use a new id if it is lost.";
  return c.json({ ...shownKey(answer.value), key: null, notice }, 200);
});

keys.openapi(deleteKey, async (c) => {
  const { account, secretHash } = c.var.key;
  const { id } = c.req.valid("param");
  const answer = await onAccount(c.env, account, (object) => object.revokeKey({ secretHash }, id));
  return answer.ok ? c.json(shownKey(answer.value), 200) : problem(c, answer.refusal);
});

function shownKey({ id, name, createdAt, revokedAt, requestsPerMinute }: KeyRecord) {
  return {
    id,
    name,
    created_at: timeText(createdAt),
    revoked_at: revokedAt === null ? null : timeText(revokedAt),
    requests_per_minute: requestsPerMinute,
  };
}
