/**
 * `npm start`: the whole network on one machine (interfaces.md §5). The edge with every binding, a seeded catalog, one
 * provider with a daemon, and a real job through all of it. Ctrl-C stops it whole.
 */

import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";
import pc from "picocolors";
import { checkPort, migrate, startEdge } from "./network/edge.ts";
import { type FirstJob, runFirstJob } from "./network/first-job.ts";
import { catalogEntry, Operator } from "./network/operator.ts";
import { type Started, signalGroup, stop } from "./network/processes.ts";
import { Progress, say } from "./network/progress.ts";
import { chooseEngine, type EngineChoice, firstModel, startProvider } from "./network/provider.ts";
import { loadSecrets, openFolder, writeDevFile } from "./network/state.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const QUESTION = "What is Tollmill?";
/** A daemon that drains finishes its answers and waits for their receipts. */
const DRAIN_MS = 35_000;
const EDGE_STOP_MS = 5_000;

interface Options {
  readonly fresh: boolean;
  readonly engine?: string;
  readonly model?: string;
  readonly serve: readonly string[];
}

const options = new Command("npm start --")
  .description("Runs the whole Tollmill network on this machine.")
  .option("--fresh", "forget the state of earlier runs", false)
  .option("--engine <url>", "serve this engine (Ollama, vLLM, llama.cpp's server, any with OpenAI's API)")
  .option("--model <file>", "serve this GGUF file with the embedded llama.cpp")
  .option("--serve <name=id>", "offer the engine's model NAME as ID (repeatable)", collect, [])
  .showHelpAfterError()
  .parse()
  .opts<Options>();

function collect(value: string, before: readonly string[]): readonly string[] {
  if (!value.includes("=")) throw new InvalidArgumentError("It must be NAME=ID.");
  return [...before, value];
}

function portOf(text: string | undefined): number {
  const port = Number(text === undefined || text === "" ? "8787" : text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new Error(`TOLLMILL_PORT must be a port from 1 to 65535, not ${text}.`);
}

const started: Started[] = [];
let stopping: Promise<void> | null = null;

/** Remembers a process from its first moment on; one that comes after the stop goes at once. */
function track(part: Started): void {
  started.push(part);
  if (stopping !== null) signalGroup(part, "SIGKILL");
}

/** Stops the provider first, so that it hands in what it has served, then the edge. A second call kills. */
function stopAll(): Promise<void> {
  if (stopping !== null) {
    for (const part of started) signalGroup(part, "SIGKILL");
    return stopping;
  }
  stopping = (async () => {
    for (const part of started.toReversed()) {
      const isEdge = part === started[0];
      await stop(part, isEdge ? "SIGTERM" : "SIGINT", isEdge ? EDGE_STOP_MS : DRAIN_MS);
    }
  })();
  return stopping;
}

async function bringUp(progress: Progress): Promise<void> {
  // Tests run a network of their own beside the developer's.
  const folder = process.env["TOLLMILL_STATE"] ?? join(ROOT, ".tollmill");
  const port = portOf(process.env["TOLLMILL_PORT"]);
  await checkPort(port);
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
  await progress.step("database", () => migrate({ root: ROOT, folder }));
  const url = await progress.step(
    "edge",
    () => startEdge({ root: ROOT, folder, port, secrets, onStart: track }),
    (at) => at,
  );
  const operator = new Operator(url, secrets.ADMIN_KEY);
  const accounts = await progress.step("catalog and accounts", async () => {
    for (const model of engine.models) await operator.putModel(catalogEntry(model));
    const consumer = await operator.openAccount("dev-consumer", true);
    return { consumer, provider: await operator.openAccount("dev-provider", false) };
  });
  const model = firstModel(engine);
  const { consumer, provider } = accounts;
  const daemon = await progress.step(
    "provider",
    () => startProvider({ root: ROOT, folder, url, apiKey: provider.apiKey, engine, model, onStart: track }),
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
    solana: null,
  });
  const chunks: string[] = [];
  const job = await progress.step(
    "first job",
    () => runFirstJob(url, consumer.apiKey, model, QUESTION, (text) => chunks.push(text)),
    (result) =>
      `${result.tokens} tokens, ${result.cost} credits, first token after ${result.firstTokenMs.toFixed(0)} ms`,
  );
  showResult(progress, { folder, url, apiKey: consumer.apiKey, model, engine, answer: chunks.join(""), job });
}

function engineLine(engine: EngineChoice): string {
  return `${engine.models[0]?.engine ?? "found"}, serving ${engine.models.map((model) => model.id).join(", ")}`;
}

function showResult(
  progress: Progress,
  {
    folder,
    url,
    apiKey,
    model,
    engine,
    answer,
    job,
  }: {
    folder: string;
    url: string;
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
