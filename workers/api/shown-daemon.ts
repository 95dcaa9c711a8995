/** Daemons as the network API shows them: what D1 has of each, and what its relay says of its connection. */

import type { z } from "zod";
import type { DaemonRecord } from "../../db/daemons.ts";
import { regionOf } from "../../protocol/internal/names.ts";
import type { ConnectedDaemon, DaemonStanding } from "../../protocol/internal/pool.ts";
import { timeText } from "../../protocol/network/common.ts";
import type {
  daemon as daemonShape,
  standing as standingShape,
  wholeDaemon as wholeShape,
} from "../../protocol/network/daemons.ts";
import { configOf } from "../config.ts";
import { onRelay, onScheduler } from "../objects.ts";
import { relaysOf } from "../regions.ts";

type ShownDaemon = z.output<typeof daemonShape>;
type WholeDaemon = z.output<typeof wholeShape>;

/** Daemons as a list shows them. Asks only the relays that they belong to. */
export async function shownDaemons(env: Env, records: readonly DaemonRecord[]): Promise<ShownDaemon[]> {
  const connections = await connectionsOf(env, records);
  return records.map((record) => shown(record, connections.get(record.id)));
}

/** One daemon with all that is known of its connection, and how it stands in its pools. */
export async function wholeDaemon(env: Env, record: DaemonRecord): Promise<WholeDaemon> {
  const connected = (await connectionsOf(env, [record])).get(record.id);
  const connection = connected === undefined ? null : connectionOf(connected, await standingsOf(env, connected));
  return { ...shown(record, connected), connection };
}

/** A connected daemon, with the region of its relay. */
type Placed = ConnectedDaemon & { readonly region: string };

async function connectionsOf(env: Env, records: readonly DaemonRecord[]): Promise<Map<string, Placed>> {
  const config = configOf(env);
  const places = records.flatMap(({ id }) => relaysOf(config, id).map((relay) => ({ relay, id })));
  const asked = [...Map.groupBy(places, ({ relay }) => relay)].map(async ([name, own]) => {
    const connected = await onRelay(env, name, (relay) => relay.connected(own.map(({ id }) => id)));
    return connected.map((each) => ({ ...each, region: regionOf(name) }));
  });
  return new Map((await Promise.all(asked)).flat().map((connected) => [connected.daemon, connected]));
}

/** How a daemon stands with each model that it offers. */
async function standingsOf(env: Env, { daemon, region, models }: Placed): Promise<(DaemonStanding | null)[]> {
  return await Promise.all(
    models.map(({ id }) => onScheduler(env, region, id, (scheduler) => scheduler.daemonStanding(daemon))),
  );
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

function connectionOf(
  connected: ConnectedDaemon,
  standings: readonly (DaemonStanding | null)[],
): NonNullable<WholeDaemon["connection"]> {
  const { drainingBy, withdrawnBy, schedule, onAcPower, thermal, running, models } = connected;
  return {
    draining_by: [...drainingBy],
    withdrawn_by: [...withdrawnBy],
    schedule,
    on_ac_power: onAcPower,
    thermal,
    running,
    models: models.map(({ id, quantization, context, slots, running, tokens_per_second, loaded }, index) => ({
      id,
      quantization,
      context,
      slots,
      running,
      tokens_per_second,
      loaded,
      standing: standingOf(standings[index] ?? null),
    })),
  };
}

function standingOf(known: DaemonStanding | null): z.output<typeof standingShape> | null {
  if (known === null) return null;
  const { reliability, verified, graduation, declined, flagged, decode, prefill, quarantine } = known;
  return {
    score: rounded(reliability),
    verified,
    graduation: { ...graduation },
    declined: rounded(declined),
    flagged,
    tokens_per_second: decode === null ? null : rounded(decode),
    prefill_tokens_per_second: prefill === null ? null : rounded(prefill),
    quarantine: quarantine === null ? null : quarantineOf(quarantine),
  };
}

function quarantineOf({ why, since, probeAt, passed, of }: NonNullable<DaemonStanding["quarantine"]>) {
  return { why, since: timeText(since), next_probe_at: timeText(probeAt), passed, of };
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
