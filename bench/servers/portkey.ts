/** Portkey's gateway (npm `@portkey-ai/gateway`), installed by its own lock file into bench/.portkey and run as its authors do. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "./bundle.ts";

const FOLDER = join(ROOT, "bench", ".portkey");
const SERVER = join(FOLDER, "node_modules", "@portkey-ai", "gateway", "build", "start-server.js");
const READY_MS = 20_000;

export interface Portkey {
  readonly process: ChildProcess;
  readonly origin: string;
  readonly pid: number;
}

/** Installs it where it is missing. Throws when the registry cannot be reached. */
export async function installPortkey(): Promise<void> {
  if (existsSync(SERVER)) return;
  const args = ["ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"];
  await promisify(execFile)("npm", args, { cwd: FOLDER });
}

export async function startPortkey(): Promise<Portkey> {
  const port = await freePort();
  const args = [SERVER, `--port=${port}`, "--headless"];
  const child = spawn(process.execPath, args, {
    cwd: FOLDER,
    stdio: "ignore",
    env: { ...process.env, NODE_ENV: "production" },
  });
  const origin = `http://127.0.0.1:${port}`;
  const deadline = performance.now() + READY_MS;
  while (
    !(await fetch(origin).then(
      () => true,
      () => false,
    ))
  ) {
    if (performance.now() > deadline || child.exitCode !== null) throw new Error("Portkey's gateway did not start");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { process: child, origin, pid: child.pid ?? 0 };
}

/** What tells it to call the mock engine. */
export function portkeyHeaders(engine: string): Record<string, string> {
  return { authorization: "Bearer sk-bench", "x-portkey-provider": "openai", "x-portkey-custom-host": `${engine}/v1` };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
