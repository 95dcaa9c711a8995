/**
 * Probes: jobs whose answers are known, given to a daemon as if they were a user's (economics.md §9). Nobody pays for one and
 * nobody earns by it, so it has neither hold nor receipt.
 */

import type { Charge } from "../../core/account/resolve.ts";
import { base62, type Pseudonym } from "../../core/ids.ts";
import type { Lane } from "../../core/lanes.ts";
import { HOLD_GRACE_MS, HOLD_SLA_MS, LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import { composeReceipt } from "../../core/receipt/body.ts";
import { bytesToHex, utf8ToBytes } from "../../core/receipt/canonical.ts";
import type { Effect } from "../../core/routing/ending.ts";
import type { ProbeResult } from "../../core/routing/quarantine.ts";
import { GENESIS_PEG, type Millicredits, type NanoUsd } from "../../core/units.ts";
import type { RelayJob } from "../../protocol/internal/job.ts";
import type { ProbeOrder, Registration } from "../../protocol/internal/pool.ts";
import { sha256Hex } from "../shared/hash.ts";
import type { JobStream } from "./job-stream.ts";
import { PROBE_ENDED } from "./late-claim.ts";
import type { StreamBase, StreamHost } from "./stream-host.ts";

/** A request with the texts that begin a right answer to it. None: any answer is right that came with a claim that holds. */
interface KnownAnswer {
  readonly request: Readonly<Record<string, unknown>>;
  readonly answers: readonly string[];
  readonly lane: Lane;
  readonly minBytesPerTokenHundredths: number;
}

/** What models are asked for which nobody has recorded an answer. */
const SMALL_TALK = [
  "What is a good name for a cat?",
  "Tell me something about the sea.",
  "How do I cook rice?",
  "Write one sentence about autumn.",
];
const SMALL_TALK_TOKENS = 24;

const FREE: Charge = { nanoUsd: 0 as NanoUsd, parts: [], draws: [], peg: GENESIS_PEG };
const NO_CHAIN = { seq: 0, head: "" };

/** What a probe needs of its relay. */
export interface ProbeParts {
  readonly db: D1Database;
  readonly parameters: Parameters;
  /** What the daemon offers for the model, or null where it does not, or is not connected. */
  registration(): Registration | null;
  ticketOf(job: RelayJob): Promise<string>;
  /** Gives the job to the daemon; null where that has gone. `ended` hears how it ended. */
  start(job: RelayJob, ticket: string, ended: (effect: Effect) => void): JobStream | null;
}

/** Runs a probe to its end, and says what it showed. */
export async function runProbe(order: ProbeOrder, parts: ProbeParts): Promise<ProbeResult> {
  const known = await drawProbe(parts.db, order.model);
  const registration = parts.registration();
  if (known === null || registration === null) return "nothing";
  const job = probeJob(order, registration, known, parts.parameters, Date.now());
  const ticket = await parts.ticketOf(job);
  const ended = Promise.withResolvers<Effect>();
  const stream = parts.start(job, ticket, ended.resolve);
  return stream === null ? "nothing" : await judged(stream, ended.promise, known.answers);
}

/** One of a model's known answers, drawn at random; null for a model that the catalog does not have. */
async function drawProbe(db: D1Database, model: string): Promise<KnownAnswer | null> {
  const row = await db
    .prepare(
      `SELECT models.lanes, models.min_bytes_per_token_hundredths AS bytes, probes.request, probes.answers
       FROM models LEFT JOIN probes ON probes.model = models.id WHERE models.id = ? ORDER BY random() LIMIT 1`,
    )
    .bind(model)
    .first<{ lanes: string; bytes: number; request: string | null; answers: string | null }>();
  if (row === null) return null;
  const lane = (JSON.parse(row.lanes) as Lane[]).find((each) => each !== "private") ?? "public";
  const content = SMALL_TALK[Math.floor(Math.random() * SMALL_TALK.length)];
  const smallTalk = { model, messages: [{ role: "user", content }], max_completion_tokens: SMALL_TALK_TOKENS };
  return {
    request: row.request === null ? smallTalk : (JSON.parse(row.request) as Record<string, unknown>),
    answers: row.answers === null ? [] : (JSON.parse(row.answers) as string[]),
    lane,
    minBytesPerTokenHundredths: row.bytes,
  };
}

/** The job that a daemon is given for a probe. It differs from a user's in nothing that the daemon can see. */
function probeJob(
  { job, fence, model }: ProbeOrder,
  { daemon, relay, provider, quantization, context }: Registration,
  { request, lane, minBytesPerTokenHundredths }: KnownAnswer,
  parameters: Parameters,
  now: number,
): RelayJob {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  return {
    job,
    account: provider,
    consumer: base62(crypto.getRandomValues(new Uint8Array(16))) as Pseudonym,
    lane,
    model,
    network: null,
    grant: {
      relay,
      daemon,
      provider,
      quantization,
      fence,
      terms: { rate: { completion: 0, prompt: 0, per: 1 }, floor: null },
      auction: { asks: 0, winning_ask: null, second_ask: null },
      record: null,
      dispatchedAt: now,
      leaseUntil: now + LIMITS.leaseMs,
    },
    race: null,
    hold: {
      promptBound: context,
      completionCap: Number(request.max_completion_tokens),
      expiresAt: now + parameters.queueLimitMs + HOLD_SLA_MS + HOLD_GRACE_MS,
    },
    queuedAt: now,
    firstDispatchedAt: now,
    minBytesPerTokenHundredths,
    salt: bytesToHex(salt),
    requestDigest: sha256Hex(salt, utf8ToBytes(JSON.stringify(request))),
    request,
    choices: 1,
    stream: false,
    includeUsage: false,
  };
}

/** What a stream of a probe needs: it posts nothing, and its daemon is told that nothing came of it. */
export function probeHost(base: StreamBase, ended: (effect: Effect) => void): StreamHost {
  return {
    ...base,
    post: async (facts) => {
      // No account has it, and nobody is ever shown it: the stream ends by it as by any receipt.
      const body = JSON.stringify(composeReceipt(facts, undefined, FREE, NO_CHAIN));
      return { type: "posted", body, seq: 0, remaining: 0 as Millicredits };
    },
    void: async () => {},
    win: async () => true,
    acknowledge: async (receipt) => {
      if (receipt !== null) base.send({ type: "refused", job: receipt.body.job, reason: PROBE_ENDED });
    },
    report: (report) => (report.type === "ended" ? ended(report.effect) : undefined),
  };
}

/** Lets a stream run to its end, or for as long as a probe may take, and judges its answer. */
async function judged(stream: JobStream, ended: Promise<Effect>, answers: readonly string[]): Promise<ProbeResult> {
  const timer = setTimeout(() => stream.cancel(), LIMITS.probeMs);
  try {
    const [effect, response] = await Promise.all([ended, stream.response]);
    if (effect === "failed_verification") return effect;
    if (effect === "declined") return "nothing";
    // Also one that was still at it when its time was over.
    if (effect !== "up" && effect !== "flagged") return "failed";
    const { choices } = await response.json<{ choices: { message: { content: string | null } }[] }>();
    const text = choices[0]?.message.content ?? "";
    return answers.length === 0 || answers.some((answer) => text.startsWith(answer)) ? "passed" : "failed";
  } finally {
    clearTimeout(timer);
  }
}
