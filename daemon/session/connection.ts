/**
 * One WebSocket to a relay, from the first byte to the last.
 *
 *     connecting → greeting    the socket is open, `hello` is sent
 *     greeting   → proving     `challenge` came, `proof` is sent
 *     proving    → online      `welcome` came; jobs may come
 *     any        → closed      by either side, or because nothing was heard for two intervals
 */

import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { LIMITS } from "../../core/limits.ts";
import {
  type Challenge,
  type DaemonMessage,
  PING,
  PONG,
  PROTOCOL_VERSION,
  proofBytes,
  type RelayMessage,
  SUBPROTOCOL,
  type Welcome,
} from "../../protocol/daemon/messages.ts";
import { Packer, type PackItem } from "../../protocol/daemon/packs.ts";
import type { Identity } from "../identity/key-file.ts";
import type { Channel } from "../jobs/channel.ts";
import type { Log } from "../output/log.ts";
import { readRelayMessages } from "./inbound.ts";
import { isFinalCode, readRejection } from "./rejection.ts";

type Mode = "connecting" | "greeting" | "proving" | "online" | "closed";

/** How a connection ended. `final` is an error code after which connecting again cannot help. */
export interface Closed {
  readonly wasOnline: boolean;
  readonly reason: string;
  readonly final: string | null;
}

export interface ConnectionEvents {
  /** The relay has let the daemon in. */
  online(welcome: Welcome, channel: Channel): void;
  /** Any message of an open session that is not about the session itself; errors have been logged. */
  message(message: RelayMessage, channel: Channel): void;
}

export interface ConnectionOptions {
  readonly id: number;
  /** The network's URL, http or https. */
  readonly url: string;
  readonly identity: Identity;
  readonly log: Log;
  readonly events: ConnectionEvents;
  /** The session that this connection goes on with. */
  readonly resume: string | null;
}

/** From opening the socket to `welcome`. */
const ADMISSION_MS = 15_000;
/** A job's message: the largest body, its ticket and JSON's escapes. */
const MAX_MESSAGE_BYTES = 2 * LIMITS.requestBodyBytes;
/** Bytes that may wait in the socket before the engine is no longer read. */
const HIGH_WATER_BYTES = 4 * LIMITS.streamHighWaterBytes;
const BUFFER_POLL_MS = 10;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

export class Connection implements Channel {
  readonly id: number;
  readonly closed: Promise<Closed>;
  readonly #options: ConnectionOptions;
  readonly #socket: WebSocket;
  readonly #closedResolvers = Promise.withResolvers<Closed>();
  #mode: Mode = "connecting";
  /** Gathers what is said in one turn; null until the relay has said that it takes packs. */
  #packer: Packer | null = null;
  #final: string | null = null;
  #reason = "";
  #wasOnline = false;
  #heard = true;
  #silentIntervals = 0;
  #heartbeat: NodeJS.Timeout | undefined;
  readonly #admission: NodeJS.Timeout;

