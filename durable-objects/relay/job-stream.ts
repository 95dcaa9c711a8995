import { type Refusal, refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Outcome } from "../../core/outcome.ts";
import type { Tokens } from "../../core/pricing.ts";
import { hexToBytes } from "../../core/receipt/canonical.ts";
import type { ClaimCheck } from "../../core/receipt/checks.ts";
import { ResponseDigest } from "../../core/receipt/digest.ts";
import { type Ending, effectOf } from "../../core/routing/ending.ts";
import type { SpeedSample } from "../../core/routing/speed.ts";
import type { Frame } from "../../protocol/daemon/frames.ts";

import type { Done } from "../../protocol/daemon/messages.ts";
import type { RelayJob } from "../../protocol/internal/job.ts";
import type { JobReport, RunningJob } from "../../protocol/internal/pool.ts";

import { structuredDelta } from "../../protocol/openai/chat.ts";
import { emitError } from "../shared/events.ts";
import { type AnswerSink, refusedJob } from "./answer.ts";
import { CollectedAnswer } from "./collected-answer.ts";

import { Contest } from "./contest.ts";
import { CAUSED_BY_REQUEST, type Cut, deadlineOf, failureOf, finishReasons, outcomeOf } from "./endings.ts";
import { Pace } from "./pace.ts";
import { Pauses } from "./pauses.ts";
import { failedCheck, type Observed, settle } from "./settlement.ts";
import type { StreamHost } from "./stream-host.ts";
import { StreamedAnswer } from "./streamed-answer.ts";

