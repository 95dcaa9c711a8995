/** The daemon's signed word on what it did (interfaces.md §4). */

import { claimBytes } from "../../core/receipt/claim.ts";
import type { Done, Job } from "../../protocol/daemon/messages.ts";
import type { Identity } from "../identity/key-file.ts";
import type { JobEnd } from "../jobs/running-job.ts";

/** The `done` message of an answered job, as it is stored: it names no stream, since streams end with their connection. */
export function composeClaim(job: Job, end: JobEnd & { type: "answered" }, identity: Identity): Done {
  const digest = { request: job.request_digest, response: end.digest, salt: job.salt };
  const claim = { job: job.job, fence: job.fence, model: job.model, usage: end.usage, digest };
  return {
    type: "done",
    ticket: job.ticket,
    ...claim,
    ...reasonsOf(end.finishReasons),
    signature: identity.sign(claimBytes({ ...claim, daemon: identity.id })),
  };
}

/** A single choice's reason is said once. */
function reasonsOf(reasons: (JobEnd & { type: "answered" })["finishReasons"]) {
  const [first = "stop"] = reasons;
  return { finish_reason: first, ...(reasons.length > 1 ? { finish_reasons: [...reasons] } : {}) };
}
