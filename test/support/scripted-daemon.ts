/**
 * A daemon whose every move a test decides. It speaks the protocol over any WebSocket, in workerd and in Node, and signs
 * real claims; what it claims can be bent on purpose.
 */

import { ed25519 } from "@noble/curves/ed25519.js";
import type { DaemonId } from "../../core/ids.ts";
import { base64url, daemonIdOf } from "../../core/keys.ts";
import { hexToBytes, utf8ToBytes } from "../../core/receipt/canonical.ts";
import { type Claim, claimBytes } from "../../core/receipt/claim.ts";
import { ResponseDigest } from "../../core/receipt/digest.ts";
import { encodeFrame } from "../../protocol/daemon/frames.ts";
import {
  type Done,
  type Job,
  type Offer,
  PROTOCOL_VERSION,
  proofBytes,
  type RelayMessage,
} from "../../protocol/daemon/messages.ts";

/** What both worlds' sockets have. */
export interface AnySocket {
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { code: number; reason: string }) => void): void;
}

export interface DaemonKey {
  readonly id: DaemonId;
  readonly secret: Uint8Array;
}

/** A key that depends on the number alone. */
export function daemonKey(number: number): DaemonKey {
  const secret = new Uint8Array(32).fill(number);
  return { id: daemonIdOf(ed25519.getPublicKey(secret)), secret };
}

export const ALL_FEATURES = ["temperature", "top_p", "seed", "stop", "n", "logprobs", "top_logprobs", "tools"];

/**
 * An offer of one model; fields can be changed. As it is, its power comes to half of what the test model costs, and its ask
 * to just that: 80,000 nanoUSD for 1,000 completion tokens.
 */
export function offerOf(model: string, changes: Partial<Offer["models"][number]> = {}, watts = 1_000): Offer {
  return {
    type: "offer",
    engine: "scripted",
    hardware: { tier: "desktop", gpu: null, vram_mb: null, watts },
    usd_per_kwh: 0.12,
    accepts: "any",
    prices: { margin: 2 },
    models: [
      {
        id: model,
        quantization: "q8",
        context: 4_096,
        slots: 8,
        tokens_per_second: 1_000,
        loaded: true,
        features: ALL_FEATURES,
        ...changes,
      },
    ],
  };
}

/** One job as the daemon has it, with what it has sent so far. */
export class ScriptedJob {
  readonly job: Job;
  readonly daemon: ScriptedDaemon;
  readonly #digest: ResponseDigest;
  completion = 0;

  constructor(daemon: ScriptedDaemon, job: Job) {
    this.daemon = daemon;
    this.job = job;
    this.#digest = new ResponseDigest(hexToBytes(job.salt), Number(job.request.n ?? 1));
  }

  accept(): void {
    this.daemon.send({ type: "accept", stream: this.job.stream });
  }

  decline(reason = "busy"): void {
    this.daemon.send({ type: "decline", stream: this.job.stream, reason });
  }

  fail(code = "engine_error", message = "it broke"): void {
    this.daemon.send({ type: "failed", stream: this.job.stream, code, message });
  }

  /** Sends a frame of text; `tokens` is what the frame says it has. */
  text(text: string, tokens = 1, choice = 0): void {
    this.frame(0, utf8ToBytes(text), tokens, choice);
  }

  frame(kind: 0 | 1, payload: Uint8Array, tokens: number, choice = 0): void {
    this.#digest.update(kind, choice, payload);
    this.completion += tokens;
    this.daemon.socket.send(encodeFrame({ stream: this.job.stream, kind, choice, tokens, payload }));
  }

  /** Sends a frame of any kind and choice that neither the digest nor the count knows of. */
  send(kind: 0 | 1, choice: number, payload: string | Uint8Array, tokens = 1): void {
    const bytes = typeof payload === "string" ? utf8ToBytes(payload) : payload;
    this.daemon.socket.send(encodeFrame({ stream: this.job.stream, kind, choice, tokens, payload: bytes }));
  }

