/** One attempt at a job: a grant, and the answer of its relay, which may be given up. */

import { refuse } from "../../core/errors.ts";
import { emitError } from "../../durable-objects/shared/events.ts";
import { relayStub } from "../../durable-objects/shared/places.ts";
import type { Grant, RelayJob, RelayRefusal } from "../../protocol/internal/job.ts";
import { RELAY_RESULT } from "../../protocol/internal/job.ts";

/** How an attempt ended, as far as the gateway is concerned: with the consumer's answer, or with a refusal. */
export type AttemptEnd =
  | { readonly type: "answered"; readonly attempt: Attempt; readonly response: Response }
  | { readonly type: "refused"; readonly attempt: Attempt; readonly answer: RelayRefusal };

export interface Attempt {
  readonly grant: Grant;
  /** The race that it runs in; null until another attempt may run beside it. */
  race: number | null;
  /** When another daemon is asked beside this one, or asked again; milliseconds since 1970. */
  besideAt: number;
  /** Rejects where the consumer has left, or the attempt was given up. */
  readonly end: Promise<AttemptEnd>;
  /** Gives it up: its relay hears that nobody listens any more. */
  giveUp(): void;
}

/** Brings a granted job to its relay. */
export function begin(env: Env, job: RelayJob, signal: AbortSignal, besideAt: number): Attempt {
  const stop = new AbortController();
  const { grant, race } = job;
  const end = askRelay(env, job, AbortSignal.any([signal, stop.signal])).then(
    async (response): Promise<AttemptEnd> =>
      response.headers.get(RELAY_RESULT) === "refused"
        ? { type: "refused", attempt, answer: await response.json<RelayRefusal>() }
        : { type: "answered", attempt, response },
  );
  // Whoever gives it up does not wait for it.
  end.catch(() => {});
  const attempt: Attempt = { grant, race, besideAt, end, giveUp: () => stop.abort() };
  return attempt;
}

/** A relay that breaks before it answers has shown the consumer nothing, so the job may move on. */
async function askRelay(env: Env, job: RelayJob, signal: AbortSignal): Promise<Response> {
  try {
    return await relayStub(env, job.grant.relay).fetch("https://relay/job", {
      method: "POST",
      body: JSON.stringify(job),
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw error;
    emitError("relay_failed", error, { job: job.job, relay: job.grant.relay });
    const refusal: RelayRefusal = { refusal: refuse("provider_failed"), move: true, resolved: false };
    return Response.json(refusal, { status: 409, headers: { [RELAY_RESULT]: "refused" } });
  }
}
