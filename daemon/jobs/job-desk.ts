/**
 * The desk where jobs come in: each is accepted or declined at once, run, claimed, and forgotten when the network has
 * answered for its claim.
 */

import type { Job, RelayMessage } from "../../protocol/daemon/messages.ts";
import { chatRequest, engineRequest } from "../../protocol/openai/chat.ts";
import { composeClaim } from "../claims/claim.ts";
import { ClaimDelivery } from "../claims/delivery.ts";
import type { ClaimStore } from "../claims/store.ts";
import type { Engine, EngineRequest } from "../engines/engine.ts";
import type { ServedModel } from "../engines/served-models.ts";
import type { Identity } from "../identity/key-file.ts";
import type { Log } from "../output/log.ts";
import type { Channel } from "./channel.ts";
import type { FlushParameters } from "./flush-policy.ts";
import { LostJobs } from "./lost-jobs.ts";
import { estimatePrompt } from "./prompt-estimate.ts";
import { type JobEnd, RunningJob } from "./running-job.ts";

export interface JobDeskOptions {
  readonly engine: Engine;
  readonly identity: Identity;
  readonly claims: ClaimStore;
  readonly log: Log;
  readonly slots: number;
  readonly now: () => number;
  /** Whether jobs are taken at the moment. */
  readonly isOpen: () => boolean;
  /** The models that are offered at the moment, by catalog id. */
  readonly models: () => ReadonlyMap<string, ServedModel>;
  /** Called when the number of running jobs has changed. */
  readonly onLoad: (running: number) => void;
  /** The connection that is up now, for what has to be said of jobs whose own has gone. */
  readonly channel: () => Channel | null;
}

interface Entry {
  readonly job: RunningJob;
  readonly channel: Channel;
  readonly ended: Promise<void>;
}

const keyOf = (channel: Channel, stream: number): string => `${channel.id}/${stream}`;

type Refusal =
  | "draining"
  | "withdrawn"
  | "busy"
  | "unknown_model"
  | "not_loaded"
  | "claims_not_writable"
  | "stream_in_use";

export class JobDesk {
  readonly #options: JobDeskOptions;
  /** By connection and stream: a new connection may count its streams from the start. */
  readonly #running = new Map<string, Entry>();
  readonly #delivery: ClaimDelivery;
  readonly #lost: LostJobs;
  #draining = false;

  constructor(options: JobDeskOptions) {
    this.#options = options;
    this.#delivery = new ClaimDelivery(options.claims, options.now);
    this.#lost = new LostJobs(options.channel);
  }

  get running(): number {
    return this.#running.size;
  }

  /** Takes a job on, or declines it. */
  async take(job: Job, channel: Channel, flush: FlushParameters): Promise<void> {
    const { log, claims } = this.#options;
    // The reasons that need no disk come first, and nothing is awaited between the last check and the slot being taken.
    const refusal =
      this.#refusal(job, channel) ?? ((await claims.canWrite()) ? this.#refusal(job, channel) : "claims_not_writable");
    const model = this.#options.models().get(job.model);
    if (refusal !== null || model === undefined) {
      const reason = refusal ?? "unknown_model";
      channel.send({ type: "decline", stream: job.stream, reason });
      log.warning("job_declined", { job: job.job, model: job.model, reason });
      return;
    }
    if (!channel.send({ type: "accept", stream: job.stream })) return;
    const prepared = prepare(job, model);
    if (prepared === null) {
      this.#fail(job, channel, "invalid_request", "The request is not a chat completion that this daemon understands.");
      return;
    }
    const { engine, now } = this.#options;
    const running = new RunningJob({ job, ...prepared, engine, channel, flush, now });
    const ended = this.#run(job, running, channel);
    this.#running.set(keyOf(channel, job.stream), { job: running, channel, ended });
    this.#options.onLoad(this.running);
  }

  /** Passes a message about one stream, or about one claim, to where it belongs. */
  async handle(message: RelayMessage, channel: Channel): Promise<void> {
    switch (message.type) {
      case "cancel":
        this.#running.get(keyOf(channel, message.stream))?.job.stop("cancelled");
        break;
      case "pause":
        this.#running.get(keyOf(channel, message.stream))?.job.pause();
        break;
      case "resume":
        this.#running.get(keyOf(channel, message.stream))?.job.resume();
        break;
      case "resend":
        this.#delivery.sendAgain(message.job, channel);
        break;
      case "settled":
      case "refused": {
        await this.#answered(message);
        break;
      }
      default:
        break;
    }
  }

