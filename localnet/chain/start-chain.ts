/** Starts a local Solana in this process, for tests and for `npm start`. */

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type WebSocket, WebSocketServer } from "ws";
import { Faucet } from "./faucet.ts";
import { type FaultInput, Faults } from "./faults.ts";
import { begin } from "./genesis.ts";
import { handler } from "./http.ts";
import { LocalChain } from "./local-chain.ts";
import { Subscriptions } from "./rpc/subscriptions.ts";
import type { ChainSettings } from "./settings.ts";

export interface StartSettings extends ChainSettings {
  /** Of JSON-RPC; subscriptions are at the next one, where clients look for them. 0, the default: any two that are free. */
  readonly port?: number;
  /** Whether slots pass with time, or only when `chain.advance` is called. */
  readonly clock?: "running" | "by-hand";
  readonly faults?: readonly FaultInput[];
  readonly faultSeed?: number;
}

export interface RunningChain {
  readonly url: string;
  readonly wsUrl: string;
  readonly chain: LocalChain;
  readonly faults: Faults;
  readonly faucet: Faucet;
  /** Ends it with all its connections. Both ports are free afterwards. */
  readonly close: () => Promise<void>;
}

const HOST = "127.0.0.1";
const MAX_TRIES = 50;
const MAX_MESSAGE_BYTES = 65_536;

/** Throws where a port is taken, with the code EADDRINUSE. */
export async function startChain(settings: StartSettings = {}): Promise<RunningChain> {
  const chain = new LocalChain(settings, begin);
  const faucet = await Faucet.of(chain);
  const faults = new Faults(settings.faultSeed);
  faults.add(...(settings.faults ?? []));
  const airdrop = faucet.airdrop.bind(faucet);
  const http = createServer(handler({ chain, faults, faucet, airdrop }));
  const sockets = createServer((_request, response) => void response.writeHead(426).end());
  const port = await listen(http, sockets, settings.port ?? 0);
  const subscribers = new WebSocketServer({ server: sockets, maxPayload: MAX_MESSAGE_BYTES });
  subscribers.on("connection", (socket) => subscribe(chain, socket));
  const stopClock = settings.clock === "running" ? runClock(chain) : () => {};
  const close = async () => {
    stopClock();
    for (const socket of subscribers.clients) socket.terminate();
    await Promise.all([http, sockets].map(closeServer));
  };
  return { url: `http://${HOST}:${port}`, wsUrl: `ws://${HOST}:${port + 1}`, chain, faults, faucet, close };
}

function subscribe(chain: LocalChain, socket: WebSocket): void {
  const subscriptions = new Subscriptions(chain, (message) => socket.send(JSON.stringify(message)));
  socket.on("message", (data: Buffer) => subscriptions.take(data.toString("utf8")));
  socket.on("close", () => subscriptions.close());
  // A client that speaks no WebSocket loses its connection, which is all that it needs to know.
  socket.on("error", () => socket.terminate());
}

/** Keeps the chain's slots in step with the time, also after this process was asleep. */
function runClock(chain: LocalChain): () => void {
  const timer = setInterval(() => {
    const due = chain.slotAt(Date.now());
    if (due > chain.slot) chain.advance(due - chain.slot);
  }, chain.slotMs);
  return () => clearInterval(timer);
}

/** Takes a port and the one after it. Where any will do it looks for two that are free. */
async function listen(first: Server, second: Server, port: number): Promise<number> {
  for (let tries = 1; ; tries++) {
    await open(first, port);
    const address = first.address();
    if (address === null || typeof address === "string") throw new Error("the server has no port");
    try {
      await open(second, address.port + 1);
      return address.port;
    } catch (error) {
      await closeServer(first);
      if (port !== 0 || tries === MAX_TRIES) throw error;
    }
  }
}

async function open(server: Server, port: number): Promise<void> {
  server.listen(port, HOST);
  // Rejects with the error of a port that is taken.
  await once(server, "listening");
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}
