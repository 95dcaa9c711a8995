/**
 * `npm start`: the whole network on one machine (interfaces.md §5). A local Solana, the edge with every binding, a seeded
 * catalog, one provider with a daemon, and a real job through all of it. Ctrl-C stops it whole.
 */

import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";
import pc from "picocolors";
import { parseFaults } from "./chain/faults.ts";
import { pokeCron } from "./network/cron.ts";
import { checkPort, migrate, startEdge } from "./network/edge.ts";
import { type FirstJob, runFirstJob } from "./network/first-job.ts";
import { catalogEntry, Operator } from "./network/operator.ts";
import { type Started, signalGroup, stop } from "./network/processes.ts";
import { Progress, say } from "./network/progress.ts";
import { chooseEngine, type EngineChoice, firstModel, startProvider } from "./network/provider.ts";
import { hasSolana, type SolanaEntry, startSolana } from "./network/solana.ts";
import { loadSecrets, openFolder, writeDevFile } from "./network/state.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const QUESTION = "What is Tollmill?";
/** A daemon that drains finishes its answers and waits for their receipts. */
const DRAIN_MS = 35_000;
const STOP_MS = 5_000;

interface Options {
  readonly fresh: boolean;
  readonly engine?: string;
  readonly model?: string;
  readonly serve: readonly string[];
  readonly faults?: string;
}

const options = new Command("npm start --")
  .description("Runs the whole Tollmill network on this machine.")
  .option("--fresh", "forget the state of earlier runs", false)
  .option("--engine <url>", "serve this engine (Ollama, vLLM, llama.cpp's server, any with OpenAI's API)")
  .option("--model <file>", "serve this GGUF file with the embedded llama.cpp")
  .option("--serve <name=id>", "offer the engine's model NAME as ID (repeatable)", collect, [])
  .option(
    "--faults <list>",
    "what goes wrong on the local Solana, such as drop@0.1,lag=5@0.3 (docs/localnet.md)",
    faults,
  )
  .showHelpAfterError()
  .parse()
  .opts<Options>();

function collect(value: string, before: readonly string[]): readonly string[] {
  if (!value.includes("=")) throw new InvalidArgumentError("It must be NAME=ID.");
  return [...before, value];
}

