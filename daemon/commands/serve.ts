/** `tollmill daemon`: from flags to a running worker, and from signals to its end. */

import { hostname } from "node:os";
import { join } from "node:path";
import envPaths from "env-paths";
import { LIMITS } from "../../core/limits.ts";
import type { Quantization } from "../../core/pricing.ts";
import type { Feature, Offer, Tier } from "../../protocol/daemon/messages.ts";
import { ClaimStore } from "../claims/store.ts";
import { machineReader } from "../conditions/machine.ts";
import type { Schedule } from "../conditions/schedule.ts";
import { engineAtUrl, findEngine } from "../engines/detect.ts";
import type { Engine } from "../engines/engine.ts";
import { LlamaEngine } from "../engines/llama/llama-engine.ts";
import type { ServeOptions } from "../engines/served-models.ts";
import { EXIT, type ExitCode, Failure, reasonOf } from "../failure.ts";
import { probeHardware } from "../hardware/probe.ts";
import { loadIdentity } from "../identity/key-file.ts";
import { enrol } from "../network/enrol.ts";
import { createLog, type Log } from "../output/log.ts";
import { Worker } from "../worker.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

export interface DaemonFlags extends GlobalFlags {
  readonly home?: string;
  readonly engine?: string;
  readonly engineKey?: string;
  readonly model?: string;
  readonly gpu: "auto" | "off";
  readonly threads?: number;
  readonly context?: number;
  readonly slots?: number;
  readonly serve: ReadonlyMap<string, string>;
  readonly feature: readonly Feature[];
  readonly quantization?: Quantization;
  readonly name?: string;
  readonly tier: Tier;
  readonly watts?: number;
  readonly usdPerKwh: number;
  readonly accepts: Offer["accepts"];
  readonly margin?: number;
  /** Private networks, by id. */
  readonly network: readonly string[];
  readonly payout: "usdc" | "credits";
  readonly schedule?: Schedule;
  readonly onAcOnly?: boolean;
  readonly maxGpuTemp?: number;
}

const DEFAULT_SLOTS = 4;

/** Serves until a signal or a final refusal. `signals` is the process, or a stand-in. */
export async function serve(context: Context, flags: DaemonFlags, signals: NodeJS.EventEmitter): Promise<ExitCode> {
  const { terminal } = context;
  const log = createLog({
    json: flags.json ?? !terminal.interactive,
    color: terminal.colors.isColorSupported,
    write: (line) => terminal.err(line.trimEnd()),
    now: Date.now,
  });
  const settings = await settingsOf(context, flags);
  const home = homeOf(flags);
  const { identity, created } = await loadIdentity(join(home, "daemon.pem"));
  log.info(created ? "key_made" : "key_loaded", { daemon: identity.id, home });
  const claims = await openClaims(join(home, "claims"), log);
  const engine = await openEngine(flags, (text) => log.warning("llama_cpp", { text }));
  try {
    log.info("engine", { engine: engine.label });
    const worker = new Worker({
      url: settings.url,
      identity,
      engine,
      claims,
      log,
      now: Date.now,
      hardware: await probeHardware(flags.tier, flags.watts ?? null),
      usdPerKwh: flags.usdPerKwh,
      accepts: flags.accepts,
      ...(flags.margin === undefined ? {} : { margin: flags.margin }),
      networks: flags.network,
      serve: serveOptions(flags, engine),
      gates: {
        rules: {
          schedule: flags.schedule ?? null,
          onAcOnly: flags.onAcOnly === true,
          maxGpuCelsius: flags.maxGpuTemp ?? null,
        },
        read: machineReader(),
      },
    });
    await worker.prepare();
    if (settings.apiKey !== null) {
      const name = (flags.name ?? hostname()).slice(0, LIMITS.daemonNameCharacters);
      await enrol(settings, { public_key: identity.id, name, payout: flags.payout, tier: flags.tier }, log);
      log.info("enrolled", { name, payout: flags.payout });
    }
    return await runUntilSignal(worker, signals, log);
  } finally {
    await engine.close();
  }
}

/** Where a daemon keeps its key and its claims. */
export function homeOf({ home }: DaemonFlags): string {
  return home ?? envPaths("tollmill", { suffix: "" }).data;
}

/** What is offered of an engine. */
export function serveOptions(flags: DaemonFlags, engine: Engine): ServeOptions {
  return {
    serve: flags.serve,
    slots: flags.slots ?? engine.slots ?? DEFAULT_SLOTS,
    context: flags.context ?? null,
    quantization: flags.quantization ?? null,
    features: flags.feature,
  };
}

async function openClaims(folder: string, log: Log): Promise<ClaimStore> {
  try {
    return await ClaimStore.open(folder, log);
  } catch (error) {
    throw new Failure(
      EXIT.broken,
      `Claims cannot be stored in ${folder}: ${reasonOf(error)}. Make room or choose another --home: without its claims a daemon is not paid.`,
    );
  }
}

/** The engine that the flags name, or the one that is found. Throws a {@link Failure} that says what to do. */
export async function openEngine(flags: DaemonFlags, onNote: (text: string) => void): Promise<Engine> {
  if (flags.model !== undefined && flags.engine !== undefined) {
    throw new Failure(
      EXIT.usage,
      "Give --model for the embedded engine or --engine for one that runs already, not both.",
    );
  }
  if (flags.model !== undefined) {
    return LlamaEngine.load({
      file: flags.model,
      gpu: flags.gpu,
      threads: flags.threads ?? null,
      context: flags.context ?? null,
      slots: flags.slots ?? DEFAULT_SLOTS,
      onNote,
    });
  }
  if (flags.engine !== undefined) return engineAtUrl(flags.engine, flags.engineKey ?? null);
  const found = await findEngine();
  if (found !== null) return found;
  throw new Failure(
    EXIT.unreachable,
    "No engine was found: neither Ollama (11434), vLLM (8000), llama.cpp's server (8080) nor LM Studio (1234) answers on " +
      "127.0.0.1. Start one, name one with --engine URL, or give --model FILE.gguf to run a model in this process.",
  );
}

/** The first signal drains, the second stops at once. */
async function runUntilSignal(worker: Worker, signals: NodeJS.EventEmitter, log: Log): Promise<ExitCode> {
  let count = 0;
  let interrupted = false;
  const onSignal = (): void => {
    count += 1;
    if (count === 1) {
      worker.drain().catch((error: unknown) => log.error("internal_error", { reason: reasonOf(error) }));
    } else {
      interrupted = true;
      log.warning("stopped", { hint: "running jobs were given up" });
      worker.stop();
    }
  };
  signals.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    const end = await worker.run();
    if (end.type === "refused") {
      throw new Failure(
        EXIT.refused,
        `The network refuses this daemon (${end.code}): ${end.detail}${adviceFor(end.code)}`,
      );
    }
    log.info("ended");
    return interrupted ? EXIT.interrupted : EXIT.ok;
  } finally {
    signals.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

function adviceFor(code: string): string {
  return code === "daemon_not_enrolled" ? " Start it once with --api-key to enrol it." : "";
}
