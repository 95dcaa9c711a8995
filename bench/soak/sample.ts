/** One look at everything: the runtime's memory, the accounts' holds, the pool, the log, clients and daemons. */

import type { z } from "zod";
import { balance } from "../../protocol/network/account.ts";
import type { Child } from "../processes/calls.ts";
import { residentBytes, runtimesOf, socketsOf, treeOf } from "../processes/usage.ts";
import { type Consumer, MODEL, type Network } from "../servers/network.ts";
import type { ClientCounts } from "./clients.ts";
import type { DaemonTotals } from "./daemons.ts";
import { readHeaps } from "./heap.ts";

export interface Memory {
  /** Resident bytes of workerd, its stand-ins for queue, D1 and R2 included; null where they could not be read. */
  readonly residentBytes: number | null;
  /** The live heap of the Worker's isolate; null where it could not be read. */
  readonly heapBytes: number | null;
  readonly simulatorBytes: number;
  readonly sockets: number;
}

export interface Sample extends Memory {
  /** Seconds since the load began. */
  readonly at: number;
  readonly openHolds: number;
  readonly daemons: number;
  readonly slots: number;
  readonly free: number;
  readonly waiting: number;
  readonly logged: number;
  readonly deadLetters: number;
  readonly clients: ClientCounts;
  readonly supply: DaemonTotals;
}

export interface Soaked {
  readonly network: Network;
  readonly clients: Child;
  readonly daemons: Child;
  readonly inspector: string;
}

export async function takeSample(soaked: Soaked, at: number): Promise<Sample> {
  const { network, clients, daemons } = soaked;
  const [memory, holds, status, seen, supply] = await Promise.all([
    memoryOf(soaked),
    Promise.all(network.consumers.map((consumer) => balanceOf(network, consumer))),
    network.status(),
    clients.call<ClientCounts>("counts"),
    daemons.call<DaemonTotals>("counts"),
  ]);
  const pool = status.models.find(({ id }) => id === MODEL);
  return {
    at,
    ...memory,
    openHolds: holds.reduce((sum, { open_jobs }) => sum + open_jobs, 0),
    daemons: pool?.daemons ?? 0,
    slots: pool?.slots ?? 0,
    free: pool?.free ?? 0,
    waiting: pool?.waiting ?? 0,
    logged: status.log.size,
    deadLetters: status.dead_letters.count,
    clients: seen,
    supply,
  };
}

async function memoryOf({ network, inspector }: Soaked): Promise<Memory> {
  const runtimes = runtimesOf(treeOf(network.server.pid));
  const { liveBytes, simulatorBytes } = await readHeaps(inspector, () => network.status());
  return {
    residentBytes: residentBytes(runtimes),
    heapBytes: liveBytes,
    simulatorBytes,
    sockets: socketsOf(runtimes),
  };
}

export async function balanceOf({ origin }: Network, { apiKey }: Consumer): Promise<z.infer<typeof balance>> {
  const response = await fetch(`${origin}/api/v1/balance`, { headers: { authorization: `Bearer ${apiKey}` } });
  return balance.parse(await response.json());
}
