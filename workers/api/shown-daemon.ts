/** Daemons as the network API shows them: what D1 has of each, and what its relay says of its connection. */

import type { z } from "zod";
import type { DaemonRecord } from "../../db/daemons.ts";
import type { ConnectedDaemon } from "../../protocol/internal/pool.ts";
import { timeText } from "../../protocol/network/common.ts";
import type { daemon as daemonShape, wholeDaemon as wholeShape } from "../../protocol/network/daemons.ts";
import { configOf } from "../config.ts";
import { onRelay } from "../objects.ts";
import { relaysOf } from "../regions.ts";

type ShownDaemon = z.output<typeof daemonShape>;
type WholeDaemon = z.output<typeof wholeShape>;

/** Daemons as a list shows them. Asks only the relays that they belong to. */
export async function shownDaemons(env: Env, records: readonly DaemonRecord[]): Promise<ShownDaemon[]> {
  const connections = await connectionsOf(env, records);
  return records.map((record) => shown(record, connections.get(record.id)));
}

/** One daemon with all that is known of its connection. */
export async function wholeDaemon(env: Env, record: DaemonRecord): Promise<WholeDaemon> {
  const connected = (await connectionsOf(env, [record])).get(record.id);
  return { ...shown(record, connected), connection: connected === undefined ? null : connectionOf(connected) };
}

async function connectionsOf(env: Env, records: readonly DaemonRecord[]): Promise<Map<string, ConnectedDaemon>> {
  const config = configOf(env);
  const places = records.flatMap(({ id }) => relaysOf(config, id).map((relay) => ({ relay, id })));
  const asked = [...Map.groupBy(places, ({ relay }) => relay)].map(([name, own]) =>
    onRelay(env, name, (relay) => relay.connected(own.map(({ id }) => id))),
  );
  return new Map((await Promise.all(asked)).flat().map((connected) => [connected.daemon, connected]));
}

function shown(record: DaemonRecord, connected: ConnectedDaemon | undefined): ShownDaemon {
  const { created_at, drained_at, ...rest } = record;
  return {
    ...rest,
    created_at: timeText(created_at),
    drained_at: drained_at === null ? null : timeText(drained_at),
    connected: connected !== undefined,
    state: stateOf(connected),
  };
}

function stateOf(connected: ConnectedDaemon | undefined): ShownDaemon["state"] {
  if (connected === undefined) return "offline";
  if (connected.drainingBy.length > 0) return "draining";
  return connected.models.length === 0 ? "withdrawn" : "serving";
}

function connectionOf(connected: ConnectedDaemon): NonNullable<WholeDaemon["connection"]> {
  const { drainingBy, withdrawnBy, schedule, onAcPower, thermal, running, models } = connected;
  return {
    draining_by: [...drainingBy],
    withdrawn_by: [...withdrawnBy],
    schedule,
    on_ac_power: onAcPower,
    thermal,
    running,
    models: models.map(({ id, quantization, context, slots, running, tokens_per_second, loaded }) => ({
      id,
      quantization,
      context,
      slots,
      running,
      tokens_per_second,
      loaded,
    })),
  };
}
