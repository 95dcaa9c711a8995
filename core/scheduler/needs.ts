/** What a job needs of a daemon, as a text: jobs with the same one can be served by the same daemons. */

import type { AccountId } from "../ids.ts";
import type { QueuedJob } from "./waiting-job.ts";

/**
 * What a pool must know to tell jobs apart: contexts that its daemons have, ascending, as two jobs between the same two
 * can be served by the same ones; and which accounts provide here, as nobody serves its own jobs.
 */
export interface Vocabulary {
  readonly contexts: readonly number[];
  readonly provides: (account: AccountId) => boolean;
}

export function haveSame(contexts: readonly number[], before: readonly number[]): boolean {
  return contexts.length === before.length && contexts.every((context, index) => context === before[index]);
}

/** The text of a job's needs. It holds as long as the pool's vocabulary is the same. */
export function needsOf(job: QueuedJob, { contexts, provides }: Vocabulary): string {
  const {
    flow,
    network,
    account,
    rate,
    maxRate,
    maxPrice,
    unbacked,
    allotment,
    quantizations,
    only,
    excluded,
    ignore,
    features,
  } = job;
  const context = contexts.findIndex((most) => most >= job.context);
  const text = `${flow.lane} ${network} ${context} ${unbacked} ${rateText(rate)} ${rateText(maxRate)} ${maxPrice}`;
  const capped = allotment !== null && allotment.paid.length > 0;
  const narrow =
    capped ||
    quantizations !== null ||
    only !== null ||
    excluded.length > 0 ||
    ignore.length > 0 ||
    features.length > 0 ||
    provides(account);
  if (!narrow) return text;
  const own = capped || provides(account) ? account : null;
  const payees = capped ? allotment : null;
  const names = features.map(({ feature }) => feature);
  return text + JSON.stringify([own, payees, quantizations, only, excluded, ignore, names]);
}

function rateText({ completion, prompt, per }: QueuedJob["rate"]): string {
  return `${completion}/${prompt}/${per}`;
}
