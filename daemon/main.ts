/** The process: arguments, streams, signals and exit code. Everything else is told what it needs. */

import { text } from "node:stream/consumers";
import { runCli } from "./cli.ts";
import { EXIT, reasonOf } from "./failure.ts";
import { wantsJson, writeError } from "./output/errors.ts";
import { processTerminal } from "./output/terminal.ts";

const terminal = processTerminal();
const context = { terminal, env: process.env, folder: process.cwd(), readStdin: () => text(process.stdin) };

const args = process.argv.slice(2);

try {
  process.exitCode = await runCli(args, context, process);
} catch (error) {
  const reason = error instanceof Error ? (error.stack ?? error.message) : reasonOf(error);
  writeError(terminal, wantsJson(args), `internal error: ${reason}`, EXIT.broken);
  process.exitCode = EXIT.broken;
}
// A native engine or a socket on its last breath would keep the process. What matters is on disk, and what was printed is
// written first; a reader that has gone needs nothing more.
process.stdout.once("error", () => process.exit());
process.stdout.write("", () => process.exit());
