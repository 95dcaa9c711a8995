import { createRoute } from "@hono/zod-openapi";
import { epochDay, epochOf } from "../../core/allotment/epochs.ts";
import { LIMITS } from "../../core/limits.ts";
import type { ServiceDay } from "../../protocol/internal/account.ts";
import { timeText } from "../../protocol/network/common.ts";
import {
  type ServiceLevelRow,
  serviceLevelsQuery,
  serviceLevels as serviceLevelsShape,
} from "../../protocol/network/service-levels.ts";
import { problem } from "../http.ts";
import { onAccount } from "../objects.ts";
import { answers, byKey, named, newApi, problems } from "./app.ts";

const DEFAULT_DAYS = 30;

const getServiceLevels = createRoute({
  method: "get",
  path: "/service-levels",
  tags: ["Account"],
  summary: "How long jobs in reserved slots waited",
  description:
    "The account's days of `dedicated`, oldest first: how long jobs waited in slots that packages reserve, measured once, a " +
    "quarter of an hour after the day's end. A day that missed its target extends every package that was live on it by a " +
    "day. `evidence` names what it was measured by: in the ledger, the entries from `first` to `last` that are receipts with " +
    "`reserved`, queued that day, or voids with `reserved` for `queue_timeout`. A wait begins at `reserved`. Whoever has " +
    "those entries can compute all of it again.",
  ...byKey,
  request: { query: serviceLevelsQuery },
  responses: { 200: answers(named("ServiceLevels", serviceLevelsShape), "The days."), ...problems },
});

export const serviceLevels = newApi();

serviceLevels.openapi(getServiceLevels, async (c) => {
  const { account, secretHash } = c.var.key;
  const { from } = c.req.valid("query");
  const first = from === undefined ? epochOf(Date.now()) - DEFAULT_DAYS : epochOf(Date.parse(from));
  const answer = await onAccount(c.env, account, (object) => object.serviceLevels({ secretHash }, first));
  if (!answer.ok) return problem(c, answer.refusal);
  const days = answer.value;
  const last = days.at(-1);
  const next = last === undefined || days.length < LIMITS.serviceDays ? null : epochDay(last.day + 1);
  return c.json({ data: days.map(rowOf), next }, 200);
});

function rowOf({ first, last, digest, ...day }: ServiceDay): ServiceLevelRow {
  return {
    day: epochDay(day.day),
    jobs: day.jobs,
    p95_ms: day.p95Ms,
    target_ms: day.targetMs,
    missed: day.missed,
    extended_until: day.extendedUntil === null ? null : timeText(day.extendedUntil),
    entry: day.seq,
    evidence: first === null || last === null ? null : { first, last, digest },
  };
}
