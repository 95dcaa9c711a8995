/** A relay that a test plays: it speaks the daemon protocol over a real WebSocket and does what it is told. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { type DaemonId, type JobId, newJobId } from "../../../core/ids.ts";
import { parseDaemonId, parseSignature, verifyStrict } from "../../../core/keys.ts";
import { claimBytes } from "../../../core/receipt/claim.ts";
import { ResponseDigest } from "../../../core/receipt/digest.ts";
import { decodeFrame, type Frame } from "../../../protocol/daemon/frames.ts";
import {
  type Challenge,
  type DaemonMessage,
  type Done,
  daemonMessage,
  type Job,
  proofBytes,
  type RelayMessage,
  SUBPROTOCOL,
  type Welcome,
} from "../../../protocol/daemon/messages.ts";
import { decodePack, isPack } from "../../../protocol/daemon/packs.ts";

export const SALT = "000102030405060708090a0b0c0d0e0f";
const WAIT_MS = 10_000;

export interface Peer {
  readonly socket: WebSocket;
  readonly daemon: string;
  /** Everything that came, in order. */
  readonly messages: DaemonMessage[];
  readonly frames: Frame[];
  /** How many texts `ping` came. */
  pings: number;
  /** How many messages came over the socket; a pack is one. */
  received: number;
}

export type Route = (request: IncomingMessage, body: string, response: ServerResponse) => void;

export class ScriptedRelay {
  readonly url: string;
  readonly peers: Peer[] = [];
  /** Answers pings; a relay that fell silent does not. */
  answersPings = true;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #parameters: Partial<RelayParameters>;
  #streams = 0;

  private constructor(server: Server, parameters: Partial<RelayParameters>) {
    this.#server = server;
    this.#parameters = parameters;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.#sockets = new WebSocketServer({ server, path: "/api/v1/connect", handleProtocols: () => SUBPROTOCOL });
    this.#sockets.on("connection", (socket, request) => this.#connect(socket, request));
  }

