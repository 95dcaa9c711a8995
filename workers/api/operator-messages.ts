/** What operators tell the people who run daemons. */

import { createRoute, z } from "@hono/zod-openapi";
import { refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import {
  addOperatorMessage,
  getOperatorMessage,
  listOperatorMessages,
  type OperatorMessageRow,
  withdrawOperatorMessage,
} from "../../db/operator-messages.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import type { Audience } from "../../protocol/internal/pool.ts";
import { timeText } from "../../protocol/network/common.ts";
import {
  operatorMessageId,
  operatorMessagePage,
  operatorMessageQuery,
  operatorMessage as operatorMessageShape,
  sendOperatorMessage,
  sentOperatorMessage,
} from "../../protocol/network/operator-messages.ts";
import { type Config, configOf } from "../config.ts";
import { problem } from "../http.ts";
import { onRelay } from "../objects.ts";
import { allRelays, relaysOf } from "../regions.ts";
import { answers, byAdmin, byAdminWithJson, named, newApi, problems, takes } from "./app.ts";
import { BAD_CURSOR, readPlace, writePlace } from "./time-cursor.ts";

const operatorMessage = named("OperatorMessage", operatorMessageShape);
const tags = ["Operations"];

const postMessage = createRoute({
  method: "post",
  path: "/admin/messages",
  tags,
  summary: "Send a message to daemons",
  description:
    "Tells one daemon, an account's daemons, or all of them: those that are connected now, and those that connect before " +
    "`until`. A daemon shows it once in its log. The same call again changes nothing, and tells those that are connected " +
    "once more, who know it by its id; with another body the id is refused.",
  ...byAdminWithJson,
  request: { body: takes(sendOperatorMessage) },
  responses: {
    200: answers(named("SentOperatorMessage", sentOperatorMessage), "It was sent before."),
    201: answers(named("SentOperatorMessage", sentOperatorMessage), "The new message."),
    ...problems,
  },
});

const getMessages = createRoute({
  method: "get",
  path: "/admin/messages",
  tags,
  summary: "Messages to daemons",
  description: "What operators sent, newest first, also what is over or was withdrawn.",
  ...byAdmin,
  request: { query: operatorMessageQuery },
  responses: {
    200: answers(operatorMessagePage.extend({ data: z.array(operatorMessage) }), "A page of messages."),
    ...problems,
  },
});

const deleteMessage = createRoute({
  method: "delete",
  path: "/admin/messages/{id}",
  tags,
  summary: "Withdraw a message to daemons",
  description:
    "Daemons that connect from now on are not told. Who was told before has read it. Withdrawing twice changes nothing.",
  ...byAdmin,
  request: { params: z.object({ id: operatorMessageId }) },
  responses: { 200: answers(operatorMessage, "The message, withdrawn."), ...problems },
});

export const operatorMessages = newApi();

operatorMessages.openapi(postMessage, async (c) => {
  const { operator, requestId } = c.var;
  const { id, level, text, daemon = null, account = null, until: untilText } = c.req.valid("json");
  const now = Date.now();
  const until = Date.parse(untilText);
  const message = { id, level, text, daemon, account, until };
  const known = await getOperatorMessage(c.env.DB, id);
  if (known === null && (until <= now || until > now + LIMITS.operatorMessageMs)) {
    const detail = "until: must be in the future, and at most 366 days ahead.";
    return problem(c, refuse("invalid_request", { detail, param: "until" }));
  }
  const row: OperatorMessageRow = { ...message, sent_by: operator, sent_at: now, withdrawn_at: null };
  const added = known === null && (await addOperatorMessage(c.env.DB, row));
  // Another call under this id may have been first in between.
  const stored = added ? row : (known ?? (await getOperatorMessage(c.env.DB, id)) ?? row);
  if (!isSame(stored, message)) return problem(c, refuse("id_conflict", { param: "id" }));
  // Only now, so that a daemon that connects meanwhile finds it in D1.
  const told = stored.withdrawn_at === null && now < until ? await tell(c.env, configOf(c.env), stored) : 0;
  emit("operator_message_sent", { message: id, level, daemon, account, told, operator, request_id: requestId });
  return c.json({ ...shown(stored), told }, added ? 201 : 200);
});

operatorMessages.openapi(getMessages, async (c) => {
  const { cursor, limit = LIMITS.pageRows } = c.req.valid("query");
  const after = cursor === undefined ? undefined : readPlace(cursor);
  if (after === null) return problem(c, BAD_CURSOR);
  const rows = await listOperatorMessages(c.env.DB, { limit, ...(after === undefined ? {} : { after }) });
  const oldest = rows.at(-1);
  const next = oldest === undefined || rows.length < limit ? null : writePlace({ at: oldest.sent_at, id: oldest.id });
  return c.json({ data: rows.map(shown), next }, 200);
});

operatorMessages.openapi(deleteMessage, async (c) => {
  const { id } = c.req.valid("param");
  const row = await withdrawOperatorMessage(c.env.DB, id, Date.now());
  if (row === null) return problem(c, refuse("message_not_found"));
  emit("operator_message_withdrawn", { message: id, operator: c.var.operator, request_id: c.var.requestId });
  return c.json(shown(row), 200);
});

/** Has the daemons told that are connected, and gives how many those are. */
async function tell(env: Env, config: Config, message: OperatorMessageRow): Promise<number> {
  const { id, level, text, daemon, account } = message;
  const relays = daemon === null ? allRelays(config) : relaysOf(config, daemon);
  const to = audienceOf({ daemon, account });
  const told = await Promise.all(
    relays.map((name) => onRelay(env, name, (relay) => relay.tell({ id, level, text }, to))),
  );
  return told.reduce((sum, daemons) => sum + daemons, 0);
}

function audienceOf({ daemon, account }: Pick<OperatorMessageRow, "daemon" | "account">): Audience {
  if (daemon !== null) return { type: "daemon", daemon };
  return account === null ? { type: "all" } : { type: "account", account };
}

type Sent = Pick<OperatorMessageRow, "id" | "level" | "text" | "daemon" | "account" | "until">;

function isSame(stored: Sent, sent: Sent): boolean {
  return (["level", "text", "daemon", "account", "until"] as const).every((field) => stored[field] === sent[field]);
}

function shown({ until, sent_at, withdrawn_at, ...row }: OperatorMessageRow) {
  return {
    ...row,
    until: timeText(until),
    sent_at: timeText(sent_at),
    withdrawn_at: withdrawn_at === null ? null : timeText(withdrawn_at),
  };
}
