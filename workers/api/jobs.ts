import { createRoute, z } from "@hono/zod-openapi";
import type { Scope } from "../../core/account/scopes.ts";
import { type Refusal, refuse } from "../../core/errors.ts";
import type { JobId } from "../../core/ids.ts";
import type { ReceiptBody } from "../../core/receipt/body.ts";
import type { ApiKey } from "../../protocol/api-key.ts";
import { jobId } from "../../protocol/ids.ts";
import type { JobRecord } from "../../protocol/internal/account.ts";
import type { PoolJob } from "../../protocol/internal/pool.ts";
import { timeText } from "../../protocol/network/common.ts";
import { cancelledJob, type JobState, job as jobShape } from "../../protocol/network/jobs.ts";
import { configOf } from "../config.ts";
import { problem } from "../http.ts";
import { onAccount, onSchedulers } from "../objects.ts";
import { placeOf } from "../regions.ts";
import { answers, byKey, named, newApi, problems } from "./app.ts";

const params = z.object({ id: jobId });

const getJob = createRoute({
  method: "get",
  path: "/jobs/{id}",
  tags: ["Jobs"],
  summary: "Where a job is",
  description:
    "Its state, its place in the queue while it waits, and how it ended. The id is the `x-job-id` of the answer.",
  ...byKey,
  request: { params },
  responses: { 200: answers(named("Job", jobShape), "The job."), ...problems },
});

const deleteJob = createRoute({
  method: "delete",
  path: "/jobs/{id}",
  tags: ["Jobs"],
  summary: "Cancel a job",
  description:
    "Takes a job out of the queue, or stops it while it runs; what was answered by then is charged. A job that has ended " +
    "stays as it is, and the answer says that nothing was cancelled.",
  ...byKey,
  request: { params },
  responses: { 200: answers(cancelledJob, "Whether it was cancelled."), ...problems },
});

export const jobs = newApi();

jobs.openapi(getJob, async (c) => {
  const { id } = c.req.valid("param");
  const found = await findJob(c.env, c.var.key, id, "inference", "read");
  if ("refusal" in found) return problem(c, found.refusal);
  const pool = found.record.type === "open" ? await placeOf(c.env, configOf(c.env), found.record.model, id) : null;
  return c.json({ ...shownJob(found.record, pool), id }, 200);
});

jobs.openapi(deleteJob, async (c) => {
  const { id } = c.req.valid("param");
  const found = await findJob(c.env, c.var.key, id, "inference");
  if ("refusal" in found) return problem(c, found.refusal);
  const { record } = found;
  if (record.type !== "open") return c.json({ id, cancelled: false }, 200);
  const stopped = await onSchedulers(c.env, configOf(c.env), record.model, (scheduler) => scheduler.cancel(id));
  const cancelled = stopped.includes(true);
  return c.json({ id, cancelled }, 200);
});

type KnownJob = Exclude<JobRecord, { type: "unknown" }>;

async function findJob(
  env: Env,
  key: ApiKey,
  id: JobId,
  ...scopes: readonly Scope[]
): Promise<{ record: KnownJob } | { refusal: Refusal }> {
  const { account, secretHash } = key;
  const answer = await onAccount(env, account, (object) => object.job({ secretHash }, id, scopes));
  if (!answer.ok) return answer;
  return answer.value.type === "unknown" ? { refusal: refuse("job_not_found") } : { record: answer.value };
}

const NOTHING = { model: null, position: null, eta_ms: null, daemon: null, receipt: null, reason: null } as const;

function shownJob(record: KnownJob, pool: PoolJob | null) {
  const at = timeText(record.at);
  if (record.type === "open") return { ...NOTHING, ...shownPlace(pool), model: record.model, at };
  if (record.type === "posted") {
    const { job, outcome, model, daemon } = JSON.parse(record.body) as ReceiptBody;
    const state: JobState = outcome;
    return { ...NOTHING, state, model, daemon, receipt: `/api/v1/receipts/${job}`, at };
  }
  const reason = record.type === "refused" ? record.refusal.message : record.reason;
  return { ...NOTHING, state: record.type, reason, at };
}

function shownPlace(pool: PoolJob | null): {
  state: JobState;
  position?: number;
  eta_ms?: number | null;
  daemon?: string;
} {
  if (pool?.type === "queued") return { state: "queued", position: pool.position, eta_ms: pool.etaMs };
  if (pool?.type === "running") return { state: "running", daemon: pool.daemon };
  return { state: "pending" };
}
