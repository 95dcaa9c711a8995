/** How a command says that it failed: in words for people, as one line of JSON for programs. */

import type { ExitCode } from "../failure.ts";
import type { Terminal } from "./terminal.ts";

/** Whether a command line asks for JSON. It is looked at before it is parsed, as it may be what is wrong. */
export function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end === -1 ? args : args.slice(0, end)).includes("--json");
}

/** Writes an error to stderr: `{"error":{"message","exit_code"}}` as JSON. */
export function writeError(terminal: Terminal, json: boolean, message: string, exitCode: ExitCode): void {
  terminal.err(
    json ? JSON.stringify({ error: { message, exit_code: exitCode } }) : `${terminal.colors.red("error:")} ${message}`,
  );
}