  constructor(options: ConnectionOptions) {
    this.id = options.id;
    this.closed = this.#closedResolvers.promise;
    this.#options = options;
    this.#socket = new WebSocket(connectUrl(options.url, options.identity.id), SUBPROTOCOL, {
      maxPayload: MAX_MESSAGE_BYTES,
      perMessageDeflate: false,
      handshakeTimeout: ADMISSION_MS,
    });
    this.#admission = setTimeout(() => this.close("the relay did not let the daemon in in time"), ADMISSION_MS);
    this.#listen();
  }

  get isOpen(): boolean {
    return this.#mode === "online";
  }

  send(message: DaemonMessage): boolean {
    if (this.#mode === "closed" || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#put(JSON.stringify(message));
    return true;
  }

  sendFrame(frame: Uint8Array): void {
    if (this.isOpen) this.#put(frame);
  }

  #put(item: PackItem): void {
    if (this.#packer === null) this.#socket.send(item);
    else this.#packer.add(item);
  }

  async writable(): Promise<void> {
    // The socket tells of its buffer only when asked; a slow link does not mind a hundredth of a second.
    while (this.isOpen && this.#socket.bufferedAmount > HIGH_WATER_BYTES) await sleep(BUFFER_POLL_MS);
  }

  /** Closes for a reason of the daemon's own. */
  close(reason: string): void {
    if (this.#reason === "") this.#reason = reason;
    this.#packer?.flush();
    if (this.#mode === "online") this.#socket.close(1000);
    else this.#socket.terminate();
    // A peer that never answers the close must not keep the daemon waiting.
    setTimeout(() => this.#socket.terminate(), 1_000).unref();
    this.#enter("closed");
  }

  #enter(mode: Mode): void {
    if (this.#mode === "closed" || this.#mode === mode) return;
    this.#mode = mode;
    if (mode === "online") {
      this.#wasOnline = true;
      clearTimeout(this.#admission);
    }
    if (mode === "closed") {
      clearTimeout(this.#admission);
      clearInterval(this.#heartbeat);
      this.#closedResolvers.resolve({ wasOnline: this.#wasOnline, reason: this.#reason, final: this.#final });
    }
  }

  #listen(): void {
    const socket = this.#socket;
    const { identity, resume } = this.#options;
    socket.on("open", () => {
      this.#enter("greeting");
      const session = resume === null ? {} : { resume };
      this.send({ type: "hello", version: PROTOCOL_VERSION, daemon: identity.id, ...session });
    });
    socket.on("message", (data, isBinary) => {
      this.#heard = true;
      if (isBinary) this.#options.log.warning("relay_message_ignored", { problem: "a relay sends no binary messages" });
      else this.#receive(textOf(data));
    });
    socket.on("unexpected-response", (_request, response: IncomingMessage) => {
      void readRejection(response).then(({ code, detail }) => this.#reject(code, detail));
    });
    // The reason stands in the error of a socket that never opened; `close` always follows.
    socket.on("error", (error) => {
      if (this.#reason === "") this.#reason = error.message;
    });
    socket.on("close", (code, reason) => {
      const text = reason.toString();
      if (this.#final === null && isFinalCode(text)) this.#final = text;
      if (this.#reason === "") this.#reason = text === "" ? `closed with code ${code}` : text;
      this.#enter("closed");
    });
  }

  #receive(text: string): void {
    if (text === PONG) return;
    for (const inbound of readRelayMessages(text)) {
      if ("message" in inbound) this.#dispatch(inbound.message);
      else if ("problem" in inbound) {
        this.#options.log.warning("relay_message_ignored", { problem: inbound.problem });
        if (inbound.stream !== null) this.send({ type: "decline", stream: inbound.stream, reason: "malformed_job" });
      }
    }
  }

  #dispatch(message: RelayMessage): void {
    const { events, log } = this.#options;
    if (message.type === "challenge" && this.#mode === "greeting") this.#prove(message);
    else if (message.type === "welcome" && this.#mode === "proving") this.#welcome(message);
    else if (message.type === "error") {
      if (isFinalCode(message.code)) this.#reject(message.code, message.message);
      else {
        log.error("relay_error", { code: message.code, message: message.message });
        if (this.#mode === "online") events.message(message, this);
      }
    } else if (this.#mode === "online" && message.type !== "challenge" && message.type !== "welcome") {
      events.message(message, this);
    } else log.warning("relay_message_ignored", { problem: `${message.type} does not belong here` });
  }

  #prove(challenge: Challenge): void {
    const { identity, url } = this.#options;
    const own = new URL(url);
    // Otherwise whoever runs another network could pass this one's challenge on and connect in the daemon's name. A
    // proxy on the own machine may rewrite the origin, and nobody else is in between there.
    if (challenge.origin !== own.origin && !LOOPBACK.test(own.hostname)) {
      this.close(`the challenge is of ${challenge.origin}, but the daemon connected to ${own.origin}`);
      return;
    }
    this.#enter("proving");
    this.send({ type: "proof", signature: identity.sign(proofBytes(challenge, identity.id, PROTOCOL_VERSION)) });
  }

  #welcome(welcome: Welcome): void {
    this.#enter("online");
    const { pack_bytes: packBytes } = welcome.parameters;
    if (packBytes !== undefined) {
      this.#packer = new Packer((message) => this.#socket.send(message), setImmediate, packBytes);
    }
    this.#heartbeat = setInterval(() => this.#beat(), welcome.parameters.ping_ms);
    this.#options.events.online(welcome, this);
  }

  /** Two intervals in which nothing came, not even the answer to a ping, mean that the other side is gone. */
  #beat(): void {
    this.#silentIntervals = this.#heard ? 0 : this.#silentIntervals + 1;
    this.#heard = false;
    if (this.#silentIntervals >= 2) {
      this.#reason = "the relay fell silent";
      this.#socket.terminate();
      this.#enter("closed");
    } else if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(PING);
  }

  #reject(code: string | null, detail: string): void {
    this.#reason = detail;
    if (code !== null && isFinalCode(code)) this.#final = code;
    this.#socket.terminate();
    this.#enter("closed");
  }
}

/** The id in the query selects the relay that holds this daemon's shard. */
function connectUrl(url: string, daemon: string): string {
  const target = new URL("/api/v1/connect", url);
  target.protocol = target.protocol === "https:" ? "wss:" : "ws:";
  target.searchParams.set("daemon", daemon);
  return target.href;
}

/** The text of a message as the socket gives it. */
export function textOf(data: Buffer | ArrayBuffer | Buffer[]): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString("utf8");
  return (Buffer.isBuffer(data) ? data : Buffer.from(data)).toString("utf8");
}