type EndResult = Extract<JobReport, { type: "ended" }>["result"];
type Stage = "offered" | "running" | "cancelling" | "settling" | "ended";
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * One job on one daemon. Stages: `offered` (the daemon has it) → `running` (accepted) → `settling` (its claim came) →
 * `ended`; a stream that is cut goes through `cancelling`, where it waits for the claim. Every change of stage goes
 * through {@link JobStream.#enter}. Before the first token the job may move to another daemon, or another one be asked
 * beside this one; after it the consumer has the stream, and the relay alone ends its hold (economics.md §6).
 */
export class JobStream {
  readonly job: RelayJob;
  readonly id: number;
  /** What the gateway is answered with. */
  readonly response: Promise<Response>;
  readonly #host: StreamHost;
  readonly #answer: AnswerSink;
  readonly #deliver: (response: Response) => void;
  readonly #digest: ResponseDigest;
  readonly #contest: Contest;
  readonly #pauses = new Pauses();
  readonly #deadline: number;
  #stage: Stage = "offered";
  #stageAt: number;
  #acceptedAt = 0;
  #cut: Cut | null = null;
  readonly #pace = new Pace();
  /** What it has been for the daemon's score so far. */
  #ending: Ending = "unjudged";
  #speed: SpeedSample | null = null;
  #framed = 0;
  #relayedBytes = 0;
  #lastWriteAt: number;
  #reported = false;

  constructor(job: RelayJob, id: number, host: StreamHost, now: number) {
    this.job = job;
    this.id = id;
    this.#host = host;
    this.#stageAt = now;
    this.#lastWriteAt = now;
    this.#deadline = deadlineOf(job, host.parameters);
    this.#digest = new ResponseDigest(hexToBytes(job.salt), job.choices);
    this.#contest = new Contest(job.race, {
      win: (race) => host.win(race),
      won: () => this.#arm(),
      lost: () => this.#stopLost(),
    });
    const { promise, resolve } = Promise.withResolvers<Response>();
    this.response = promise;
    this.#deliver = resolve;
    const head = {
      id: `chatcmpl-${job.job}`,
      created: Math.floor(job.queuedAt / 1_000),
      model: job.model,
      choices: job.choices,
    };
    this.#answer = job.stream
      ? new StreamedAnswer(head, job.includeUsage, resolve, () => this.#drained(), host.dueTimes)
      : new CollectedAnswer(head, resolve);
    this.#arm();
  }

  /** When the daemon should be done: a moment before the relay would cut it. */
  get deadline(): number {
    return this.#deadline - LIMITS.daemonDeadlineMarginMs;
  }

  get #firstTokenAt(): number | null {
    return this.#pace.firstTokenAt;
  }

  /** The lease that it runs under, as its pool knows it. */
  get lease(): RunningJob {
    const { job, account, grant, lane } = this.job;
    return { job, fence: grant.fence, daemon: grant.daemon, account, lane, race: this.#contest.race };
  }

  get isSettling(): boolean {
    return this.#stage === "settling";
  }

  accept(): void {
    if (this.#stage !== "offered") return;
    this.#acceptedAt = Date.now();
    this.#enter("running");
  }

  /** Whether the daemon may still give the job back, or another one be asked beside it. */
  get #isUntouched(): boolean {
    return this.#stage === "offered" || (this.#stage === "running" && this.#firstTokenAt === null);
  }

  /**
   * Another attempt may begin beside this one, which from now on has to win before it shows anything. False where it has
   * begun to answer, or has ended.
   */
  contest(): boolean {
    if (!this.#isUntouched || this.#contest.isAsking) return false;
    this.#contest.begin(this.job.grant.fence);
    return true;
  }

  /** Another attempt has won. */
  lose(): void {
    if (this.#isUntouched) this.#contest.lose();
  }

  /** Ends an attempt that was slower than another one: it costs nothing, and the hold is the other one's. */
  #stopLost(): void {
    this.#host.send({ type: "cancel", stream: this.id });
    this.#leave("lost", "outrun", refuse("provider_failed", { detail: "Another provider was faster." }), true);
  }

  /** The daemon does not take the job: nothing was served, another may be asked. */
  decline(ending: Ending = "declined"): void {
    if (this.#contest.isAsking && this.#contest.holdsBack(() => this.decline(ending))) return;
    if (this.#isUntouched)
      this.#leave("declined", ending, refuse("provider_failed", { detail: "The provider declined." }), true);
  }

  /** Relays a frame. Says what is wrong with one that cannot be: it then ends the job as the daemon's failure. */
  frame(frame: Frame): void {
    const { kind, choice, tokens, payload } = frame;
    this.accept();
    if (this.#stage !== "running" && this.#stage !== "cancelling") return;
    if (payload.length === 0) return;
    if (this.#contest.holdsBack(() => this.frame(frame), payload.length)) return;
    try {
      this.#digest.update(kind, choice, payload);
      const text = decoder.decode(payload);
      const delta = kind === 1 ? structuredDelta.parse(JSON.parse(text)) : null;
      if (this.#stage !== "running") return;
      if (this.#firstTokenAt === null) this.#answer.begin();
      this.#pace.frame(tokens, Date.now());
      this.#framed += tokens;
      this.#relayedBytes += payload.length;
      if (delta === null) this.#answer.text(choice, text);
      else this.#answer.structured(choice, delta);
    } catch {
      this.#host.send({ type: "error", code: "malformed_frame", message: refuse("malformed_frame").message });
      this.#host.send({ type: "cancel", stream: this.id });
      this.fail("malformed_frame");
      return;
    }
    this.#lastWriteAt = Date.now();
    const pending = this.#answer.pendingBytes;
    if (pending > LIMITS.streamMostBytes || this.#isTooLarge()) this.#stop("bound");
    else if (pending > LIMITS.streamHighWaterBytes) this.#pause();
  }

  /** An answer that is collected stays in memory whole. */
  #isTooLarge(): boolean {
    return !this.job.stream && this.#relayedBytes > LIMITS.collectedAnswerBytes;
  }

  #pause(): void {
    if (this.#pauses.isOn) return;
    this.#pauses.begin(Date.now());
    this.#host.send({ type: "pause", stream: this.id });
  }

  #drained(): void {
    if (!this.#pauses.isOn || this.#answer.pendingBytes > LIMITS.streamLowWaterBytes) return;
    this.#pauses.end(Date.now());
    this.#host.send({ type: "resume", stream: this.id });
  }

  /** The daemon says that it cannot go on, or has gone. What the request itself caused is not tried elsewhere. */
  fail(code: string): void {
    if (this.#stage === "settling" || this.#stage === "ended") return;
    if (this.#contest.isAsking && this.#contest.holdsBack(() => this.fail(code))) return;
    if (this.#stage === "cancelling") {
      this.#run(this.#release("daemon_gone_after_cancel", "failed"));
      return;
    }
    if (this.#firstTokenAt !== null) {
      this.#run(this.#settle("failed", null));
      return;
    }
    const caused = CAUSED_BY_REQUEST[code];
    const ending = caused === undefined ? "failed_unstarted" : "refused";
    this.#leave("failed", ending, caused ?? refuse("provider_failed"), caused === undefined);
  }

  /** The consumer has gone, or asked to stop. */
  cancel(): void {
    if (this.#isUntouched && this.#contest.holdsBack(() => this.cancel())) return;
    if (this.#stage === "offered" || (this.#stage === "running" && this.#isFree())) {
      this.#host.send({ type: "cancel", stream: this.id });
      this.#run(this.#release("cancelled_free", "cancelled"));
      return;
    }
    if (this.#stage === "running") this.#stop("consumer");
  }

  /** Before the first token and within a second ◆ of acceptance a cancel costs nothing. */
  #isFree(): boolean {
    return this.#firstTokenAt === null && Date.now() - this.#acceptedAt < this.#host.parameters.freeCancelMs;
  }

  #stop(cut: Cut): void {
    this.#cut = cut;
    this.#enter("cancelling");
    this.#host.send({ type: "cancel", stream: this.id });
  }

  /** The daemon's claim: checked against what was relayed, posted, and answered with usage and cost. */
  done(done: Done): void {
    this.accept();
    if (this.#stage !== "running" && this.#stage !== "cancelling") return;
    if (this.#contest.holdsBack(() => this.done(done))) return;
    this.#enter("settling");
    const settled = failedCheck(this.job, done, this.#observed()).then((failed) =>
      this.#settle(failed === null ? outcomeOf(this.#cut) : "unverified", done, failed),
    );
    this.#run(settled);
  }

  /** What breaks while a job is settled ends its stream; its claim stays with the daemon, which brings it again. */
  #run(work: Promise<void>): void {
    work.catch((error: unknown) => {
      emitError("settlement_gave_up", error, { job: this.job.job });
      this.#ending = "unjudged";
      this.#close(refuse("internal_error"), "failed", null);
    });
  }

  #observed(): Observed {
    return {
      framed: this.#framed,
      relayedBytes: this.#relayedBytes,
      responseDigest: this.#digest.hex(),
      firstTokenAt: this.#firstTokenAt,
    };
  }

  async #settle(outcome: Outcome, done: Done | null, failed: ClaimCheck | null = null): Promise<void> {
    this.#enter("settling");
    const end = await settle(this.#host, this.job, outcome, done, failed, this.#observed());
    this.#ending = end.ending;
    if (end.type === "refused") {
      this.#host.send({ type: "refused", job: this.job.job, reason: end.reason });
      return this.#close(refuse(end.code), "failed", null);
    }
    if (end.ending === "completed" && !this.#pauses.haveBeen) {
      this.#speed = this.#pace.speed(end.tokens, this.#acceptedAt);
    }
    const failure = failureOf(end.outcome, this.#firstTokenAt);
    if (failure === undefined) {
      if (this.#firstTokenAt === null) this.#answer.begin();
      // Who does not read what there is will not read an end either.
      if (this.#cut === "stalled") this.#answer.abort();
      else this.#answer.finish(finishReasons(this.job.choices, done, this.#cut), end.usage);
    }
    this.#close(
      failure === undefined ? null : refuse(failure),
      failure === undefined ? "served" : "failed",
      end.tokens,
    );
    await this.#host.acknowledge(end.receipt);
  }

  /** Ends the hold without a charge. */
  async #release(reason: string, result: "cancelled" | "failed"): Promise<void> {
    this.#enter("settling");
    this.#ending = "cancelled";
    await this.#host.void(reason);
    this.#close(refuse(this.#cut === "bound" ? "stream_interrupted" : "cancelled"), result, null);
  }

  /** Ends this attempt before its first token. The hold stays with the gateway, which may ask another daemon. */
  #leave(result: "declined" | "failed" | "lost", ending: Ending, refusal: Refusal, move: boolean): void {
    this.#ending = ending;
    this.#refuse(refusal, move, false);
    this.#end(result, null);
  }

  /** Ends the stream towards the consumer; `refusal` is null when the answer is complete. */
  #close(refusal: Refusal | null, result: "served" | "cancelled" | "failed", tokens: Tokens | null): void {
    if (refusal !== null) {
      this.#refuse(refusal, false, true);
      // Who asked for the end by the job's id listens still; who has gone does not mind.
      if (this.#cut === "stalled") this.#answer.abort();
      else this.#answer.fail(refusal);
    }
    this.#end(result, tokens);
  }

  #refuse(refusal: Refusal, move: boolean, resolved: boolean): void {
    // Once a response was delivered this changes nothing.
    this.#deliver(refusedJob({ refusal, move, resolved }));
  }

  #end(result: EndResult, tokens: Tokens | null): void {
    if (this.#stage === "ended") return;
    this.#enter("ended");
    const { job, grant, lane } = this.job;
    const effect = effectOf(this.#ending, lane);
    this.#host.report({ type: "ended", job, fence: grant.fence, result, tokens, effect, speed: this.#speed });
    this.#host.ended();
  }

  #enter(stage: Stage): void {
    this.#stage = stage;
    this.#stageAt = Date.now();
    this.#arm();
  }

  /** One due time for whatever comes next; frames never touch it. */
  #arm(): void {
    const due = this.#nextDue();
    if (due === null) this.#host.dueTimes.clear(this);
    else this.#host.dueTimes.set(this, due, () => this.#tick());
  }

  #nextDue(): number | null {
    switch (this.#stage) {
      case "offered":
        return this.#stageAt + LIMITS.acceptMs;
      case "cancelling":
        return this.#stageAt + LIMITS.claimAfterCancelMs;
      case "running": {
        // What waits for the race's end comes before anything that time brings.
        if (this.#contest.isAsking) return null;
        const due = [this.#deadline, this.#lastWriteAt + LIMITS.streamCommentMs, this.#pauses.due];
        if (!this.#reported) due.push(this.#acceptedAt + LIMITS.leaseReportMs);
        return Math.min(...due);
      }
      default:
        return null;
    }
  }

  #tick(): void {
    const now = Date.now();
    if (this.#stage === "offered") {
      this.#host.send({ type: "cancel", stream: this.id });
      // A daemon that says nothing in time has not declined.
      this.decline("failed_unstarted");
    } else if (this.#stage === "cancelling") this.#run(this.#release("no_claim_after_cancel", "failed"));
    else if (this.#stage === "running") this.#tickRunning(now);
    if (this.#stage === "running") this.#arm();
  }

  #tickRunning(now: number): void {
    if (now >= this.#deadline) {
      if (this.#contest.holdsBack(() => this.#tick())) return;
      if (this.#firstTokenAt !== null) this.#stop("bound");
      else {
        this.#host.send({ type: "cancel", stream: this.id });
        this.#run(this.#settle("timed_out", null));
      }
      return;
    }
    if (this.#pauses.areOver(now)) {
      this.#stop("stalled");
      return;
    }
    if (!this.#reported && now - this.#acceptedAt >= LIMITS.leaseReportMs) {
      this.#reported = true;
      this.#host.report({ type: "running", ...this.lease });
    }
    if (now - this.#lastWriteAt >= LIMITS.streamCommentMs) {
      this.#lastWriteAt = now;
      if (this.#firstTokenAt !== null) this.#answer.comment("still here");
    }
  }
}
