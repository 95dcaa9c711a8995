import { createRoute, z } from "@hono/zod-openapi";
import { refuse } from "../../core/errors.ts";
import { type AccountId, base62, type KeyId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { addAccount } from "../../db/accounts.ts";
import { putModel } from "../../db/catalog.ts";
import { type DeadLetterRow, listDeadLetters, resolveDeadLetter } from "../../db/dead-letters.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import { formatApiKey, secretHashOf } from "../../protocol/api-key.ts";
import { catalogModel, modelId } from "../../protocol/catalog.ts";
import { edgeMac } from "../../protocol/edge-mac.ts";
import { accountId, hash } from "../../protocol/ids.ts";
import type { CreditCommand } from "../../protocol/internal/account.ts";
import {
  creditAccount,
  credited,
  deadLetterPage,
  deadLetterQuery,
  deadLetter as deadLetterShape,
  openAccount,
  openedAccount,
} from "../../protocol/network/admin.ts";
import { idempotencyHeaders, timeText } from "../../protocol/network/common.ts";
import { pseudonymOf } from "../auth.ts";
import { configOf } from "../config.ts";
import { problem } from "../http.ts";
import { onAccount } from "../objects.ts";
import { answers, byAdmin, byAdminWithJson, named, newApi, problems, takes } from "./app.ts";
import { BAD_CURSOR, readPlace, writePlace } from "./time-cursor.ts";

const ACCOUNT_DOMAIN = "tollmill/admin-account/v1";
const SECRET_DOMAIN = "tollmill/admin-secret/v1";

const model = named("CatalogModel", catalogModel);
const deadLetter = named("DeadLetter", deadLetterShape);
const tags = ["Operations"];

const putCatalogModel = createRoute({
  method: "put",
  path: "/admin/models/{id}",
  tags,
  summary: "Put a model into the catalog",
  description: "Adds the model or replaces it. A slash in its id is written %2F. Edges notice within some seconds.",
  ...byAdminWithJson,
  request: { params: z.object({ id: modelId }), body: takes(model) },
  responses: { 200: answers(model, "The model as it is in the catalog now."), ...problems },
});

const postAccount = createRoute({
  method: "post",
  path: "/admin/accounts",
  tags,
  summary: "Open an account",
  description:
    "Makes an account with its first key. With an `Idempotency-Key` (or `id`) account and key follow from it, so the same " +
    "call again gets the very same key: for as long as the account takes it, and none once it was revoked, rotated or expired.",
  ...byAdminWithJson,
  request: { headers: idempotencyHeaders, body: takes(openAccount) },
  responses: {
    200: answers(openedAccount, "The account was there already."),
    201: answers(openedAccount, "The new account."),
    ...problems,
  },
});

const postCredit = createRoute({
  method: "post",
  path: "/admin/accounts/{account}/credits",
  tags,
  summary: "Credit an account",
  description:
    "A `bonus` in credits has nothing behind it; a `topup` or a `package` in USD stands for USDC that the treasury has " +
    "received, and a package reserves slots until it is used up or expires. The same " +
    "`id` never credits twice; with another body it is refused.",
  ...byAdminWithJson,
  request: { params: z.object({ account: accountId }), body: takes(creditAccount) },
  responses: { 200: answers(credited, "Where it stands in the account's ledger."), ...problems },
});

const getDeadLetters = createRoute({
  method: "get",
  path: "/admin/dead-letters",
  tags,
  summary: "What the log refused",
  description: "Receipts that could not be appended and that nobody has resolved, newest first.",
  ...byAdmin,
  request: { query: deadLetterQuery },
  responses: {
    200: answers(deadLetterPage.extend({ data: z.array(deadLetter) }), "A page of dead letters."),
    ...problems,
  },
});

const resolveLetter = createRoute({
  method: "post",
  path: "/admin/dead-letters/{id}/resolve",
  tags,
  summary: "Resolve a dead letter",
  description:
    "Takes a letter off the list once its cause is dealt with. Resolving twice changes nothing. When the log refuses the same " +
    "item again, its letter is open again.",
  ...byAdmin,
  request: { params: z.object({ id: hash }) },
  responses: { 200: answers(deadLetter, "The resolved letter."), ...problems },
});

export const admin = newApi();

admin.openapi(putCatalogModel, async (c) => {
  const row = c.req.valid("json");
  if (row.id !== c.req.valid("param").id) {
    return problem(c, refuse("invalid_request", { detail: "id: must be the id of the path.", param: "id" }));
  }
  await putModel(c.env.DB, row);
  emit("model_put", { model: row.id, operator: c.var.operator, request_id: c.var.requestId });
  return c.json(row, 200);
});

admin.openapi(postAccount, async (c) => {
  const { edgeKey } = configOf(c.env);
  const { name, starter = false, id: clientId = c.req.valid("header")["idempotency-key"] } = c.req.valid("json");
  const id = clientId ?? base62(crypto.getRandomValues(new Uint8Array(16)));
  const ids = edgeMac(edgeKey, ACCOUNT_DOMAIN, id);
  const account = base62(ids.subarray(0, 16)) as AccountId;
  const secret = edgeMac(edgeKey, SECRET_DOMAIN, id);
  const key = { id: base62(ids.subarray(16)) as KeyId, name, secretHash: secretHashOf(secret) };
  // First its row, so that there is none that receipts name and nobody finds; a row too many does no harm.
  await addAccount(c.env.DB, { id: account, pseudonym: pseudonymOf(account, configOf(c.env)), opened_at: Date.now() });
  const answer = await onAccount(c.env, account, (object) => object.open({ account, key, starter }));
  if (!answer.ok) return problem(c, answer.refusal);
  const { opened } = answer.value;
  emit("account_opened", { account, opened, operator: c.var.operator, request_id: c.var.requestId });
  const { secretHash } = key;
  const stands = opened || (await onAccount(c.env, account, (object) => object.check({ secretHash }, null))).ok;
  const shown = stands
    ? { api_key: formatApiKey(account, secret, edgeKey), notice: null }
    : {
        api_key: null,
        notice: "The account's first key was revoked, rotated or has expired since. Use another key of it.",
      };
  return c.json({ account, ...shown, opened }, opened ? 201 : 200);
});

admin.openapi(postCredit, async (c) => {
  const { account } = c.req.valid("param");
  const credit = c.req.valid("json");
  const { id, kind, amount, expires_at: expires = null, memo = "" } = credit;
  const command: CreditCommand = {
    id,
    kind,
    backing: kind === "bonus" ? "none" : "usdc",
    amount,
    ...(credit.kind === "package" ? { concurrency: credit.concurrency } : {}),
    expiresAt: expires === null ? null : Date.parse(expires),
    memo,
  };
  const result = await onAccount(c.env, account, (object) => object.credit(command));
  if (result.type === "refused") return problem(c, result.refusal);
  emit("account_credited", {
    account,
    credit: id,
    kind,
    amount,
    operator: c.var.operator,
    request_id: c.var.requestId,
  });
  return c.json({ seq: result.seq }, 200);
});

admin.openapi(getDeadLetters, async (c) => {
  const { cursor, limit = LIMITS.pageRows } = c.req.valid("query");
  const after = cursor === undefined ? undefined : readPlace(cursor);
  if (after === null) return problem(c, BAD_CURSOR);
  const letters = await listDeadLetters(c.env.DB, { limit, ...(after === undefined ? {} : { after }) });
  const oldest = letters.at(-1);
  const next = oldest === undefined || letters.length < limit ? null : writePlace(oldest);
  return c.json({ data: letters.map(shownLetter), next }, 200);
});

admin.openapi(resolveLetter, async (c) => {
  const letter = await resolveDeadLetter(c.env.DB, c.req.valid("param").id, Date.now());
  if (letter === null) return problem(c, refuse("dead_letter_not_found"));
  emit("dead_letter_resolved", { dead_letter: letter.id, operator: c.var.operator, request_id: c.var.requestId });
  return c.json(shownLetter(letter), 200);
});

function shownLetter({ at, resolved_at, ...letter }: DeadLetterRow) {
  return { ...letter, at: timeText(at), resolved_at: resolved_at === null ? null : timeText(resolved_at) };
}
