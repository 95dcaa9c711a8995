/**
 * The desk where jobs come in: each is accepted or declined at once, run, claimed, and forgotten when the network has
 * answered for its claim.
 */

import type { Done, Job, RelayMessage } from "../../protocol/daemon/messages.ts";
import { chatRequest, engineRequest } from "../../protocol/openai/chat.ts";
import { composeClaim } from "../claims/claim.ts";
import type { ClaimStore } from "../claims/store.ts";
import type { Engine, EngineRequest } from "../engines/engine.ts";
import type { ServedModel } from "../engines/served-models.ts";
import type { Identity } from "../identity/key-file.ts";
import type { Log } from "../output/log.ts";
import type { Channel } from "./channel.ts";
import type { FlushParameters } from "./flush-policy.ts";
import { estimatePrompt } from "./prompt-estimate.ts";
import { type JobEnd, RunningJob } from "./running-job.ts";

export interface JobDeskOptions {
  readonly engine: Engine;
  readonly identity: Identity;
  readonly claims: ClaimStore;
  readonly log: Log;
  readonly slots: number;
  readonly now: () => number;
  /** The models that are offered at the moment, by catalog id. */
  readonly models: () => ReadonlyMap<string, ServedModel>;
  /** Called when the number of running jobs has changed. */
  readonly onLoad: (running: number) => void;
  /** The connection that is up now, for claims whose own has gone. */
  readonly channel: () => Channel | null;
}

interface Entry {
  readonly job: RunningJob;
  readonly channel: Channel;
  readonly ended: Promise<void>;
}

const keyOf = (channel: Channel, stream: number): string => `${channel.id}/${stream}`;

type Refusal = "draining" | "busy" | "unknown_model" | "not_loaded" | "claims_not_writable" | "stream_in_use";

export class JobDesk {
  readonly #options: JobDeskOptions;
  /** By connection and stream: a new connection may count its streams from the start. */
  readonly #running = new Map<string, Entry>();
  #draining = false;

  constructor(options: JobDeskOptions) {
    this.#options = options;
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
      const message = "The request is not a chat completion that this daemon understands.";
      channel.send({ type: "failed", stream: job.stream, code: "invalid_request", message });
      log.error("job_failed", { job: job.job, code: "invalid_request" });
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

  /** Sends every claim that waits for an answer: after each connect, without the streams, which are gone. */
  resend(channel: Channel): void {
    for (const claim of this.#options.claims.waiting) channel.send(claim);
  }

  /** Ends the jobs of a connection that has gone, or all of them: nothing that they sent can be claimed. */
  abort(channel?: Channel): void {
    for (const { job, channel: own } of this.#running.values()) {
      if (channel === undefined || own === channel) job.stop("aborted");
    }
  }

  /** Takes no more jobs; resolves when the running ones have ended. */
  async drain(): Promise<void> {
    this.#draining = true;
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  #refusal(job: Job, channel: Channel): Refusal | null {
    if (this.#draining) return "draining";
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
      channel.send({ type: "failed", stream: job.stream, code: end.code, message: end.message.slice(0, 512) });
      log.error("job_failed", { job: job.job, model: job.model, code: end.code, ms });
    } else {
      log.warning("job_aborted", { job: job.job, model: job.model, ms });
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
      this.#deliver(claim, job.stream, channel);
      return;
    }
    const message = "The daemon could not store its claim.";
    channel.send({ type: "failed", stream: job.stream, code: "claim_not_stored", message });
    log.error("job_failed", { job: job.job, model: job.model, code: "claim_not_stored", ms });
  }

  /** Sends a claim on the connection that its job came by, or by a later one without its stream. */
  #deliver(claim: Done, stream: number, channel: Channel): void {
    if (!channel.send({ ...claim, stream })) this.#options.channel()?.send(claim);
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
