/** What a daemon is given of a job. A probe is given in the same words. */

import type { RelayMessage } from "../../protocol/daemon/messages.ts";
import type { RelayJob } from "../../protocol/internal/job.ts";

export function jobMessage(
  { job, grant, lane, model, salt, requestDigest, request }: RelayJob,
  { id, deadline }: { readonly id: number; readonly deadline: number },
  ticket: string,
): RelayMessage {
  return {
    type: "job",
    stream: id,
    job,
    fence: grant.fence,
    lane,
    model,
    ticket,
    salt,
    request_digest: requestDigest,
    deadline,
    request,
  };
}
