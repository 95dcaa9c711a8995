/** Reversals of receipts, which take two operators (economics.md §6). */

import { createRoute, z } from "@hono/zod-openapi";
import { refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { formatCredits, formatUsd } from "../../core/units.ts";
import { getReversal, listReversals, type ReversalRow, stateOf } from "../../db/reversals.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import { timeText } from "../../protocol/network/common.ts";
import {
  proposeReversal,
  reversalId,
  reversalPage,
  reversalQuery,
  reversal as reversalShape,
} from "../../protocol/network/reversals.ts";
import { configOf } from "../config.ts";
import { problem } from "../http.ts";
import { approve, decline, propose } from "../reversal-desk.ts";
import { answers, byAdmin, byAdminWithJson, named, newApi, problems, takes } from "./app.ts";
import { BAD_CURSOR, readPlace, writePlace } from "./time-cursor.ts";

const reversal = named("Reversal", reversalShape);
const params = z.object({ id: reversalId });
const tags = ["Operations"];

const postReversal = createRoute({
  method: "post",
  path: "/admin/reversals",
  tags,
  summary: "Propose to take a receipt back",
  description:
    "Says what would be given back, and changes nothing until another operator approves it within 7 days. The same `id` " +
    "never proposes twice; with another body it is refused.",
  ...byAdminWithJson,
  request: { body: takes(proposeReversal) },
  responses: {
    200: answers(reversal, "It was proposed before."),
    201: answers(reversal, "The new proposal."),
    ...problems,
  },
});

const getReversals = createRoute({
  method: "get",
  path: "/admin/reversals",
  tags,
  summary: "Reversals",
  description: "What operators proposed and what became of it, newest first.",
  ...byAdmin,
  request: { query: reversalQuery },
  responses: { 200: answers(reversalPage.extend({ data: z.array(reversal) }), "A page of reversals."), ...problems },
});

const getOneReversal = createRoute({
  method: "get",
  path: "/admin/reversals/{id}",
  tags,
  summary: "A reversal",
  description: "What it would give back, who decided what, and how it ended.",
  ...byAdmin,
  request: { params },
  responses: { 200: answers(reversal, "The reversal."), ...problems },
});

const approveRoute = createRoute({
  method: "post",
  path: "/admin/reversals/{id}/approve",
  tags,
  summary: "Approve a reversal",
  description:
    "Carries out what another operator proposed: a receipt of its own brings every unit back to where it came from. " +
    "Approving twice reverses once; where the first call broke off, the next one finishes it.",
  ...byAdmin,
  request: { params },
  responses: { 200: answers(reversal, "The reversal, carried out."), ...problems },
});

const declineRoute = createRoute({
  method: "post",
  path: "/admin/reversals/{id}/decline",
  tags,
  summary: "Decline a reversal",
  description:
    "Closes an open proposal for good; who made it may take it back so too. Declining twice changes nothing.",
  ...byAdmin,
  request: { params },
  responses: { 200: answers(reversal, "The declined proposal."), ...problems },
});

export const reversals = newApi();

reversals.openapi(postReversal, async (c) => {
  const { operator, requestId } = c.var;
  if (configOf(c.env).operators.length < 2) {
    const detail = "This network has one operator, and a reversal takes two.";
    return problem(c, refuse("second_operator_needed", { detail }));
  }
  const now = Date.now();
  const proposed = await propose(c.env, c.req.valid("json"), operator, now);
  if (!proposed.ok) return problem(c, proposed.refusal);
  const { row, added } = proposed.value;
  if (added) emit("reversal_proposed", { ...eventFields(row), operator, request_id: requestId });
  return c.json(shown(row, now), added ? 201 : 200);
});

reversals.openapi(getReversals, async (c) => {
  const { state, cursor, limit = LIMITS.pageRows } = c.req.valid("query");
  const after = cursor === undefined ? undefined : readPlace(cursor);
  if (after === null) return problem(c, BAD_CURSOR);
  const now = Date.now();
  const filter = { limit, ...(state === undefined ? {} : { state }), ...(after === undefined ? {} : { after }) };
  const rows = await listReversals(c.env.DB, now, filter);
  const oldest = rows.at(-1);
  const next =
    oldest === undefined || rows.length < limit ? null : writePlace({ at: oldest.proposed_at, id: oldest.id });
  return c.json({ data: rows.map((row) => shown(row, now)), next }, 200);
});

reversals.openapi(getOneReversal, async (c) => {
  const row = await getReversal(c.env.DB, c.req.valid("param").id);
  return row === null ? problem(c, refuse("reversal_not_found")) : c.json(shown(row, Date.now()), 200);
});

reversals.openapi(approveRoute, async (c) => {
  const { operator, requestId } = c.var;
  const now = Date.now();
  const approved = await approve(c.env, c.req.valid("param").id, operator, now);
  if (!approved.ok) return problem(c, approved.refusal);
  const { seq, outcome } = approved.value;
  emit("reversal_approved", { ...eventFields(approved.value), seq, outcome, operator, request_id: requestId });
  return c.json(shown(approved.value, now), 200);
});

reversals.openapi(declineRoute, async (c) => {
  const { operator, requestId } = c.var;
  const now = Date.now();
  const declined = await decline(c.env, c.req.valid("param").id, operator, now);
  if (!declined.ok) return problem(c, declined.refusal);
  emit("reversal_declined", { ...eventFields(declined.value), operator, request_id: requestId });
  return c.json(shown(declined.value, now), 200);
});

/** What events call a reversal. */
function eventFields({ id, account, job, proposed_by, approved_by }: ReversalRow) {
  return { reversal: id, account, job, proposed_by, approved_by };
}

function shown(row: ReversalRow, now: number) {
  const { nano_usd, millicredits, proposed_at, approved_at, declined_at, ...rest } = row;
  return {
    ...rest,
    amount: formatCredits(millicredits),
    amount_usd: formatUsd(nano_usd),
    state: stateOf(row, now),
    proposed_at: timeText(proposed_at),
    expires_at: timeText(proposed_at + LIMITS.reversalProposalMs),
    approved_at: approved_at === null ? null : timeText(approved_at),
    declined_at: declined_at === null ? null : timeText(declined_at),
  };
}