  /** The `done` message that tells the truth, unless something is changed before it is signed. */
  claim(changes: Partial<Done> = {}, claimChanges: Partial<Claim> = {}): Done {
    const { job } = this;
    const claim: Claim = {
      job: job.job,
      fence: job.fence,
      daemon: this.daemon.key.id,
      model: job.model,
      usage: changes.usage ?? { prompt: 8, completion: this.completion },
      digest: { request: job.request_digest, response: this.#digest.hex(), salt: job.salt },
      ...claimChanges,
    };
    return {
      type: "done",
      stream: job.stream,
      ticket: job.ticket,
      job: claim.job,
      fence: claim.fence,
      model: claim.model,
      usage: claim.usage,
      finish_reason: "stop",
      digest: claim.digest,
      signature: base64url(ed25519.sign(claimBytes(claim), this.daemon.key.secret)),
      ...changes,
    };
  }

  done(changes: Partial<Done> = {}, claimChanges: Partial<Claim> = {}): Done {
    const done = this.claim(changes, claimChanges);
    this.daemon.send(done);
    return done;
  }
}

type JobHandler = (job: ScriptedJob) => unknown;

/** Answers every job with the given words, a token each. */
export function answering(words: readonly string[]): JobHandler {
  return (job) => {
    job.accept();
    for (const word of words) job.text(word);
    job.done();
  };
}

export class ScriptedDaemon {
  readonly key: DaemonKey;
  readonly socket: AnySocket;
  readonly received: RelayMessage[] = [];
  readonly jobs: ScriptedJob[] = [];
  /** Resolves with the close code and reason. */
  readonly closed: Promise<{ code: number; reason: string }>;
  onJob: JobHandler;
  /** Hears of every message, before anything is answered. */
  onMessage: (message: RelayMessage) => void = () => {};
  /** Whether it answers a challenge by itself. */
  proves = true;
  #waiting: { matches: (message: RelayMessage) => boolean; resolve: (message: RelayMessage) => void }[] = [];

  constructor(key: DaemonKey, socket: AnySocket, onJob: JobHandler) {
    this.key = key;
    this.socket = socket;
    this.onJob = onJob;
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason }));
    });
    socket.addEventListener("message", ({ data }) => this.#receive(String(data)));
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  #receive(text: string): void {
    if (text === "pong") return;
    for (const message of [JSON.parse(text) as RelayMessage | RelayMessage[]].flat()) this.#handle(message);
  }

  #handle(message: RelayMessage): void {
    this.received.push(message);
    this.onMessage(message);
    for (const entry of this.#waiting.filter(({ matches }) => matches(message))) entry.resolve(message);
    this.#waiting = this.#waiting.filter(({ matches }) => !matches(message));
    if (message.type === "challenge" && this.proves) {
      const signature = ed25519.sign(proofBytes(message, this.key.id, PROTOCOL_VERSION), this.key.secret);
      this.send({ type: "proof", signature: base64url(signature) });
    }
    if (message.type === "job") {
      const job = new ScriptedJob(this, message);
      this.jobs.push(job);
      void this.onJob(job);
    }
  }

  /** The first message of a type, received already or to come. */
  async next<T extends RelayMessage["type"]>(
    type: T,
    when: (message: Extract<RelayMessage, { type: T }>) => boolean = () => true,
  ): Promise<Extract<RelayMessage, { type: T }>> {
    const matches = (message: RelayMessage): boolean =>
      message.type === type && when(message as Extract<RelayMessage, { type: T }>);
    const known = this.received.find(matches);
    if (known !== undefined) return known as Extract<RelayMessage, { type: T }>;
    return await new Promise((resolve) => {
      this.#waiting.push({ matches, resolve: (message) => resolve(message as Extract<RelayMessage, { type: T }>) });
    });
  }

  /** Says hello, proves its key, and offers. Resolves when it is welcome. */
  async join(offer: Offer): Promise<void> {
    this.send({ type: "hello", version: PROTOCOL_VERSION, daemon: this.key.id });
    await this.next("welcome");
    this.send(offer);
  }
}
