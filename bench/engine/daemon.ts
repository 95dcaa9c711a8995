/** The mock engine behind a daemon: real protocol and real signatures, nothing stored. */

import { createPrivateKey, type KeyObject, sign } from "node:crypto";
import type { Socket } from "node:net";
import { WebSocket } from "ws";
import type { DaemonId } from "../../core/ids.ts";
import { base64url, daemonIdOf } from "../../core/keys.ts";
import { hexToBytes, utf8ToBytes } from "../../core/receipt/canonical.ts";
import { claimBytes } from "../../core/receipt/claim.ts";
import { ResponseDigest } from "../../core/receipt/digest.ts";
import { encodeFrame } from "../../protocol/daemon/frames.ts";
import {
  type Job,
  type Offer,
  PROTOCOL_VERSION,
  proofBytes,
  type RelayMessage,
  SUBPROTOCOL,
} from "../../protocol/daemon/messages.ts";
import { Packer, type PackItem } from "../../protocol/daemon/packs.ts";
import { piecesOf, planOf, play } from "./answer.ts";

const PKCS8_HEAD = "302e020100300506032b657004220420";
const PROMPT_TOKENS = 8;

/** Bytes on the daemon's socket, with their frames and masks. */
export interface Traffic {
  readonly sent: number;
  readonly received: number;
  readonly messages: number;
}

export class MockDaemon {
  readonly id: DaemonId;
  readonly #key: KeyObject;
  readonly #cancelled = new Set<number>();
  #socket: WebSocket | null = null;
  #raw: Socket | null = null;
  #packer: Packer | null = null;
  #messages = 0;

  /** `seed` is 64 hex digits. */
  constructor(seed: string) {
    this.#key = createPrivateKey({ key: Buffer.from(PKCS8_HEAD + seed, "hex"), format: "der", type: "pkcs8" });
    const { x = "" } = this.#key.export({ format: "jwk" });
    this.id = daemonIdOf(Buffer.from(x, "base64url"));
  }

  /** Connects to a network and offers a model. Resolves when it is welcome. */
  async connect(origin: string, model: string, slots: number): Promise<void> {
    const url = `${origin.replace("http", "ws")}/api/v1/connect?daemon=${this.id}`;
    const socket = new WebSocket(url, SUBPROTOCOL, { perMessageDeflate: false });
    this.#socket = socket;
    socket.on("upgrade", (response) => {
      this.#raw = response.socket;
      response.socket.setNoDelay(true);
    });
    await new Promise<void>((resolve, reject) => {
      socket.on("error", reject);
      socket.on("close", (code, reason) => reject(new Error(`closed with ${code}: ${reason.toString()}`)));
      socket.on("open", () => this.#send({ type: "hello", version: PROTOCOL_VERSION, daemon: this.id }));
      socket.on("message", (data: Buffer) => {
        const messages = JSON.parse(data.toString()) as RelayMessage | RelayMessage[];
        for (const message of [messages].flat()) {
          if (message.type === "welcome") resolve();
          this.#receive(message, offerOf(model, slots));
        }
      });
    });
  }

  traffic(): Traffic {
    return { sent: this.#raw?.bytesWritten ?? 0, received: this.#raw?.bytesRead ?? 0, messages: this.#messages };
  }

  close(): void {
    this.#socket?.removeAllListeners("close").close();
  }

  #receive(message: RelayMessage, offer: Offer): void {
    switch (message.type) {
      case "challenge":
        return this.#send({ type: "proof", signature: this.#sign(proofBytes(message, this.id, PROTOCOL_VERSION)) });
      case "welcome":
        this.#packer = new Packer((item) => this.#put(item), setImmediate, message.parameters.pack_bytes ?? 0);
        return this.#send(offer);
      case "job":
        return this.#run(message);
      case "cancel":
        this.#cancelled.add(message.stream);
        return undefined;
      default:
        return undefined;
    }
  }

  #run(job: Job): void {
    const digest = new ResponseDigest(hexToBytes(job.salt), 1);
    const { stream } = job;
    let completion = 0;
    this.#send({ type: "accept", stream });
    const plan = planOf(job.request);
    play(
      piecesOf(plan),
      ({ text, tokens }) => {
        const payload = utf8ToBytes(text);
        digest.update(0, 0, payload);
        completion += tokens;
        this.#packer?.add(encodeFrame({ stream, kind: 0, choice: 0, tokens, payload }));
      },
      () => this.#finish(job, completion, digest.hex()),
      () => this.#cancelled.delete(stream),
      plan.natural === true,
    );
  }

  #finish(job: Job, completion: number, response: string): void {
    const usage = { prompt: PROMPT_TOKENS, completion };
    const digest = { request: job.request_digest, response, salt: job.salt };
    const claim = { job: job.job, fence: job.fence, model: job.model, usage, digest };
    const signature = this.#sign(claimBytes({ ...claim, daemon: this.id }));
    this.#send({ type: "done", stream: job.stream, ...claim, finish_reason: "stop", signature });
  }

  #sign(bytes: Uint8Array): string {
    return base64url(sign(null, bytes, this.#key));
  }

  #send(message: object): void {
    const text = JSON.stringify(message);
    if (this.#packer === null) this.#put(text);
    else this.#packer.add(text);
  }

  #put(item: PackItem): void {
    this.#messages += 1;
    this.#socket?.send(item);
  }
}

function offerOf(model: string, slots: number): Offer {
  const features = ["temperature", "top_p", "seed", "stop"];
  return {
    type: "offer",
    engine: "mock",
    hardware: { tier: "desktop", gpu: null, vram_mb: null, watts: 100 },
    usd_per_kwh: 0.12,
    accepts: "any",
    models: [
      { id: model, quantization: "q8", context: 8_192, slots, tokens_per_second: 1_000, loaded: true, features },
    ],
  };
}
