/** Daemons that a script plays, over a real WebSocket whose TCP connection can be cut. */

import type { Socket } from "node:net";
import { WebSocket } from "ws";
import { z } from "zod";
import { SUBPROTOCOL } from "../../../protocol/daemon/messages.ts";
import { type DaemonKey, daemonKey, offerOf, ScriptedDaemon, type ScriptedJob } from "../../support/scripted-daemon.ts";
import type { Network, NetworkServer, TestAccount } from "./network.ts";

export interface ScriptedSupply {
  readonly daemon: ScriptedDaemon;
  /** Cuts the connection as the end of its process would: no close frame, no FIN. */
  readonly reset: () => void;
  readonly close: () => void;
}

interface ScriptedOptions {
  readonly number: number;
  readonly model: string;
  readonly onJob: ScriptedDaemon["onJob"];
  readonly offer?: Parameters<typeof offerOf>[1];
  /** How many daemons the model then has. */
  readonly daemons?: number;
}

/** Enrols and connects a daemon, and waits until its model's pool has it. */
export async function addScripted(
  network: Network<NetworkServer>,
  owner: TestAccount,
  options: ScriptedOptions,
): Promise<ScriptedSupply> {
  await enrolScripted(network, owner, options.number);
  return await connectScripted(network, options);
}

/** Enrols the daemon whose key depends on its number, and gives the key. */
export async function enrolScripted(
  network: Network<NetworkServer>,
  owner: TestAccount,
  number: number,
): Promise<DaemonKey> {
  const key = daemonKey(number);
  const enrolment = { public_key: key.id, name: `scripted-${number}`, payout: "credits", tier: "desktop" };
  const call = { method: "POST", apiKey: owner.apiKey, body: enrolment };
  await network.json("/api/v1/daemons", z.looseObject({}), call);
  return key;
}

/** Connects a daemon that is enrolled, for the first time or again. */
export async function connectScripted(
  network: Network<NetworkServer>,
  { number, model, onJob, offer = {}, daemons = 1 }: ScriptedOptions,
): Promise<ScriptedSupply> {
  const supply = await openScripted(network, daemonKey(number), onJob);
  await supply.daemon.join(offerOf(model, offer));
  await network.supply(model, daemons);
  return supply;
}

/** Opens a daemon's connection; nothing has been said over it yet. */
export async function openScripted(
  network: Network<NetworkServer>,
  key: DaemonKey,
  onJob: ScriptedDaemon["onJob"],
): Promise<ScriptedSupply> {
  const url = `${network.url.replace(/^http/, "ws")}/api/v1/connect?daemon=${key.id}`;
  const socket = new WebSocket(url, SUBPROTOCOL);
  const tcp = new Promise<Socket>((resolve, reject) => {
    socket.once("upgrade", (response) => resolve(response.socket));
    socket.once("error", reject);
  });
  const daemon = new ScriptedDaemon(key, socket, onJob);
  const connection = await tcp;
  return { daemon, reset: () => connection.resetAndDestroy(), close: () => socket.terminate() };
}

/** Answers a word every 30 ms until it is told to stop, and then claims what it has sent. */
export async function talkUntilCancelled(job: ScriptedJob, daemon: ScriptedDaemon): Promise<void> {
  job.accept();
  const talking = setInterval(() => job.text(" word"), 30);
  await daemon.next("cancel", ({ stream }) => stream === job.job.stream);
  clearInterval(talking);
  job.done({ finish_reason: "cancelled" });
}
