/** Puts a worker with a scripted engine in front of a scripted relay, and takes everything away after the test. */

import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type ClaimDisk, ClaimStore } from "../../../daemon/claims/store.ts";
import { type Identity, identityOf } from "../../../daemon/identity/key-file.ts";
import { createLog, type Log } from "../../../daemon/output/log.ts";
import type { SessionEnd } from "../../../daemon/session/session.ts";
import { Worker, type WorkerOptions } from "../../../daemon/worker.ts";
import { ScriptedEngine } from "./scripted-engine.ts";
import { type Peer, ScriptedRelay } from "./scripted-relay.ts";

export interface Bench {
  readonly relay: ScriptedRelay;
  readonly engine: ScriptedEngine;
  readonly worker: Worker;
  readonly peer: Peer;
  readonly claims: ClaimStore;
  readonly folder: string;
  readonly lines: string[];
  readonly ended: Promise<SessionEnd>;
}

interface BenchOptions {
  readonly engine?: ScriptedEngine;
  readonly parameters?: Parameters<typeof ScriptedRelay.start>[0];
  readonly disk?: ClaimDisk;
  readonly folder?: string;
  readonly slots?: number;
  readonly identity?: Identity;
  readonly now?: () => number;
  readonly gates?: Partial<WorkerOptions["gates"]>;
  readonly pace?: NonNullable<WorkerOptions["pace"]>;
  readonly backoff?: NonNullable<WorkerOptions["backoff"]>;
}

const NO_GATES = { schedule: null, onAcOnly: false, maxGpuCelsius: null };

export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tollmill-daemon-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const newIdentity = (): Identity => identityOf(generateKeyPairSync("ed25519").privateKey);

export function collectingLog(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  return { lines, log: createLog({ json: true, color: false, write: (line) => lines.push(line), now: Date.now }) };
}

/** A worker that is online. */
export async function bench(options: BenchOptions = {}): Promise<Bench> {
  const relay = await ScriptedRelay.start(options.parameters ?? {});
  const engine = options.engine ?? new ScriptedEngine();
  const { log, lines } = collectingLog();
  const folder = options.folder ?? tempFolder();
  const claims = await ClaimStore.open(folder, log, options.disk);
  const worker = new Worker({
    url: relay.url,
    identity: options.identity ?? newIdentity(),
    engine,
    claims,
    log,
    now: options.now ?? Date.now,
    hardware: { tier: "desktop", gpu: "test", vram_mb: null, watts: 10 },
    usdPerKwh: 0.12,
    accepts: "any",
    margin: 1.4,
    networks: ["home"],
    serve: { serve: new Map(), slots: options.slots ?? 2, context: null, quantization: null, features: [] },
    gates: { rules: NO_GATES, read: () => Promise.resolve({ onAcPower: null, gpu: null }), ...options.gates },
    backoff: options.backoff ?? { firstMs: 1, mostMs: 5 },
    ...(options.pace === undefined ? {} : { pace: options.pace }),
  });
  const script = engine.script;
  engine.script = quickMeasure;
  await worker.prepare();
  engine.script = script;
  engine.given = 0;
  engine.aborted = 0;
  engine.requests.length = 0;
  const ended = worker.run();
  onTestFinished(async () => {
    worker.stop();
    await ended;
    await relay.close();
  });
  const peer = await relay.admit(0);
  return { relay, engine, worker, peer, claims, folder, lines, ended };
}

async function* quickMeasure() {
  await Promise.resolve();
  yield { type: "text", choice: 0, text: "one two", tokens: 2 } as const;
  yield { type: "end", finishReasons: ["stop"], usage: { prompt: 3, completion: 2 } } as const;
}