  static async start(parameters: Partial<RelayParameters> = {}, route?: Route): Promise<ScriptedRelay> {
    const server = createServer((request, response) => {
      let body = "";
      request.on("data", (data: Buffer) => (body += data.toString()));
      request.on("end", () => (route === undefined ? response.writeHead(404).end() : route(request, body, response)));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    return new ScriptedRelay(server, parameters);
  }

  /** The connection of this number, once it is there. */
  async peer(index = this.peers.length): Promise<Peer> {
    return await until(() => this.peers[index]);
  }

  /** Lets the next daemon in: checks its proof and welcomes it. */
  async admit(index = this.peers.length, messages: Welcome["messages"] = []): Promise<Peer> {
    const peer = await this.peer(index);
    await this.expect(peer, "hello");
    const challenge: Challenge = { type: "challenge", nonce: "nonce", origin: this.url, expires: Date.now() + 30_000 };
    this.send(peer, challenge);
    const proof = await this.expect(peer, "proof");
    const signature = parseSignature(proof.signature);
    const key = parseDaemonId(peer.daemon);
    if (signature === null || key === null || !verifyStrict(signature, proofBytes(challenge, peer.daemon, 1), key)) {
      throw new Error("the proof does not answer the challenge");
    }
    this.send(peer, {
      type: "welcome",
      session: `session-${index}`,
      relay: "relay/test/0",
      parameters: { flush_first_ms: 50, flush_ms: 100, flush_tokens: 32, ping_ms: 30_000, ...this.#parameters },
      messages,
    });
    await this.expect(peer, "offer");
    return peer;
  }

  send(peer: Peer, message: RelayMessage | readonly RelayMessage[]): void {
    peer.socket.send(JSON.stringify(message));
  }

  /** Hands a job to a daemon. */
  job(peer: Peer, request: Record<string, unknown> = {}, over: Partial<Job> = {}): Job {
    const job: Job = {
      type: "job",
      stream: this.#streams++,
      job: randomJobId(),
      fence: 3,
      lane: "public",
      model: "scripted",
      ticket: "sealed-ticket",
      salt: SALT,
      request_digest: "ab".repeat(32),
      deadline: Date.now() + 60_000,
      request: {
        model: "scripted",
        messages: [{ role: "user", content: "Hello!" }],
        max_completion_tokens: 1_000,
        ...request,
      },
      ...over,
    };
    this.send(peer, job);
    return job;
  }

  /** The first message of a type that was not taken yet. */
  async expect<T extends DaemonMessage["type"]>(peer: Peer, type: T): Promise<Extract<DaemonMessage, { type: T }>> {
    const found = await until(
      () => peer.messages.find((message) => message.type === type),
      () => `no ${type} among ${peer.messages.map((message) => message.type).join(", ")}`,
    );
    peer.messages.splice(peer.messages.indexOf(found), 1);
    return found as Extract<DaemonMessage, { type: T }>;
  }

  async close(): Promise<void> {
    for (const { socket } of this.peers) socket.terminate();
    this.#sockets.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #connect(socket: WebSocket, request: IncomingMessage): void {
    const daemon = new URL(request.url ?? "/", this.url).searchParams.get("daemon") ?? "";
    const peer: Peer = { socket, daemon, messages: [], frames: [], pings: 0, received: 0 };
    this.peers.push(peer);
    socket.binaryType = "arraybuffer";
    socket.on("error", () => undefined);
    socket.on("message", (data, isBinary) => {
      const bytes = new Uint8Array(data as ArrayBuffer);
      peer.received += 1;
      if (!isBinary) return this.#text(peer, bytes);
      if (!isPack(bytes)) return this.#frame(peer, bytes);
      const pack = decodePack(bytes);
      if ("error" in pack) throw new Error(pack.error);
      for (const { type, bytes: item } of pack.items) {
        if (type === "text") this.#text(peer, item);
        else this.#frame(peer, item);
      }
      return undefined;
    });
  }

  #frame(peer: Peer, bytes: Uint8Array): void {
    const frame = decodeFrame(bytes);
    if ("error" in frame) throw new Error(frame.error);
    peer.frames.push(frame);
  }

  #text(peer: Peer, bytes: Uint8Array): void {
    const text = new TextDecoder().decode(bytes);
    if (text !== "ping") {
      peer.messages.push(daemonMessage.parse(JSON.parse(text)));
      return;
    }
    peer.pings += 1;
    if (this.answersPings) peer.socket.send("pong");
  }
}

interface RelayParameters {
  readonly flush_first_ms: number;
  readonly flush_ms: number;
  readonly flush_tokens: number;
  readonly ping_ms: number;
  readonly pack_bytes: number;
}

export const randomJobId = (): JobId => newJobId(Date.now(), crypto.getRandomValues(new Uint8Array(10)));

/** Waits until there is a value. */
export async function until<T>(
  find: () => T | undefined | null | false,
  what: () => string = () => "it never came",
): Promise<T> {
  for (const end = Date.now() + WAIT_MS; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 3))) {
    const found = find();
    if (found !== undefined && found !== null && found !== false) return found;
  }
  throw new Error(what());
}

/** The text of a stream's frames, by choice. */
export function textOf(frames: readonly Frame[], choice = 0): string {
  const bytes = frames
    .filter((frame) => frame.kind === 0 && frame.choice === choice)
    .flatMap(({ payload }) => [...payload]);
  return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes));
}

export const tokensOf = (frames: readonly Frame[]): number => frames.reduce((sum, { tokens }) => sum + tokens, 0);

/** Whether a claim is about what was relayed and carries the daemon's signature. */
export function claimHolds(done: Done, job: Job, daemon: string, frames: readonly Frame[], choices = 1): boolean {
  const digest = new ResponseDigest(Uint8Array.from(Buffer.from(job.salt, "hex")), choices);
  for (const { kind, choice, payload } of frames) digest.update(kind, choice, payload);
  const key = parseDaemonId(daemon);
  const signature = parseSignature(done.signature);
  const { usage, fence, model } = done;
  const bytes = claimBytes({ job: job.job, fence, daemon: daemon as DaemonId, model, usage, digest: done.digest });
  return (
    done.job === job.job &&
    done.fence === job.fence &&
    done.model === job.model &&
    // The relay of a stream knows its job, and is spared the ticket.
    done.ticket === (done.stream === undefined ? job.ticket : undefined) &&
    done.digest.request === job.request_digest &&
    done.digest.salt === job.salt &&
    done.digest.response === digest.hex() &&
    key !== null &&
    signature !== null &&
    verifyStrict(signature, bytes, key)
  );
}
