/** What a job is refused for as soon as it comes, by the daemons that its pool has. */

import { type Refusal, refuse } from "../errors.ts";
import type { DaemonId } from "../ids.ts";
import { couldServe } from "./choose.ts";
import type { Daemon } from "./daemon.ts";
import type { Departures } from "./departures.ts";
import type { WaitingJob } from "./waiting-job.ts";
import { whyNobody } from "./why-nobody.ts";

/** Whether one of the daemons could serve a job once it has a free slot. */
export function anyoneCould(daemons: Iterable<Daemon>, job: WaitingJob): boolean {
  for (const daemon of daemons) if (couldServe(daemon, job)) return true;
  return false;
}

/** In a pool that has daemons, a feature that none of them has; in one that has had them for a while, whatever none can serve. */
export function unmetAtOnce(
  daemons: ReadonlyMap<DaemonId, Daemon>,
  departures: Departures,
  job: WaitingJob,
): Refusal | null {
  // Whoever could serve it is found soon; all are asked only where nobody could.
  if (anyoneCould(daemons.values(), job)) return null;
  const here = [...daemons.values()];
  if (here.length > 0) {
    const missing = job.features.find(({ feature }) => !here.some(({ features }) => features.includes(feature)));
    if (missing !== undefined) return refuse("unsupported_parameter", { param: missing.param });
  }
  if (departures.mayBring(job, here, job.enqueuedAt)) return null;
  return whyNobody(here, job);
}
