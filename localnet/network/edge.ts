/** The edge: the Worker with all its bindings in workerd, as `wrangler dev` runs it, with its state kept. */

import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { X402_FEE_PAYER_SEED } from "../chain/mints.ts";
import { type Started, start, waitUntil } from "./processes.ts";
import { edgeSecrets, type Secrets, writePrivate } from "./state.ts";

const READY_MS = 60_000;

export interface EdgeOptions {
  readonly root: string;
  readonly folder: string;
  readonly port: number;
  readonly secrets: Secrets;
  /** A node of the local Solana; null where there is none, and then the network takes no deposits. */
  readonly solanaRpc: string | null;
  /** Told of the process as soon as it runs, so that it can be stopped before it is ready. */
  readonly onStart: (edge: Started) => void;
}

/** Variables that keep wrangler from calling anybody. */
const QUIET = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  CI: "1",
};

/** Throws an error that says what to do when the port is taken. */
export async function checkPort(port: number, variable: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const reason = error.code === "EADDRINUSE" ? "is taken" : `cannot be used (${error.code ?? error.message})`;
      reject(
        new Error(
          `Port ${port} ${reason}. Choose another: ${variable}=${port < 65_000 ? port + 10 : port - 10} npm start`,
        ),
      );
    });
    server.listen(port, "127.0.0.1", () => server.close(() => resolve()));
  });
}

/** Brings D1's schema up to date. */
export async function migrate({ root, folder }: Pick<EdgeOptions, "root" | "folder">): Promise<void> {
  const args = ["d1", "migrations", "apply", "tollmill", "--local", "--persist-to", join(folder, "state")];
  await promisify(execFile)(process.execPath, [wrangler(root), ...args], {
    cwd: root,
    env: { ...process.env, ...QUIET },
  });
}

/** Starts the edge, waits until it answers, and gives its URL. */
export async function startEdge({ root, folder, port, secrets, solanaRpc, onStart }: EdgeOptions): Promise<string> {
  const envFile = join(folder, "edge.env");
  const variables = edgeSecrets(secrets);
  await writePrivate(
    envFile,
    Object.entries(variables)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
  const address = ["--ip", "127.0.0.1", "--port", String(port), "--inspector-port", "0"];
  const state = ["--persist-to", join(folder, "state"), "--env-file", envFile];
  // Of the file wrangler takes no more than the secrets that the configuration requires. This URL carries no key, and everybody
  // can read that seed.
  const solana =
    solanaRpc === null
      ? []
      : ["--var", `SOLANA_RPC_URL:${solanaRpc}`, "--var", `X402_FEE_PAYER_SEED:${X402_FEE_PAYER_SEED}`];
  const output = ["--show-interactive-dev-session", "false", "--log-level", "log"];
  const args = [wrangler(root), "dev", ...address, ...state, ...solana, ...output];
  const edge = start("The edge", args, {
    cwd: root,
    // The environment would go before the file.
    env: { ...without(process.env, Object.keys(variables)), ...QUIET },
    logFile: join(folder, "edge.log"),
  });
  onStart(edge);
  const url = `http://127.0.0.1:${port}`;
  await waitUntil(edge, READY_MS, async () => ((await fetch(`${url}/api/v1/status`)).ok ? true : null));
  return url;
}

function without(env: NodeJS.ProcessEnv, names: readonly string[]): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));
}

function wrangler(root: string): string {
  return join(root, "node_modules", "wrangler", "bin", "wrangler.js");
}