/** The text as it is, once it is known to be good. */
function faults(text: string): string {
  try {
    parseFaults(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

/** The port that a variable names; `most` leaves room for those that follow it. */
function portOf(variable: string, usual: number, most = 65_535): number {
  const text = process.env[variable];
  const port = text === undefined || text === "" ? usual : Number(text);
  if (Number.isInteger(port) && port > 0 && port <= most) return port;
  throw new Error(`${variable} must be a port from 1 to ${most}, not ${text}.`);
}

interface Part extends Started {
  readonly signal: NodeJS.Signals;
  readonly patienceMs: number;
}
const started: Part[] = [];
let stopping: Promise<void> | null = null;

/** Remembers a process from its first moment on, and how it ends; one that comes after the stop goes at once. */
function track(part: Started, signal: NodeJS.Signals = "SIGTERM", patienceMs = STOP_MS): void {
  started.push({ ...part, signal, patienceMs });
  if (stopping !== null) signalGroup(part, "SIGKILL");
}

/** Stops the provider first, so that it hands in what it has served, then what it needed. A second call kills. */
function stopAll(): Promise<void> {
  if (stopping !== null) {
    for (const part of started) signalGroup(part, "SIGKILL");
    return stopping;
  }
  stopping = (async () => {
    for (const part of started.toReversed()) await stop(part, part.signal, part.patienceMs);
  })();
  return stopping;
}

async function bringUp(progress: Progress): Promise<void> {
  // Tests run a network of their own beside the developer's.
  const folder = process.env["TOLLMILL_STATE"] ?? join(ROOT, ".tollmill");
  const port = portOf("TOLLMILL_PORT", 8_787);
  const solanaPort = portOf("TOLLMILL_SOLANA_PORT", 8_899, 65_534);
  if (port === solanaPort || port === solanaPort + 1) {
    throw new Error(`Port ${port} is wanted twice: TOLLMILL_SOLANA_PORT takes ${solanaPort} and the one after it.`);
  }
  await checkPort(port, "TOLLMILL_PORT");
  for (const one of [solanaPort, solanaPort + 1]) await checkPort(one, "TOLLMILL_SOLANA_PORT");
  await openFolder(folder, options.fresh);
  const secrets = await loadSecrets(folder);
  const named = [
    ...(options.engine === undefined ? [] : ["--engine", options.engine]),
    ...(options.model === undefined ? [] : ["--model", options.model]),
    ...options.serve.flatMap((entry) => ["--serve", entry]),
  ];
  const engine = await progress.step(
    "engine",
    () => chooseEngine(ROOT, named),
    (choice) => (choice.isToy ? "none found, using the toy model tiny-miller" : engineLine(choice)),
  );
  const solana = await progress.step(
    "solana",
    async () => {
      if (!hasSolana(process.platform, process.arch)) return null;
      return await startSolana({
        root: ROOT,
        folder,
        port: solanaPort,
        faults: options.faults,
        onStart: (part) => track(part),
      });
    },
    (entry) => entry?.rpc ?? `none, litesvm has no build for ${process.platform}-${process.arch}`,
  );
  await progress.step("database", () => migrate({ root: ROOT, folder }));
  const url = await progress.step(
    "edge",
    () =>
      startEdge({
        root: ROOT,
        folder,
        port,
        secrets,
        solanaRpc: solana?.rpc ?? null,
        onStart: (part) => track(part),
      }),
    (at) => at,
  );
  pokeCron(url);
  const operator = new Operator(url, secrets.ADMIN_KEY);
  const accounts = await progress.step("catalog and accounts", async () => {
    for (const model of engine.models) await operator.putModel(catalogEntry(model));
    const consumer = await operator.openAccount("dev-consumer", true);
    return { consumer, provider: await operator.openAccount("dev-provider", false) };
  });
  const model = firstModel(engine);
  const { consumer, provider } = accounts;
  const trackProvider = (part: Started) => track(part, "SIGINT", DRAIN_MS);
  const daemon = await progress.step(
    "provider",
    () => startProvider({ root: ROOT, folder, url, apiKey: provider.apiKey, engine, model, onStart: trackProvider }),
    (id) => `daemon ${id}`,
  );
  await writeDevFile(folder, {
    url,
    apiKey: consumer.apiKey,
    adminKey: secrets.ADMIN_KEY,
    secondAdminKey: secrets.SECOND_ADMIN_KEY,
    consumer,
    provider: { ...provider, daemon },
    operator: { adminKey: secrets.ADMIN_KEY },
    solana,
  });
  const chunks: string[] = [];
  const job = await progress.step(
    "first job",
    () => runFirstJob(url, consumer.apiKey, model, QUESTION, (text) => chunks.push(text)),
    (result) =>
      `${result.tokens} tokens, ${result.cost} credits, first token after ${result.firstTokenMs.toFixed(0)} ms`,
  );
  showResult(progress, { folder, url, solana, apiKey: consumer.apiKey, model, engine, answer: chunks.join(""), job });
}

function engineLine(engine: EngineChoice): string {
  return `${engine.models[0]?.engine ?? "found"}, serving ${engine.models.map((model) => model.id).join(", ")}`;
}

function showResult(
  progress: Progress,
  {
    folder,
    url,
    solana,
    apiKey,
    model,
    engine,
    answer,
    job,
  }: {
    folder: string;
    url: string;
    solana: SolanaEntry | null;
    apiKey: string;
    model: string;
    engine: EngineChoice;
    answer: string;
    job: FirstJob;
  },
): void {
  const { ok, checks } = job.verification;
  say();
  say(`  ${pc.dim("you")}   ${QUESTION}`);
  say(`  ${pc.dim(model)}   ${answer.trim()}`);
  say(
    `  ${pc.dim("receipt")}   ${job.job} ${ok ? pc.green("verified") : pc.red("NOT VERIFIED")} (${checks.length} checks)`,
  );
  if (!ok) for (const check of checks) if (!check.ok) say(`    ${pc.red("✗")} ${check.name}: ${check.detail}`);
  say();
  if (engine.isToy) {
    say(`  ${pc.yellow("tiny-miller is a toy of 2 million parameters that knows only Tollmill's manual.")}`);
    say("  For a real model start Ollama, vLLM or llama.cpp's server and run npm start again, or:");
    say("    npm start -- --model /path/to/model.gguf");
    say("    npm start -- --engine http://127.0.0.1:11434");
    say();
  }
  say(`  API        ${url}/v1   (OpenAI's dialect)`);
  say(`  reference  ${url}/docs`);
  if (solana !== null)
    say(`  solana     ${solana.rpc}   (a chain of its own; npx tollmill local faucet ADDRESS --usdc 100)`);
  say(`  key        ${apiKey}`);
  say(`  all of it  ${relative(process.cwd(), join(folder, "dev.json"))}   (logs beside it)`);
  say();
  say(`  curl -N ${url}/v1/chat/completions \\`);
  say(`    -H "Authorization: Bearer ${apiKey}" -H "Content-Type: application/json" \\`);
  say(`    -d '{"model":"${model}","stream":true,"messages":[{"role":"user","content":"What is a receipt?"}]}'`);
  say();
  say(`  npx tollmill receipts verify ${job.job}`);
  say();
  say(`  Ready after ${progress.elapsed} s. Ctrl-C stops everything.`);
}

process.on("SIGINT", () => void stopAll());
process.on("SIGTERM", () => void stopAll());
try {
  say(pc.bold("Tollmill, the whole network on this machine"));
  await bringUp(new Progress());
  // Whichever ends first, the rest has no use without it.
  const first = await Promise.race(started.map(async (part) => (await part.ended, part)));
  if (stopping === null) {
    say(pc.red(`${first.name} ended by itself; see ${first.logFile}.`));
    process.exitCode = 1;
  }
} catch (error) {
  if (stopping === null) {
    say();
    say(pc.red(error instanceof Error ? error.message : String(error)));
    process.exitCode = 1;
  }
} finally {
  await (stopping ?? stopAll());
}
