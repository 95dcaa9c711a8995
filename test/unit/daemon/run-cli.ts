/** The command line in this process, with a terminal that keeps what is written. */

import { EventEmitter } from "node:events";
import pico from "picocolors";
import { runCli } from "../../../daemon/cli.ts";
import { tempFolder } from "./bench.ts";

export const API_KEY = `tm_${"A".repeat(71)}`;
/** A port that nobody listens on. */
export const NOWHERE = "http://127.0.0.1:47";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function run(
  args: readonly string[],
  over: { env?: Record<string, string>; folder?: string; stdin?: string } = {},
): Promise<Ran> {
  const lines = { out: [] as string[], err: [] as string[] };
  const terminal = {
    out: (line: string) => void lines.out.push(line),
    err: (line: string) => void lines.err.push(line),
    interactive: false,
    colors: pico.createColors(false),
  };
  const context = {
    terminal,
    env: over.env ?? {},
    folder: over.folder ?? tempFolder(),
    readStdin: () => Promise.resolve(over.stdin ?? ""),
  };
  const code = await runCli(args, context, new EventEmitter());
  return { code, out: lines.out.join("\n"), err: lines.err.join("\n") };
}