  /** The network has answered for a claim, so it need not be kept. */
  async #answered(message: RelayMessage & { type: "settled" | "refused" }): Promise<void> {
    const { claims, log } = this.#options;
    const removed = await claims.remove(message.job);
    if (message.type === "settled") {
      if (removed.length > 0) log.info("claim_settled", { job: message.job, ...message.receipt });
    } else if (removed.some(({ usage }) => usage.completion > 0)) {
      log.warning("claim_refused", { job: message.job, reason: message.reason });
    } else {
      // A job that was cancelled before its first token: there was nothing to be paid.
      log.info("claim_dropped", { job: message.job, reason: message.reason });
    }
  }

  /** After each connect: tells of the jobs that were lost, and sends every claim that waits for an answer. */
  resend(channel: Channel): void {
    this.#lost.tell();
    this.#delivery.sendAll(channel);
  }

  /** Sends the claims again whose answer is overdue although the connection lives. */
  resendOverdue(channel: Channel, overdueMs: number): void {
    this.#delivery.sendOverdue(channel, overdueMs);
  }

  /** Ends the jobs of a connection that has gone, or all of them: nothing that they sent can be claimed. */
  abort(channel?: Channel): void {
    for (const { job, channel: own } of this.#running.values()) {
      if (channel === undefined || own === channel) job.stop("aborted");
    }
  }

  /** Resolves when the network has answered for every claim, and was told of every lost job. */
  async settled(): Promise<void> {
    await Promise.all([this.#options.claims.empty(), this.#lost.empty()]);
  }

  /** Takes no more jobs; resolves when the running ones have ended. */
  async drain(): Promise<void> {
    this.#draining = true;
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  #refusal(job: Job, channel: Channel): Refusal | null {
    if (this.#draining) return "draining";
    if (!this.#options.isOpen()) return "withdrawn";
    const model = this.#options.models().get(job.model);
    if (model === undefined) return "unknown_model";
    if (!model.available) return "not_loaded";
    if (this.#running.has(keyOf(channel, job.stream))) return "stream_in_use";
    return this.#running.size >= this.#options.slots ? "busy" : null;
  }

  async #run(job: Job, running: RunningJob, channel: Channel): Promise<void> {
    const { log, now } = this.#options;
    const started = now();
    const end = await running.run();
    const ms = now() - started;
    if (end.type === "answered") {
      await this.#claim(job, end, channel, ms);
    } else if (end.type === "failed") {
      this.#fail(job, channel, end.code, end.message, ms);
    } else {
      log.warning("job_aborted", { job: job.job, model: job.model, ms });
      this.#lost.add(job);
    }
    this.#running.delete(keyOf(channel, job.stream));
    this.#options.onLoad(this.running);
  }

  async #claim(job: Job, end: JobEnd & { type: "answered" }, channel: Channel, ms: number): Promise<void> {
    const { claims, identity, log } = this.#options;
    const claim = composeClaim(job, end, identity);
    if (await claims.put(claim)) {
      const { prompt, completion } = claim.usage;
      log.info("job_done", { job: job.job, model: job.model, prompt, completion, finish: claim.finish_reason, ms });
      if (this.#delivery.send(claim, channel, job.stream)) return;
      const later = this.#options.channel();
      if (later !== null) this.#delivery.send(claim, later);
      return;
    }
    this.#fail(job, channel, "claim_not_stored", "The daemon could not store its claim.", ms);
  }

  /** Ends a job's stream without a claim; where its connection has gone, the next one is told. */
  #fail(job: Job, channel: Channel, code: string, message: string, ms?: number): void {
    this.#options.log.error("job_failed", { job: job.job, model: job.model, code, ms });
    const sent = channel.send({ type: "failed", stream: job.stream, code, message: message.slice(0, 512) });
    if (!sent) this.#lost.add(job);
  }
}

/** What the engine is asked; null when the body is no chat completion. */
function prepare(job: Job, model: ServedModel): { request: EngineRequest; promptEstimate: number } | null {
  const parsed = chatRequest.safeParse(job.request);
  if (!parsed.success) return null;
  const completionCap = parsed.data.max_completion_tokens ?? parsed.data.max_tokens ?? model.offered.context;
  const body = engineRequest(parsed.data, model.engineName, completionCap);
  const request = { body, choices: parsed.data.n ?? 1, completionCap };
  return { request, promptEstimate: estimatePrompt(parsed.data.messages) };
}
