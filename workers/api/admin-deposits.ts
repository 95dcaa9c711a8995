/** What operators see of deposits, and decide about those in suspense (economics.md §10). */

import { createRoute, z } from "@hono/zod-openapi";
import { refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { listResolutions, type ResolutionRow, stateOfResolution } from "../../db/deposit-resolutions.ts";
import { type DepositRow, listDeposits } from "../../db/deposits.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import { timeText } from "../../protocol/network/common.ts";
import {
  adminDepositPage,
  adminDepositQuery,
  adminDeposit as adminDepositShape,
  proposeResolution as proposeShape,
  resolutionId,
  resolutionPage,
  resolutionQuery,
  resolution as resolutionShape,
} from "../../protocol/network/deposit-resolutions.ts";
import { configOf } from "../config.ts";
import { approve, decline, proposeResolution } from "../deposits/desk.ts";
import { shownPayment } from "../deposits/intents.ts";
import { problem } from "../http.ts";
import { answers, byAdmin, byAdminWithJson, named, newApi, problems, takes } from "./app.ts";
import { BAD_CURSOR, readPlace, writePlace } from "./time-cursor.ts";

const resolution = named("DepositResolution", resolutionShape);
const adminDeposit = named("AdminDeposit", adminDepositShape);
const params = z.object({ id: resolutionId });
const tags = ["Operations"];

const getDeposits = createRoute({
  method: "get",
  path: "/admin/deposits",
  tags,
  summary: "Deposits of everybody",
  description: "What arrived at the treasury, newest first; `state=suspense` waits for two operators.",
  ...byAdmin,
  request: { query: adminDepositQuery },
  responses: {
    200: answers(adminDepositPage.extend({ data: z.array(adminDeposit) }), "A page of deposits."),
    ...problems,
  },
});

const postResolution = createRoute({
  method: "post",
  path: "/admin/deposits/{id}/resolutions",
  tags,
  summary: "Propose what becomes of a deposit",
  description:
    "For a deposit in suspense: to credit an account with it, or to note that it was paid back. Changes nothing until another " +
    "operator approves it within 7 days. The same `id` never proposes twice.",
  ...byAdminWithJson,
  request: { params: z.object({ id: z.string().regex(/^[0-9A-Za-z]{22}$/) }), body: takes(proposeShape) },
  responses: {
    200: answers(resolution, "It was proposed before."),
    201: answers(resolution, "The new proposal."),
    ...problems,
  },
});

const getResolutions = createRoute({
  method: "get",
  path: "/admin/deposit-resolutions",
  tags,
  summary: "Proposals for deposits",
  description: "What operators proposed for deposits in suspense and what became of it, newest first.",
  ...byAdmin,
  request: { query: resolutionQuery },
  responses: {
    200: answers(resolutionPage.extend({ data: z.array(resolution) }), "A page of proposals."),
    ...problems,
  },
});

const approveRoute = createRoute({
  method: "post",
  path: "/admin/deposit-resolutions/{id}/approve",
  tags,
  summary: "Approve what becomes of a deposit",
  description:
    "Carries out what another operator proposed. Approving twice credits once; where the first call broke off, the next one " +
    "finishes it.",
  ...byAdmin,
  request: { params },
  responses: { 200: answers(resolution, "The proposal, carried out."), ...problems },
});

const declineRoute = createRoute({
  method: "post",
  path: "/admin/deposit-resolutions/{id}/decline",
  tags,
  summary: "Decline what was proposed for a deposit",
  description:
    "Closes an open proposal for good; who made it may take it back so too. Declining twice changes nothing.",
  ...byAdmin,
  request: { params },
  responses: { 200: answers(resolution, "The declined proposal."), ...problems },
});

export const adminDeposits = newApi();

adminDeposits.openapi(getDeposits, async (c) => {
  const { state, cursor, limit = LIMITS.pageRows } = c.req.valid("query");
  const after = cursor === undefined ? undefined : readPlace(cursor);
  if (after === null) return problem(c, BAD_CURSOR);
  const filter = {
    limit,
    ...(state === undefined ? {} : { states: [state] }),
    ...(after === undefined ? {} : { after }),
  };
  const rows = await listDeposits(c.env.DB, filter);
  const oldest = rows.at(-1);
  const next = oldest === undefined || rows.length < limit ? null : writePlace({ at: oldest.seen_at, id: oldest.id });
  return c.json({ data: rows.map(shownDeposit), next }, 200);
});

adminDeposits.openapi(postResolution, async (c) => {
  const { operator, requestId } = c.var;
  if (configOf(c.env).operators.length < 2) {
    const detail = "This network has one operator, and it takes two.";
    return problem(c, refuse("second_operator_needed", { detail }));
  }
  const now = Date.now();
  const body = c.req.valid("json");
  const { id, action, reason } = body;
  const account = body.action === "credit" ? body.account : null;
  const proposal = { id, deposit: c.req.valid("param").id, action, account, reason };
  const proposed = await proposeResolution(c.env.DB, proposal, operator, now);
  if (!proposed.ok) return problem(c, proposed.refusal);
  const { row, added } = proposed.value;
  if (added) emit("deposit_resolution_proposed", { ...eventFields(row), operator, request_id: requestId });
  return c.json(shownResolution(row, now), added ? 201 : 200);
});

adminDeposits.openapi(getResolutions, async (c) => {
  const { state, cursor, limit = LIMITS.pageRows } = c.req.valid("query");
  const after = cursor === undefined ? undefined : readPlace(cursor);
  if (after === null) return problem(c, BAD_CURSOR);
  const now = Date.now();
  const filter = { limit, ...(state === undefined ? {} : { state }), ...(after === undefined ? {} : { after }) };
  const rows = await listResolutions(c.env.DB, now, filter);
  const oldest = rows.at(-1);
  const next =
    oldest === undefined || rows.length < limit ? null : writePlace({ at: oldest.proposed_at, id: oldest.id });
  return c.json({ data: rows.map((row) => shownResolution(row, now)), next }, 200);
});

adminDeposits.openapi(approveRoute, async (c) => {
  const { operator, requestId } = c.var;
  const now = Date.now();
  const approved = await approve(c.env, c.req.valid("param").id, operator, now);
  if (!approved.ok) return problem(c, approved.refusal);
  emit("deposit_resolution_approved", { ...eventFields(approved.value), operator, request_id: requestId });
  return c.json(shownResolution(approved.value, now), 200);
});

adminDeposits.openapi(declineRoute, async (c) => {
  const { operator, requestId } = c.var;
  const now = Date.now();
  const declined = await decline(c.env.DB, c.req.valid("param").id, operator, now);
  if (!declined.ok) return problem(c, declined.refusal);
  emit("deposit_resolution_declined", { ...eventFields(declined.value), operator, request_id: requestId });
  return c.json(shownResolution(declined.value, now), 200);
});

/** What events call a proposal. */
function eventFields({ id, deposit, action, account, proposed_by, approved_by }: ResolutionRow) {
  return { resolution: id, deposit, action, account, proposed_by, approved_by };
}

function shownDeposit(row: DepositRow) {
  const { account, intent, seen_at, resolution: by } = row;
  return { ...shownPayment(row), account, intent, seen_at: timeText(seen_at), resolution: by };
}

function shownResolution(row: ResolutionRow, now: number) {
  const { proposed_at, approved_at, declined_at, ...rest } = row;
  return {
    ...rest,
    state: stateOfResolution(row, now),
    proposed_at: timeText(proposed_at),
    expires_at: timeText(proposed_at + LIMITS.depositProposalMs),
    approved_at: approved_at === null ? null : timeText(approved_at),
    declined_at: declined_at === null ? null : timeText(declined_at),
  };
}
