/** Checks that daemons failed, and the receipts that were taken back for it (economics.md §9). */

import { createRoute, z } from "@hono/zod-openapi";
import type { DaemonId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { formatCredits, formatUsd, type Millicredits, type NanoUsd } from "../../core/units.ts";
import { type CheckSummary, listChecks, stateOfCheck } from "../../db/checks.ts";
import { checkPage, checkQuery, failedCheck as failedCheckShape } from "../../protocol/network/checks.ts";
import { timeText } from "../../protocol/network/common.ts";
import { answers, byAdmin, named, newApi, problems } from "./app.ts";

const failedCheck = named("FailedCheck", failedCheckShape);

const getChecks = createRoute({
  method: "get",
  path: "/admin/checks",
  tags: ["Operations"],
  summary: "Checks that daemons failed",
  description:
    "Each with what became of the daemon's other receipts of that model, which are taken back unless they are settled. In " +
    "order of their jobs, newest first.",
  ...byAdmin,
  request: { query: checkQuery },
  responses: {
    200: answers(checkPage.extend({ data: z.array(failedCheck) }), "A page of failed checks."),
    ...problems,
  },
});

export const checks = newApi();

checks.openapi(getChecks, async (c) => {
  const { cursor, limit = LIMITS.pageRows } = c.req.valid("query");
  const page = await listChecks(c.env.DB, { limit, ...(cursor === undefined ? {} : { before: cursor }) });
  const next = page.length < limit ? null : (page.at(-1)?.job ?? null);
  return c.json({ data: page.map(shown), next }, 200);
});

function shown(check: CheckSummary): z.output<typeof failedCheckShape> {
  const { job, name, daemon, model, provider, at, due, reversed, already_reversed, refused } = check;
  return {
    job,
    check: name,
    daemon: daemon as DaemonId,
    model,
    provider,
    failed_at: timeText(at),
    state: stateOfCheck(check),
    due,
    reversed,
    already_reversed,
    refused,
    amount: formatCredits(check.reversed_millicredits as Millicredits),
    amount_usd: formatUsd(check.reversed_nano_usd as NanoUsd),
  };
}
