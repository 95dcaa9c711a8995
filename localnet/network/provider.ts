/** The one provider of the local network: a daemon in its own process, over whatever engine this machine has. */

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { type EngineModel, engineModel, TOY } from "./operator.ts";
import { type Started, start, waitUntil } from "./processes.ts";

const READY_MS = 120_000;

/** Flags of `tollmill daemon` that choose its engine. */
export interface EngineChoice {
  readonly flags: readonly string[];
  readonly models: readonly EngineModel[];
  readonly isToy: boolean;
}

/** The exit code of `tollmill engines` when no engine answers. */
const NO_ENGINE = 3;

/**
 * Which engine to serve: the one that the flags name, else the one that runs on this machine, else the toy. Throws what
 * the command says when the named one does not work.
 */
export async function chooseEngine(root: string, named: readonly string[]): Promise<EngineChoice> {
  if (named.length > 0) return { flags: named, models: await enginesOf(root, named), isToy: false };
  try {
    const models = await enginesOf(root, []);
    if (models.length > 0) return { flags: [], models, isToy: false };
  } catch (error) {
    if ((error as { code?: unknown }).code !== NO_ENGINE) throw error;
  }
  const file = join(root, "localnet", "model", "tiny-miller.gguf");
  const toy = ["--model", file, "--gpu", "off", "--threads", "1", "--context", "512"];
  return { flags: toy, models: await enginesOf(root, toy), isToy: true };
}

async function enginesOf(root: string, flags: readonly string[]): Promise<EngineModel[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [cli(root), "engines", "--json", ...flags], {
    cwd: root,
  }).catch(sayWhatItSaid);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => engineModel.parse(JSON.parse(line)));
}

const failure = z.object({ error: z.object({ message: z.string() }) });

/** The command's own words instead of its command line; the exit code stays. */
function sayWhatItSaid(error: Error & { stderr?: string }): never {
  const said = (error.stderr ?? "").trim();
  if (said !== "") error.message = wordsOf(said.split("\n").at(-1) ?? "") ?? said;
  throw error;
}

function wordsOf(line: string): string | null {
  try {
    return failure.parse(JSON.parse(line)).error.message;
  } catch {
    return null;
  }
}

const daemons = z.object({ data: z.array(z.object({ id: z.string(), connected: z.boolean() })) });

/** Starts the daemon, waits until the network has it and its pool can route to it, and gives its id. */
export async function startProvider(options: {
  root: string;
  folder: string;
  url: string;
  apiKey: string;
  engine: EngineChoice;
  model: string;
  /** Told of the process as soon as it runs, so that it can be stopped before it is ready. */
  onStart: (provider: Started) => void;
}): Promise<string> {
  const { root, folder, url, apiKey, engine, model, onStart } = options;
  // What a laptop draws: so that a small model's price covers its electricity on any machine.
  const power = engine.isToy ? ["--watts", "10"] : [];
  const home = join(folder, "daemon");
  const args = [cli(root), "daemon", "--json", "--url", url, "--home", home, "--name", "local", ...power];
  const provider = start("The daemon", [...args, ...engine.flags], {
    cwd: root,
    env: { ...process.env, TOLLMILL_API_KEY: apiKey },
    logFile: join(folder, "daemon.log"),
  });
  onStart(provider);
  const headers = { authorization: `Bearer ${apiKey}` };
  return await waitUntil(provider, READY_MS, async () => {
    const list = daemons.parse(await (await fetch(`${url}/api/v1/daemons`, { headers })).json());
    const connected = list.data.find((entry) => entry.connected);
    return connected !== undefined && (await isRoutable(url, model)) ? connected.id : null;
  });
}

const modelShape = z.object({ supply: z.object({ daemons: z.number() }) });

async function isRoutable(url: string, model: string): Promise<boolean> {
  const response = await fetch(`${url}/v1/models/${encodeURIComponent(model)}`);
  return modelShape.parse(await response.json()).supply.daemons > 0;
}

function cli(root: string): string {
  return join(root, "daemon", "bin", "tollmill.mjs");
}

/** The model of the curl line: the toy, or the first one of the engine. */
export function firstModel(engine: EngineChoice): string {
  const first = engine.models[0];
  if (first === undefined) {
    throw new Error("The engine has no model with an id of the catalog. Name one: npm start -- --serve NAME=ID");
  }
  return engine.isToy ? TOY : first.id;
}
